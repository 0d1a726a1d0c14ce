import { BlockList, isIP } from 'node:net';

/** A set of address ranges in CIDR notation. */
export interface AddressRanges {
  readonly texts: readonly string[];
  readonly contains: (address: Uint8Array) => boolean;
}

/**
 * Reads ranges such as `10.0.0.0/8` and `fd00::/8`. Answers the texts that are none. A prefix is compulsory: a single
 * address is written with /32 or /128.
 */
export function parseRanges(texts: readonly string[]): { ranges: AddressRanges; wrong: readonly string[] } {
  // One list for each family: a common one takes IPv4 addresses for members of IPv6 ranges and the other way round.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  const wrong: string[] = [];
  for (const text of texts) {
    const [, network = '', prefix = ''] = /^([0-9a-fA-F.:]+)\/(0|[1-9][0-9]{0,2})$/.exec(text) ?? [];
    const version = isIP(network);
    const family = version === 4 ? 'ipv4' : 'ipv6';
    if (version === 0 || Number(prefix) > (version === 4 ? 32 : 128)) wrong.push(text);
    else lists[family].addSubnet(network, Number(prefix), family);
  }
  const contains = (address: Uint8Array): boolean => {
    if (address.length !== 4 && address.length !== 16) return false;
    const family = address.length === 4 ? 'ipv4' : 'ipv6';
    return lists[family].check(formatAddress(address), family);
  };
  return { ranges: { texts, contains }, wrong };
}

/** Dotted quad for 4 bytes, eight uncompressed groups for 16. */
export function formatAddress(address: Uint8Array): string {
  if (address.length === 4) return address.join('.');
  const view = Buffer.from(address);
  const groups = Array.from({ length: view.length >> 1 }, (_, index) => view.readUInt16BE(index * 2).toString(16));
  return groups.join(':');
}

/** The 4 or 16 bytes of an address in text; undefined for anything else, a zone (`%eth0`) or an IPv4-mapped one. */
export function parseAddress(text: string): Uint8Array | undefined {
  const version = isIP(text);
  if (version === 4) return Uint8Array.from(text.split('.').map(Number));
  if (version !== 6 || text.includes('%') || text.includes('.')) return undefined;
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const [front, back] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - front.length - back.length }, () => 0);
  return Uint8Array.from([...front, ...zeros, ...back].flatMap((group) => [group >> 8, group & 0xff]));
}

/** An address in the one form that addresses are compared in, which is that of `formatAddress`; undefined for none. */
export function canonicalAddress(text: string): string | undefined {
  const address = parseAddress(text);
  return address === undefined ? undefined : formatAddress(address);
}

/** What no host has for its own: unspecified, loopback, link-local, multicast, reserved and broadcast. */
const NO_HOST = parseRanges([
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/127',
  '::ffff:0:0/96',
  'fe80::/10',
  'ff00::/8',
]).ranges;

/** True for an address that can belong to no node. */
export function isNoHost(address: Uint8Array): boolean {
  return NO_HOST.contains(address);
}
