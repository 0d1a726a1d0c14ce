/** What admits nearly everything: a config that says so has to say that it means it. */
import { parseAddress } from './addresses.ts';

/** Names of many styles, none like another: a pattern that all of them match tells nodes from nothing. */
export const SAMPLE_NAMES: readonly string[] = [
  'a',
  'node',
  'worker-1',
  'ip-10-0-0-1.ec2.internal',
  'gke-prod-pool-1-8f2b61c4-x7k2',
  'aks-nodepool1-12345678-vmss000000',
  'db',
  'db.example.org',
  '0',
  '42',
  'cp-0',
  'control-plane-1',
  'xn--bcher-kva',
  'k8s-master.dc1.example.com',
  'a-very-long-name-of-a-machine-that-somebody-typed-by-hand',
  'z9',
  'etcd-2',
  'storage-node-7.rack3.row9',
  'laptop',
  'm5-large-spot-eu-central-1a',
];

/** True when the predicate takes every one of the sample names. */
export function admitsAnyName(admits: (nodeName: string) => boolean): boolean {
  return SAMPLE_NAMES.every((name) => admits(name));
}

const FAMILIES = { ipv4: 32, ipv6: 128 } as const;

/** True when these CIDRs, together, cover half of the IPv4 or of the IPv6 addresses. They must be well-formed. */
export function coversHalf(cidrs: readonly string[]): boolean {
  return (
    covered(
      cidrs.filter((text) => !text.includes(':')),
      'ipv4',
    ) ||
    covered(
      cidrs.filter((text) => text.includes(':')),
      'ipv6',
    )
  );
}

function covered(cidrs: readonly string[], family: keyof typeof FAMILIES): boolean {
  const bits = FAMILIES[family];
  const blocks = cidrs
    .map((text) => blockOf(text, bits))
    .toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  let sum = 0n;
  let next = 0n;
  for (const { first, end } of blocks) {
    const from = first > next ? first : next;
    if (end > from) sum += end - from;
    if (end > next) next = end;
  }
  return sum >= 1n << BigInt(bits - 1);
}

/** First address of the block, and the one after its last. */
function blockOf(cidr: string, bits: number): { readonly first: bigint; readonly end: bigint } {
  const [network = '', prefix = ''] = cidr.split('/');
  const size = 1n << BigInt(bits - Number(prefix));
  const bytes = parseAddress(network) ?? new Uint8Array();
  const first = (BigInt(`0x0${Buffer.from(bytes).toString('hex')}`) / size) * size;
  return { first, end: first + size };
}
