import type { NodeRecord, Release } from '../nodes/node-record.ts';
import type { Clock } from '../runtime/clock.ts';

/** Until then the one request that was let through has its certificate, or another may have the release. */
const HELD_MS = 60_000;

/**
 * A release lets one first certificate through, not all that wait for it (DESIGN D9): it is held for the request that
 * takes it, and over with its certificate, before that is written down.
 */
export class Releases {
  readonly #clock: Clock;
  /** Uid of the CSR that took it, by node. */
  readonly #held = new Map<string, { readonly uid: string; readonly until: number }>();
  /** Ends of the releases that are over, by node. */
  readonly #used = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** False while it is held for another request. */
  take(node: string, uid: string): boolean {
    const now = this.#clock.monotonic();
    for (const [each, { until }] of this.#held) if (until <= now) this.#held.delete(each);
    const held = this.#held.get(node);
    if (held !== undefined && held.uid !== uid) return false;
    this.#held.set(node, { uid, until: now + HELD_MS });
    return true;
  }

  /** Whether a release of the node is for this request, as far as others have taken it. */
  isFor(node: string, uid: string): boolean {
    const held = this.#held.get(node);
    return held === undefined || held.uid === uid || held.until <= this.#clock.monotonic();
  }

  /** To be told how a certificate changed the record of its node. */
  changed(before: NodeRecord, { node, token }: NodeRecord): void {
    if (before.release !== undefined && token?.usedAt !== before.token?.usedAt) {
      this.#used.set(node, before.release.until);
    }
  }

  /** Whether this release, as it is stored, is over. */
  isUsed(node: string, release: Release | undefined): boolean {
    return release !== undefined && this.#used.get(node) === release.until;
  }

  /** To be told what is stored: what is gone there need not be remembered. */
  stored(node: string, release: Release | undefined): void {
    if (!this.isUsed(node, release)) this.#used.delete(node);
  }
}
