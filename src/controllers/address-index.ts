import type { NodeRecord } from '../nodes/node-record.ts';

/** Which nodes have, or had, a serving certificate with an address. */
export class AddressIndex {
  readonly #nodes = new Map<string, readonly string[]>();
  readonly #serves: (node: string, address: string, now: number) => boolean;

  /** `serves` says whether the node has an unexpired one with that address. */
  constructor(serves: (node: string, address: string, now: number) => boolean) {
    this.#serves = serves;
  }

  add({ node, serving }: NodeRecord): void {
    for (const address of serving?.addresses ?? []) {
      const nodes = this.#nodes.get(address);
      if (nodes === undefined) this.#nodes.set(address, [node]);
      else if (!nodes.includes(node)) this.#nodes.set(address, [...nodes, node]);
    }
  }

  /** Nodes with an unexpired serving certificate for this address, as `formatAddress` writes it. */
  ownersOf(address: string, now: number): string[] {
    return (this.#nodes.get(address) ?? []).filter((node) => this.#serves(node, address, now));
  }

  /** Addresses come and go with their nodes for as long as the service runs: lets go of those that nobody has. */
  tidy(now: number): void {
    for (const [address, nodes] of this.#nodes) {
      const owners = this.ownersOf(address, now);
      if (owners.length === 0) this.#nodes.delete(address);
      else if (owners.length < nodes.length) this.#nodes.set(address, owners);
    }
  }
}
