import { canonicalAddress, formatAddress, type AddressRanges } from '../policy/addresses.ts';
import { type AddressFacts, type Fact, NOT_NEEDED } from '../policy/facts.ts';
import type { PolicyConfig } from '../policy/policy-config.ts';
import type { Inventory } from '../policy/inventory.ts';
import type { RequestView } from '../policy/request.ts';
import type { NodeObject, Store } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import type { GivenAddresses } from './given-addresses.ts';
import type { AddressSources, NodeRecords } from './fact-gatherer.ts';

/** What the cluster itself uses, read now and then. */
export interface ClusterAddresses {
  readonly serviceRanges: AddressRanges;
  /** Endpoint addresses of the API server, in canonical form. */
  readonly apiServer: readonly string[];
}

export interface AddressBookOptions {
  readonly cluster: () => Fact<ClusterAddresses>;
  /** Undefined value: none is configured. */
  readonly inventory: () => Fact<Inventory | undefined>;
  readonly records: Pick<NodeRecords, 'get'> & { ownersOf(address: string, now: number): readonly string[] };
  readonly given: Pick<GivenAddresses, 'fresh' | 'ownersOf'>;
  readonly nodes: Pick<Store<NodeObject>, 'get'>;
  readonly clock: Clock;
}

/** Puts together whose an address is (DESIGN D10), from what is in memory. */
export class AddressBook implements AddressSources {
  readonly #options: AddressBookOptions;
  #indexed: { readonly of: Inventory; readonly owners: ReadonlyMap<string, string> } | undefined;

  constructor(options: AddressBookOptions) {
    this.#options = options;
  }

  factsFor({ nodeName, reading }: RequestView, policy: PolicyConfig): Fact<AddressFacts> {
    const { records, given } = this.#options;
    if (nodeName === undefined) return NOT_NEEDED;
    const cluster = this.#options.cluster();
    if (!cluster.known) return cluster;
    const inventory = this.#options.inventory();
    if (!inventory.known) return inventory;
    if (!given.fresh()) return { known: false, why: 'the watch on bootstrap tokens is not up to date' };
    const record = records.get(nodeName);
    if (!record.known) return record;
    const vouchedBy = (record.value?.addresses ?? []).map((address) => canonicalAddress(address) ?? address);
    const vouched = [...(inventory.value?.get(nodeName) ?? []), ...vouchedBy];
    const owners = new Map<string, string>();
    const { seen } = reading();
    for (const address of (seen.ipAddresses ?? []).map(formatAddress)) {
      const owner = this.#otherOwner(address, nodeName, inventory.value);
      if (owner !== undefined) owners.set(address, owner);
    }
    const suffixes = suffixesOf(policy);
    for (const name of seen.dnsNames ?? []) {
      const owner = this.#otherNamed(name, nodeName, inventory.value, suffixes);
      if (owner !== undefined) owners.set(name, owner);
    }
    return { known: true, value: { ...cluster.value, vouched: vouched.length === 0 ? undefined : vouched, owners } };
  }

  #otherOwner(address: string, nodeName: string, inventory: Inventory | undefined): string | undefined {
    const { records, nodes, given, clock } = this.#options;
    const listed = inventory === undefined ? undefined : this.#ownersIn(inventory).get(address);
    if (listed !== undefined && listed !== nodeName) return listed;
    const now = clock.now();
    // A node that is gone must not keep its address from the next one.
    const there = records.ownersOf(address, now).filter((node) => nodes.get(node) !== undefined);
    return [...there, ...given.ownersOf(address, now)].find((node) => node !== nodeName);
  }

  /** Whose the name is by the inventory, or by a suffix: `web-1.example.org` is a name of `web-1` where that is there. */
  #otherNamed(
    name: string,
    nodeName: string,
    inventory: Inventory | undefined,
    suffixes: readonly string[],
  ): string | undefined {
    const listed = inventory === undefined ? undefined : this.#ownersIn(inventory).get(name);
    if (listed !== undefined && listed !== nodeName) return listed;
    const bases = suffixes.filter((suffix) => name.endsWith(suffix)).map((suffix) => name.slice(0, -suffix.length));
    return bases.find((base) => base !== nodeName && this.#options.nodes.get(base) !== undefined);
  }

  #ownersIn(inventory: Inventory): ReadonlyMap<string, string> {
    if (this.#indexed?.of !== inventory) {
      const entries = [...inventory].flatMap(([node, found]) => found.map((entry): [string, string] => [entry, node]));
      this.#indexed = { of: inventory, owners: new Map(entries) };
    }
    return this.#indexed.owners;
  }
}

/** Every suffix that nodes have names with, each with its dot. */
function suffixesOf({ serving, pools }: PolicyConfig): string[] {
  const all = [...(serving?.dnsSuffixes ?? []), ...[...pools.values()].flatMap(({ dnsSuffixes }) => dnsSuffixes ?? [])];
  return [...new Set(all)].map((suffix) => `.${suffix}`);
}
