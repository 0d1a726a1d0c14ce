import { canonicalAddress, isNoHost, parseAddress } from './addresses.ts';
import { isNodeName } from '../tokens/binding.ts';

/** Addresses, in canonical form, and DNS names by node. */
export type Inventory = ReadonlyMap<string, readonly string[]>;

/** Either what could be read, or everything that is wrong with it. */
export type InventoryReading =
  | { readonly inventory: Inventory; readonly problems: readonly [] }
  | { readonly inventory: undefined; readonly problems: readonly string[] };

/** Reads the plain value of an inventory's YAML: a map from node to a list of addresses and DNS names. */
export function readInventory(value: unknown): InventoryReading {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { inventory: undefined, problems: ['must be a map from nodes to lists of addresses and names'] };
  }
  const problems: string[] = [];
  const inventory = new Map<string, string[]>();
  for (const [node, entries] of Object.entries(value as Record<string, unknown>)) {
    if (!isNodeName(node)) problems.push(`${node}: is no name of a node`);
    if (!Array.isArray(entries)) {
      problems.push(`${node}: must be a list`);
      continue;
    }
    const read = entries.map((entry: unknown, index) => {
      const found = entryOf(entry);
      if (found === undefined)
        problems.push(`${node}.${index}: ${JSON.stringify(entry)} is no address and no DNS name`);
      return found ?? '';
    });
    inventory.set(node, read);
  }
  return problems.length === 0 ? { inventory, problems: [] } : { inventory: undefined, problems };
}

function entryOf(entry: unknown): string | undefined {
  if (typeof entry !== 'string') return undefined;
  const address = parseAddress(entry);
  if (address !== undefined) return isNoHost(address) ? undefined : canonicalAddress(entry);
  return isNodeName(entry) && !/^[0-9.]+$/.test(entry) ? entry : undefined;
}
