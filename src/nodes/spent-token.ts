import type { TokenRecord } from '../tokens/token-secret.ts';
import type { NodeRecord } from './node-record.ts';
import type { Claim } from './token-claims.ts';

/** A node that was not seen by then will not come back with this certificate. */
const UNSEEN_MS = 3_600_000;

export interface TokenUses {
  /** As it is stored: what a token vouched for outlives it there. */
  readonly recordOf: (node: string) => NodeRecord | undefined;
  /** Uses of a token that has a number of them, by node. */
  readonly claims: ReadonlyMap<string, Claim>;
  /** ms since the epoch. */
  readonly now: number;
}

/**
 * Whether every use of the token is taken, and each by a node that was seen with its certificate or had an hour for it
 * (DESIGN D8): then nobody needs it any more. A token of any number of uses is never spent, nor is one without a binding.
 */
export function isSpent(token: TokenRecord, { recordOf, claims, now }: TokenUses): boolean {
  const done = (node: string, usedAt: number | undefined): boolean => {
    const used = recordOf(node)?.token;
    const mine = used?.id === token.id ? used : undefined;
    const at = mine?.usedAt ?? usedAt;
    return mine?.seenAt !== undefined || (at !== undefined && at + UNSEEN_MS <= now);
  };
  if (token.binding?.kind === 'node') return done(token.binding.node, undefined);
  if (token.uses === undefined || token.uses === 0 || claims.size < token.uses) return false;
  return [...claims.values()].every(({ node, at }) => done(node, at));
}
