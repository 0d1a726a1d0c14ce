import type { AddressRanges } from './addresses.ts';

/** A pool of nodes, as the config describes it. */
export interface PoolPolicy {
  readonly name: string;
  /** RE2 pattern that a node's whole name must match. */
  readonly pattern: string;
  readonly admitsNodeName: (nodeName: string) => boolean;
}

/** The part of the config that decisions depend on. */
export interface PolicyConfig {
  readonly pools: ReadonlyMap<string, PoolPolicy>;
  /** Until then (ms since the epoch) tokens without a binding are admitted; undefined = never. */
  readonly unboundTokensUntil: number | undefined;
  /** Longest `expirationSeconds` that may be asked for, in seconds. */
  readonly longestRequestSeconds: number;
  /** undefined: serving certificates are not served at all. */
  readonly serving: { readonly dnsSuffixes: readonly string[]; readonly ranges: AddressRanges } | undefined;
  /** What happens to a request that can never become right. */
  readonly onViolation: 'wait' | 'deny';
}
