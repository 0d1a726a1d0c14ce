import { isRemote } from '../errors.ts';
import { claimsMapOf, formatClaim, tokenOfClaimsMap } from '../nodes/record-format.ts';
import type { Claim } from '../nodes/token-claims.ts';
import type { StateMap, StateMaps, Store } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Claims } from './fact-gatherer.ts';
import type { ClaimRequest } from './seats.ts';

export interface ClaimDeskOptions {
  /** What is stored, as the watch shows it. */
  readonly stored: Store<StateMap>;
  readonly maps: StateMaps;
  readonly clock: Clock;
}

export type Claimed = 'claimed' | 'usedUp';

interface Waiting {
  readonly request: ClaimRequest;
  readonly resolve: (outcome: Claimed) => void;
  readonly reject: (error: unknown) => void;
}

const CONFLICTS_AT_MOST = 20;
/** Claims this young may be of a token that the watch has not shown yet. */
const YOUNG_MS = 5 * 60_000;
const NONE: ReadonlyMap<string, Claim> = new Map();

/**
 * Takes uses of tokens of a limited number of them (DESIGN D8). The claims of one token stand in one ConfigMap, which is
 * written with the version that was read: never more nodes than uses, however many ask, also of two processes. Those
 * that ask while a write is under way share the next one.
 */
export class ClaimDesk implements Claims {
  readonly #options: ClaimDeskOptions;
  /** As they were last read or written, by token; newer than what the watch shows. */
  readonly #latest = new Map<string, StateMap>();
  readonly #waiting = new Map<string, Waiting[]>();

  constructor(options: ClaimDeskOptions) {
    this.#options = options;
  }

  fresh(): boolean {
    return this.#options.stored.fresh();
  }

  usedByOthers(tokenId: string, node: string): number {
    const claims = this.claimsOf(tokenId);
    return claims.size - (claims.has(node) ? 1 : 0);
  }

  /** Claims by node, as far as is known here. */
  claimsOf(tokenId: string): ReadonlyMap<string, Claim> {
    const latest = this.#latest.get(tokenId)?.claims ?? NONE;
    const shown = this.#options.stored.get(claimsMapOf(tokenId))?.claims ?? NONE;
    return latest.size > shown.size ? latest : shown;
  }

  /**
   * Takes a use for the node, or finds that it has one. Throws the RemoteError of the write; what was written although
   * its answer was lost is found the next time.
   */
  claim(request: ClaimRequest, signal: AbortSignal): Promise<Claimed> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(request.tokenId);
      if (waiting !== undefined) {
        waiting.push({ request, resolve, reject });
        return;
      }
      this.#waiting.set(request.tokenId, [{ request, resolve, reject }]);
      void this.#serve(request.tokenId, signal);
    });
  }

  /** Removes the claims of tokens that are gone. Throws RemoteError. */
  async sweep(exists: (tokenId: string) => boolean, signal: AbortSignal): Promise<void> {
    const now = this.#options.clock.now();
    for (const map of this.#options.stored.values()) {
      const tokenId = tokenOfClaimsMap(map.name);
      if (tokenId === undefined || exists(tokenId) || map.createdAt + YOUNG_MS > now) continue;
      await this.#options.maps.remove(map, signal);
      this.#latest.delete(tokenId);
    }
  }

  async #serve(tokenId: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      const batch = this.#waiting.get(tokenId) ?? [];
      if (batch.length === 0) {
        this.#waiting.delete(tokenId);
        return;
      }
      this.#waiting.set(tokenId, []);
      try {
        const claims = await this.#write(
          tokenId,
          batch.map(({ request }) => request),
          signal,
        );
        for (const { request, resolve } of batch) resolve(claims.has(request.node) ? 'claimed' : 'usedUp');
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
  }

  /** The claims after as many of these as there were uses left for. */
  async #write(
    tokenId: string,
    requests: readonly ClaimRequest[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Claim>> {
    const { maps } = this.#options;
    const name = claimsMapOf(tokenId);
    let map = this.#latest.get(tokenId) ?? this.#options.stored.get(name);
    for (let attempt = 1; ; attempt += 1) {
      const claims = new Map(map?.claims ?? NONE);
      const changes: Record<string, string> = {};
      for (const { node, key, at, uses } of requests) {
        const held = claims.get(node);
        if (held?.key === key || (held === undefined && claims.size >= uses)) continue;
        claims.set(node, { node, key, at: held?.at ?? at });
        changes[node] = formatClaim({ node, key, at: held?.at ?? at });
      }
      if (Object.keys(changes).length === 0) return claims;
      try {
        const written = await maps.write(name, changes, map?.resourceVersion ?? '', signal);
        this.#latest.set(tokenId, written);
        return written.claims;
      } catch (error) {
        // Whatever happened, what stands there now is the truth.
        this.#latest.delete(tokenId);
        if (!isRemote(error, 'Conflict', 'NotFound') || attempt === CONFLICTS_AT_MOST) throw error;
        map = await maps.get(name, signal);
      }
    }
  }
}
