import { isRemote, messageOf } from '../errors.ts';
import type { Fact } from '../policy/facts.ts';
import type { AccessAnswer, AccessKind, AccessReviewer, Requester } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { BOOTSTRAPPERS_GROUP, groupOfBinding, readBinding } from '../tokens/binding.ts';

export interface AccessOptions {
  readonly reviewer: AccessReviewer;
  readonly clock: Clock;
  /** `class`: by the groups of a whole class, kept for a while; `full`: every requester by itself. */
  readonly mode: 'class' | 'full';
}

const YES_MS = 5_000;
const NO_MS = 30_000;
/** Reviews of single users whose class has a no. */
const FULL_REVIEWS_MS = 500;

interface Kept {
  readonly answer: Promise<AccessAnswer>;
  readonly until: number;
}

/**
 * Access reviews by class (DESIGN D7): a review per CSR would cost a fifth of the whole throughput, and a class that
 * lacks its binding would ask the API server for ever. A yes is kept for 5 s, a no for 30 s.
 */
export class AccessByClass {
  readonly #options: AccessOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #nextFull = new Map<AccessKind, number>();

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** Whether RBAC lets this requester be approved without a human. Throws what is worth a retry; anything else that keeps us from it is not known. */
  async review(kind: AccessKind, requester: Requester, signal: AbortSignal): Promise<Fact<AccessAnswer>> {
    try {
      if (this.#options.mode === 'full') {
        return { known: true, value: await this.#options.reviewer.review(kind, requester, signal) };
      }
      for (const groups of classesOf(kind, requester)) {
        const answer = await this.#ofClass(kind, groups, signal);
        if (answer.allowed) return { known: true, value: answer };
      }
      return await this.#ofUser(kind, requester, signal);
    } catch (error) {
      // "Not now" is no fact: the CSR is tried again, with back-off and what the server asked for.
      if (isRemote(error, 'Unavailable', 'TooManyRequests')) throw error;
      return { known: false, why: messageOf(error) };
    }
  }

  #ofClass(kind: AccessKind, groups: readonly string[], signal: AbortSignal): Promise<AccessAnswer> {
    const subject = { username: '', uid: '', groups: [...groups, 'system:authenticated'], extra: {} };
    const key = JSON.stringify([kind, subject]);
    return this.#keptAnswer(key) ?? this.#ask(key, kind, subject, signal);
  }

  /** The signer asks again for whom the approver has just asked: that answer is kept, too. */
  async #ofUser(kind: AccessKind, requester: Requester, signal: AbortSignal): Promise<Fact<AccessAnswer>> {
    const key = JSON.stringify([kind, requester]);
    const kept = this.#keptAnswer(key);
    if (kept !== undefined) return { known: true, value: await kept };
    const now = this.#options.clock.monotonic();
    if (now < (this.#nextFull.get(kind) ?? Number.NEGATIVE_INFINITY))
      return { known: true, value: { allowed: false, reason: 'no binding for the class' } };
    this.#nextFull.set(kind, now + FULL_REVIEWS_MS);
    return { known: true, value: await this.#ask(key, kind, requester, signal) };
  }

  #keptAnswer(key: string): Promise<AccessAnswer> | undefined {
    const kept = this.#kept.get(key);
    return kept !== undefined && this.#options.clock.monotonic() < kept.until ? kept.answer : undefined;
  }

  #ask(key: string, kind: AccessKind, subject: Requester, signal: AbortSignal): Promise<AccessAnswer> {
    const { clock, reviewer } = this.#options;
    const now = clock.monotonic();
    for (const [old, { until }] of this.#kept) if (until <= now) this.#kept.delete(old);
    const answer = reviewer.review(kind, subject, signal);
    // Those that ask meanwhile share this one; an error is not kept.
    this.#kept.set(key, { answer, until: Number.POSITIVE_INFINITY });
    answer.then(
      ({ allowed }) => this.#kept.set(key, { answer, until: clock.monotonic() + (allowed ? YES_MS : NO_MS) }),
      () => this.#kept.delete(key),
    );
    return answer;
  }
}

/** The groups to ask with, most general first; a node's own group would never be asked twice. */
function classesOf(kind: AccessKind, requester: Requester): string[][] {
  if (kind === 'selfnodeclient') return [['system:nodes']];
  const reading = readBinding(requester.groups);
  const pool =
    reading.kind === 'bound' && reading.binding.kind === 'pool' ? groupOfBinding(reading.binding) : undefined;
  return pool === undefined ? [[BOOTSTRAPPERS_GROUP]] : [[BOOTSTRAPPERS_GROUP], [BOOTSTRAPPERS_GROUP, pool]];
}
