import type { PublicationState } from '../ports/tokens.ts';
import type { TokenRecord } from './token-secret.ts';

/** What the minter does next for one pool. */
export type RotationStep =
  | { readonly kind: 'mint'; readonly why: 'no token' | 'half-life' | 'not in Vault' | 'few uses left' }
  | { readonly kind: 'wait'; readonly untilMs: number };

export interface RotationInput {
  readonly now: number;
  /** Tokens of this pool that this service made. */
  readonly tokens: readonly TokenRecord[];
  readonly published: PublicationState;
  readonly lifetimeMs: number;
  /** How many nodes have used a token. */
  readonly usesOf: (tokenId: string) => number;
  /** 0 to 1, the same for the pool's whole life: spreads the rotations of many pools. */
  readonly spread: number;
}

/** Below this part of its uses a token is replaced. */
const FEW = 0.25;
/** The last tenth before half-life is where rotations are spread over. */
const SPREAD = 0.1;

/**
 * A pool has one current token, the one that stands in Vault; it is replaced at half its life or below a quarter of its uses, and its predecessor lives
 * to its own end (DESIGN D11). A token that was deleted from either side is replaced at once.
 */
export function planRotation({ now, tokens, published, lifetimeMs, usesOf, spread }: RotationInput): RotationStep {
  const usable = tokens.filter((token) => isUsable(token, now));
  if (usable.length === 0) return { kind: 'mint', why: 'no token' };
  const current = published.kind === 'live' ? usable.find((token) => token.id === published.tokenId) : undefined;
  if (current === undefined) return { kind: 'mint', why: 'not in Vault' };
  if (current.uses !== undefined && current.uses - usesOf(current.id) < current.uses * FEW) {
    return { kind: 'mint', why: 'few uses left' };
  }
  const end = current.expiresAt ?? Number.POSITIVE_INFINITY;
  const rotateAt = end - lifetimeMs * (0.5 + SPREAD * spread);
  return now >= rotateAt ? { kind: 'mint', why: 'half-life' } : { kind: 'wait', untilMs: rotateAt };
}

/** True while a token logs in. */
export function isUsable(token: TokenRecord, now: number): boolean {
  return token.authenticates && !token.beingDeleted && (token.expiresAt === undefined || now < token.expiresAt);
}
