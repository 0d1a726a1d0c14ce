import type { AccessAnswer } from '../ports.ts';
import type { TokenRecord } from '../tokens/token-secret.ts';
import type { RequestPath } from './verdict.ts';

/** Something that had to be read from outside; `why` says what kept us from it. */
export type Fact<T> = { readonly known: true; readonly value: T } | { readonly known: false; readonly why: string };

/** All that a decision needs besides the request and the config; gathered before, so that deciding is pure. */
export interface Facts {
  /** ms since the epoch. */
  readonly now: number;
  /** The Secret of the token that made the request; undefined when there is none. */
  readonly token: Fact<TokenRecord | undefined>;
  /** The answer to `nodeclient` (bootstrap) or `selfnodeclient` (renewal). */
  readonly access: Fact<AccessAnswer>;
  /** Name of a newer request of the same user, node and signer that passes every check itself. */
  readonly supersededBy: string | undefined;
}

/** Which facts a request of this path needs; the others may be left unread. */
export function neededFacts(path: RequestPath): { readonly token: boolean; readonly access: boolean } {
  return { token: path === 'bootstrap', access: path === 'bootstrap' || path === 'renewal' };
}

/** A fact that this path does not need. */
export const NOT_NEEDED: Fact<never> = { known: false, why: 'not needed for this request' };
