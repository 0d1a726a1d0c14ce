import type { NodeRecord } from '../nodes/node-record.ts';
import { canonicalAddress } from '../policy/addresses.ts';

/** Which nodes have, or had, an address: in a serving certificate, or given with their token. */
export class AddressIndex {
  /** One node as it is, without a list around it: that is nearly every address. */
  readonly #nodes = new Map<string, string | readonly string[]>();
  readonly #has: (node: string, address: string, now: number) => boolean;

  /** `has` says whether it is the node's at that time. */
  constructor(has: (node: string, address: string, now: number) => boolean) {
    this.#has = has;
  }

  add(record: NodeRecord): void {
    const { node } = record;
    for (const address of [...(record.serving?.addresses ?? []), ...givenTo(record)]) {
      const nodes = this.#nodesOf(address);
      if (nodes.length === 0) this.#nodes.set(address, node);
      else if (!nodes.includes(node)) this.#nodes.set(address, [...nodes, node]);
    }
  }

  /** Nodes whose address this is, as `formatAddress` writes it. */
  ownersOf(address: string, now: number): string[] {
    return this.#nodesOf(address).filter((node) => this.#has(node, address, now));
  }

  /** Addresses come and go with their nodes for as long as the service runs: lets go of those that nobody has. */
  tidy(now: number): void {
    for (const address of this.#nodes.keys()) {
      const [owner, ...others] = this.ownersOf(address, now);
      if (owner === undefined) this.#nodes.delete(address);
      else this.#nodes.set(address, others.length === 0 ? owner : [owner, ...others]);
    }
  }

  #nodesOf(address: string): readonly string[] {
    const nodes = this.#nodes.get(address) ?? [];
    return typeof nodes === 'string' ? [nodes] : nodes;
  }
}

/** Addresses that the node's token vouched for, as `formatAddress` writes them. */
function givenTo({ addresses }: NodeRecord): string[] {
  return addresses.flatMap((address) => canonicalAddress(address) ?? []);
}

/** Whether the address is this node's: in an unexpired serving certificate, or given, while it has a client certificate. */
export function hasAddress(record: NodeRecord, address: string, now: number): boolean {
  const { serving, certificates } = record;
  if (serving !== undefined && now < serving.notAfter && serving.addresses.includes(address)) return true;
  return givenTo(record).includes(address) && certificates.some(({ notAfter }) => now < notAfter);
}
