import type { AccessAnswer } from '../ports.ts';
import type { NodeRecord } from '../nodes/node-record.ts';
import type { TokenRecord } from '../tokens/token-secret.ts';
import type { AddressRanges } from './addresses.ts';
import type { RequestPath } from './verdict.ts';

/** Something that had to be read from outside; `why` says what kept us from it. */
export type Fact<T> = { readonly known: true; readonly value: T } | { readonly known: false; readonly why: string };

/** Whether there is a Node object of that name, and when it was last heard of (DESIGN D9). */
export interface NodePresence {
  readonly exists: boolean;
  /** Last renewal of its Lease, ms since the epoch; undefined without one. Only read for a Node that exists. */
  readonly renewedAt: number | undefined;
  /** This very CSR was found to be made while the node was alive: later staleness changes nothing. */
  readonly wasLive: boolean;
}

/** How far the token, and the pool behind it, are used up by other nodes (DESIGN D8). */
export interface ClaimStanding {
  /** How many nodes the token is good for; undefined = any number. */
  readonly uses: number | undefined;
  /** Nodes that have used it, this one not counted. */
  readonly usedByOthers: number;
  /** Nodes of the token's pool with a certificate, this one not counted. */
  readonly othersInPool: number;
}

/** Whose the addresses are that a serving CSR asks for (DESIGN D10). */
export interface AddressFacts {
  /** What inventory and token vouch for by name; undefined where neither knows the node. */
  readonly vouched: readonly string[] | undefined;
  /** Other nodes that an asked-for address or DNS name belongs to, by address and name. */
  readonly owners: ReadonlyMap<string, string>;
  /** Service CIDRs of the cluster. */
  readonly serviceRanges: AddressRanges;
  /** Addresses of the API server: its endpoints, and where nodes reach it. */
  readonly apiServer: readonly string[];
}

/** All that a decision needs besides the request and the config; gathered before, so that deciding is pure. */
export interface Facts {
  /** ms since the epoch. */
  readonly now: number;
  /** The Secret of the token that made the request; undefined when there is none. */
  readonly token: Fact<TokenRecord | undefined>;
  /** The answer to `nodeclient` (bootstrap) or `selfnodeclient` (renewal). */
  readonly access: Fact<AccessAnswer>;
  /** What is remembered of the node; undefined when nothing is. */
  readonly record: Fact<NodeRecord | undefined>;
  readonly presence: Fact<NodePresence>;
  readonly claims: Fact<ClaimStanding>;
  readonly addresses: Fact<AddressFacts>;
  /** Name of a newer request of the same user, node and signer that passes every check itself, or has its certificate. */
  readonly supersededBy: string | undefined;
}

/** A fact that can be needed or not. */
export type FactName = 'token' | 'access' | 'record' | 'presence' | 'claims' | 'addresses';

const NEEDED: Readonly<Record<RequestPath, readonly FactName[]>> = {
  bootstrap: ['token', 'access', 'record', 'presence', 'claims'],
  renewal: ['access', 'record', 'presence'],
  serving: ['record', 'addresses'],
  other: [],
};

/** Whether a request of this path needs the fact; the others may be left unread. */
export function needs(path: RequestPath, fact: FactName): boolean {
  return NEEDED[path].includes(fact);
}

/** A fact that this path does not need. */
export const NOT_NEEDED: Fact<never> = { known: false, why: 'not needed for this request' };
