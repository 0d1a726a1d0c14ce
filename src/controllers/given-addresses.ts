import { canonicalAddress } from '../policy/addresses.ts';
import type { Store } from '../ports.ts';
import { isUsable } from '../tokens/rotation.ts';
import type { TokenRecord } from '../tokens/token-secret.ts';

/** Addresses that were given to nodes with their tokens: theirs alone before they have joined (DESIGN D10). */
export class GivenAddresses {
  readonly #tokens: Pick<Store<TokenRecord>, 'get' | 'fresh'>;
  /** IDs of tokens by address. */
  readonly #ids = new Map<string, readonly string[]>();

  constructor(tokens: Pick<Store<TokenRecord>, 'get' | 'fresh'>) {
    this.#tokens = tokens;
  }

  /** False while tokens may be missing. */
  fresh(): boolean {
    return this.#tokens.fresh();
  }

  /** To be told of every new or changed token, and of what it was before. */
  put(token: TokenRecord, before?: TokenRecord): void {
    if (before !== undefined) this.gone(before);
    for (const address of addressesOf(token)) {
      const ids = this.#ids.get(address) ?? [];
      if (!ids.includes(token.id)) this.#ids.set(address, [...ids, token.id]);
    }
  }

  /** To be told of every token that is gone. */
  gone(token: TokenRecord): void {
    for (const address of addressesOf(token)) {
      const ids = (this.#ids.get(address) ?? []).filter((id) => id !== token.id);
      if (ids.length === 0) this.#ids.delete(address);
      else this.#ids.set(address, ids);
    }
  }

  /** Nodes that a usable token has this address for, as `formatAddress` writes it. */
  ownersOf(address: string, now: number): string[] {
    return (this.#ids.get(address) ?? []).flatMap((id) => {
      const token = this.#tokens.get(id);
      if (token?.binding?.kind !== 'node' || !isUsable(token, now)) return [];
      return addressesOf(token).includes(address) ? [token.binding.node] : [];
    });
  }
}

function addressesOf({ addresses }: TokenRecord): string[] {
  return addresses.flatMap((address) => canonicalAddress(address) ?? []);
}
