/** When a rule of the config admits so much that it rules out nearly nothing. */
import { BlockList, isIP } from 'node:net';

/** Names as clouds, installers and people give them to nodes; one that has a domain behind it is `<name>.<domain>`. */
const NAMES: readonly string[] = [
  'worker-17',
  'node1',
  'k8s-master-0',
  'controlplane',
  'ip-10-0-12-7',
  'i-0a1b2c3d4e5f67890',
  'gke-prod-default-pool-3f1c9a2b-x7k2',
  'aks-nodepool1-31268742-vmss000003',
  'talos-8ws-x2k',
  'db03',
  'gpu-a100-rack4-u12',
  'edge-berlin-shop-0042',
  'prod-md-0-7d9f8b6c5-q8zkm',
  'etcd-2',
  'storage-node-b',
  'fra1-metal-c3-small-x86-01',
  'vm-ubuntu-24-04',
  'build-agent-arm64-9',
  'localhost',
  'zeus',
];
const DOMAINS: readonly string[] = ['ec2.internal', 'example.org', 'dc2.example.net', 'local', 'eu-central-1.example'];

/**
 * True when a pattern of node names admits every one of 20 names that have nothing in common: as they are, or each
 * with a domain behind it.
 */
export function admitsAnyName(admitsNodeName: (name: string) => boolean): boolean {
  return (
    NAMES.every((name) => admitsNodeName(name)) ||
    NAMES.every((name, index) => admitsNodeName(`${name}.${DOMAINS[index % DOMAINS.length]}`))
  );
}

export type AddressFamily = 'IPv4' | 'IPv6';

/** The address families of which these ranges (CIDRs that `parseRanges` takes) cover half or more, all together. */
export function widelyCovered(texts: readonly string[]): readonly AddressFamily[] {
  return (['IPv4', 'IPv6'] as const).filter((family) => shareOf(family, texts) >= 0.5);
}

/** Two ranges have no address in common, or one holds the other: counting the largest first counts none twice. */
function shareOf(family: AddressFamily, texts: readonly string[]): number {
  const version = family === 'IPv4' ? 4 : 6;
  const type = family === 'IPv4' ? 'ipv4' : 'ipv6';
  const ranges = texts
    .map((text) => text.split('/'))
    .map(([network = '', prefix]) => ({ network, prefix: Number(prefix) }))
    .filter(({ network }) => isIP(network) === version)
    .toSorted((a, b) => a.prefix - b.prefix);
  const counted = new BlockList();
  let share = 0;
  for (const { network, prefix } of ranges) {
    if (counted.check(network, type)) continue;
    counted.addSubnet(network, prefix, type);
    share += 2 ** -prefix;
  }
  return share;
}
