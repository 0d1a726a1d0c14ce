import type { AddressRanges } from './addresses.ts';
import type { FinalReasonClass } from './reasons.ts';

/** A pool of nodes, as the config describes it. */
export interface PoolPolicy {
  readonly name: string;
  /** RE2 pattern that a node's whole name must match. */
  readonly pattern: string;
  readonly admitsNodeName: (nodeName: string) => boolean;
  /** May have names of the control plane; an ordinary pool never may. */
  readonly controlPlane: boolean;
  /** When its token may replace a node that is there and not alive (DESIGN D9). */
  readonly rejoin: 'whenCertificateExpired' | 'whenStale' | 'never';
  /** Nodes of the pool with a certificate, at most; undefined = any number. */
  readonly maxNodes: number | undefined;
  /** Instead of the policy's own, in seconds. */
  readonly longestRequestSeconds: number | undefined;
  /** Where its nodes' addresses lie, instead of the serving policy's ranges. */
  readonly ranges: AddressRanges | undefined;
  /** Names of its nodes besides their own, instead of the serving policy's. */
  readonly dnsSuffixes: readonly string[] | undefined;
}

/** What serving certificates may say besides addresses that somebody vouches for. */
export interface ServingPolicy {
  readonly dnsSuffixes: readonly string[];
  readonly ranges: AddressRanges;
  /** DNS domain of the cluster, such as `cluster.local`: names of Services below it are no node's. */
  readonly clusterDomain: string;
  /** Where nodes reach the API server: a name, or an address as it stands in a URL. */
  readonly apiServerHost: string;
}

/** The part of the config that decisions depend on. */
export interface PolicyConfig {
  readonly pools: ReadonlyMap<string, PoolPolicy>;
  /** Until then (ms since the epoch) tokens without a binding are admitted; undefined = never. */
  readonly unboundTokensUntil: number | undefined;
  /** Longest `expirationSeconds` that may be asked for, in seconds. */
  readonly longestRequestSeconds: number;
  /** undefined: serving certificates are not served at all. */
  readonly serving: ServingPolicy | undefined;
  /** What happens to a request that can never become right, by the class of the reason. */
  readonly onViolation: Readonly<Record<FinalReasonClass, 'wait' | 'deny'>>;
  /** Names that only tokens for one node and control-plane pools can obtain; undefined = there are none. */
  readonly controlPlane:
    | { readonly pattern: string; readonly admitsNodeName: (nodeName: string) => boolean }
    | undefined;
  /** A node whose Lease was renewed within this is alive, in ms. */
  readonly staleAfterMs: number;
  /** How long a certificate can be renewed after it was issued where there is no Node object, in ms. */
  readonly renewWithoutNodeMs: number;
  /** What becomes of a renewal with a certificate that is not in the node's record (DESIGN D16). */
  readonly credentials: 'adopt' | 'strict';
}
