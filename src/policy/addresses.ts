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
