import { type RequestView } from '../policy/request.ts';
import type { Clock } from '../runtime/clock.ts';
import { readBinding } from '../tokens/binding.ts';
import type { Facts } from '../policy/facts.ts';
import type { Decision } from './decider.ts';
import type { PolicyConfig } from '../policy/policy-config.ts';
import type { NodeRecords } from './fact-gatherer.ts';
import type { Releases } from './releases.ts';

/** One use of a token of a limited number of uses. */
export interface ClaimRequest {
  readonly tokenId: string;
  readonly uses: number;
  readonly node: string;
  /** SHA-256 of the SubjectPublicKeyInfo that was asked with, hex. */
  readonly key: string;
  /** ms since the epoch. */
  readonly at: number;
}

export interface SeatsOptions {
  readonly claims: { claim(request: ClaimRequest, signal: AbortSignal): Promise<'claimed' | 'usedUp'> };
  readonly records: Pick<NodeRecords, 'othersInPool'> & { reserve(node: string, pool: string): void };
  readonly releases: Pick<Releases, 'take'>;
  readonly policy: () => PolicyConfig;
  readonly clock: Clock;
}

/**
 * Takes what is counted before an approval or a certificate is written (DESIGN D8): a use of the token, a place in a pool
 * of limited size, and the release of a node. Many decisions are made at the same time on the same facts; here they come one after the other.
 * What a node has taken it may take again, so the signer takes what the approver took, and what no rival has.
 */
export class Seats {
  readonly #options: SeatsOptions;

  constructor(options: SeatsOptions) {
    this.#options = options;
  }

  /** False when others have taken the last one. Throws what is worth a retry. */
  async take(request: RequestView, { facts }: Decision, signal: AbortSignal): Promise<boolean> {
    const { claims, clock } = this.#options;
    const { path, nodeName, tokenId } = request;
    if (path !== 'bootstrap' || nodeName === undefined || tokenId === undefined) return true;
    if (!this.#takeRelease(request, nodeName, facts) || !this.#reserve(request, nodeName)) return false;
    const uses = facts.claims.known ? facts.claims.value.uses : undefined;
    if (uses === undefined) return true;
    const key = request.keyFingerprint();
    return (await claims.claim({ tokenId, uses, node: nodeName, key, at: clock.now() }, signal)) === 'claimed';
  }

  /** Where the node is there, it is the release that lets the request through, unless its token does. */
  #takeRelease({ csr }: RequestView, nodeName: string, { presence, record, token, now }: Facts): boolean {
    const until = record.known ? record.value?.release?.until : undefined;
    const needed = presence.known && presence.value.exists && !(token.known && token.value?.replacesLive === true);
    return !needed || until === undefined || until <= now || this.#options.releases.take(nodeName, csr.uid);
  }

  #reserve({ csr }: RequestView, nodeName: string): boolean {
    const { records, policy, clock } = this.#options;
    const reading = readBinding(csr.requester.groups);
    if (reading.kind !== 'bound' || reading.binding.kind !== 'pool') return true;
    const { pool } = reading.binding;
    const most = policy().pools.get(pool)?.maxNodes;
    if (most === undefined) return true;
    if (records.othersInPool(pool, nodeName, clock.now()) >= most) return false;
    records.reserve(nodeName, pool);
    return true;
  }
}
