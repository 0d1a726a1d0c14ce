import { isRemote, messageOf } from '../errors.ts';
import {
  type AddressFacts,
  type ClaimStanding,
  type Fact,
  type FactName,
  type Facts,
  needs,
  NOT_NEEDED,
  type NodePresence,
} from '../policy/facts.ts';
import type { NodeRecord } from '../nodes/node-record.ts';
import type { PolicyConfig } from '../policy/policy-config.ts';
import type { RequestView } from '../policy/request.ts';
import { accessKind } from '../policy/shared-rules.ts';
import type { AccessAnswer, NodeLeases, NodeObject, Requester, Store } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Releases } from './releases.ts';
import { readBinding } from '../tokens/binding.ts';
import type { TokenRecord } from '../tokens/token-secret.ts';

/** What is remembered of nodes, in memory. */
export interface NodeRecords {
  /** False until everything that was stored is read, and when it may be old. */
  fresh(): boolean;
  /** Unknown when what is stored cannot be read. */
  get(node: string): Fact<NodeRecord | undefined>;
  /** Nodes of the pool with a certificate that is valid at `now`, or about to get one; `node` itself not counted. */
  othersInPool(pool: string, node: string, now: number): number;
}

/** Who has used a token, in memory. */
export interface Claims {
  fresh(): boolean;
  usedByOthers(tokenId: string, node: string): number;
}

/** Whose addresses are whose. */
export interface AddressSources {
  factsFor(request: RequestView, policy: PolicyConfig): Fact<AddressFacts>;
}

export interface FactSources {
  readonly tokens: Store<TokenRecord>;
  readonly access: {
    review(
      kind: 'nodeclient' | 'selfnodeclient',
      requester: Requester,
      signal: AbortSignal,
    ): Promise<Fact<AccessAnswer>>;
  };
  readonly records: NodeRecords;
  readonly releases: Pick<Releases, 'isFor'>;
  readonly nodes: Pick<Store<NodeObject>, 'get' | 'fresh'>;
  readonly leases: NodeLeases;
  readonly claims: Claims;
  readonly addresses: AddressSources;
  readonly clock: Clock;
}

/**
 * Reads what a decision needs (DESIGN D3). Everything is in memory but for the access review, which is kept for seconds,
 * and the Lease of a Node that exists. What cannot be read is a fact that is not known, with the reason; what is worth
 * a retry is thrown.
 */
export class FactGatherer {
  readonly #sources: FactSources;
  /** CSRs, by uid, that were made while their node was alive. */
  readonly #madeWhileLive = new Set<string>();

  constructor(sources: FactSources) {
    this.#sources = sources;
  }

  /** To be told when a CSR is settled or gone. */
  forget(uid: string): void {
    this.#madeWhileLive.delete(uid);
  }

  async gather(
    request: RequestView,
    policy: PolicyConfig,
    supersededBy: string | undefined,
    signal: AbortSignal,
  ): Promise<Facts> {
    const { clock, access, addresses } = this.#sources;
    const { path, csr, nodeName } = request;
    const when = <T>(fact: FactName, read: () => Fact<T>): Fact<T> => (needs(path, fact) ? read() : NOT_NEEDED);
    return {
      now: clock.now(),
      token: when('token', () => this.#token(request.tokenId)),
      access: needs(path, 'access') ? await access.review(accessKind(path), csr.requester, signal) : NOT_NEEDED,
      record: when('record', () => this.#record(request)),
      presence:
        needs(path, 'presence') && nodeName !== undefined ? await this.#presence(request, policy, signal) : NOT_NEEDED,
      claims: when('claims', () => this.#claims(request, policy)),
      addresses: when('addresses', () => addresses.factsFor(request, policy)),
      supersededBy,
    };
  }

  #token(id: string | undefined): Fact<TokenRecord | undefined> {
    const { tokens } = this.#sources;
    if (id === undefined) return NOT_NEEDED;
    const record = tokens.get(id);
    if (!tokens.fresh()) return { known: false, why: 'the watch on bootstrap tokens is not up to date' };
    return { known: true, value: record };
  }

  #record({ nodeName, csr }: RequestView): Fact<NodeRecord | undefined> {
    const { records, releases } = this.#sources;
    const fact = recordFact(records, nodeName);
    if (!fact.known || fact.value?.release === undefined || releases.isFor(fact.value.node, csr.uid)) return fact;
    return { known: true, value: { ...fact.value, release: undefined } };
  }

  async #presence(
    { csr, nodeName = '', path }: RequestView,
    policy: PolicyConfig,
    signal: AbortSignal,
  ): Promise<Fact<NodePresence>> {
    const { nodes, leases } = this.#sources;
    if (!nodes.fresh()) return { known: false, why: 'the watch on nodes is not up to date' };
    const exists = nodes.get(nodeName) !== undefined;
    const wasLive = this.#madeWhileLive.has(csr.uid);
    if (!exists || path !== 'bootstrap') return { known: true, value: { exists, renewedAt: undefined, wasLive } };
    try {
      const renewedAt = await leases.renewedAt(nodeName, signal);
      if (renewedAt !== undefined && renewedAt + policy.staleAfterMs > csr.createdAt) this.#madeWhileLive.add(csr.uid);
      return { known: true, value: { exists, renewedAt, wasLive } };
    } catch (error) {
      // "Not now" is no fact: the CSR is tried again, with back-off and what the server asked for.
      if (isRemote(error, 'Unavailable', 'TooManyRequests')) throw error;
      return { known: false, why: `the Lease of ${nodeName}: ${messageOf(error)}` };
    }
  }

  #claims({ tokenId, nodeName, csr }: RequestView, policy: PolicyConfig): Fact<ClaimStanding> {
    const { tokens, claims, records, clock } = this.#sources;
    if (tokenId === undefined || nodeName === undefined) return NOT_NEEDED;
    if (!claims.fresh() || !records.fresh()) return { known: false, why: 'the watch on claims is not up to date' };
    const uses = tokens.get(tokenId)?.uses;
    const reading = readBinding(csr.requester.groups);
    const pool = reading.kind === 'bound' && reading.binding.kind === 'pool' ? reading.binding.pool : undefined;
    return {
      known: true,
      value: {
        uses,
        usedByOthers: uses === undefined ? 0 : claims.usedByOthers(tokenId, nodeName),
        // Counted only where somebody wants to know: it takes a look at every node.
        othersInPool:
          pool === undefined || policy.pools.get(pool)?.maxNodes === undefined
            ? 0
            : records.othersInPool(pool, nodeName, clock.now()),
      },
    };
  }
}

/** What is on record of the node, or why that is not known. */
export function recordFact(
  records: Pick<NodeRecords, 'fresh' | 'get'>,
  node: string | undefined,
): Fact<NodeRecord | undefined> {
  if (node === undefined) return NOT_NEEDED;
  if (!records.fresh()) return { known: false, why: 'the watch on node records is not up to date' };
  return records.get(node);
}
