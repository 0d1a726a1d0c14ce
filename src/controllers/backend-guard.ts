import { isRemote, RefusedError } from '../errors.ts';
import { backoff, type Clock } from '../runtime/clock.ts';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
/** Whoever waits tries again within a minute: an outage without any attempt for longer holds nothing. */
const NOBODY_WAITS_MS = 2 * 60_000;

/** Whether the error is about the backend as a whole, and not about what was to be signed. */
export function isOutage(error: unknown): boolean {
  if (error instanceof RefusedError) return error.code === 'AuthorityUnusable';
  if (!isRemote(error) || error.system !== 'vault') return false;
  return isRemote(error, 'Unavailable', 'Sealed', 'TooManyRequests', 'Unauthorized', 'Forbidden');
}

/**
 * A circuit breaker around the backend that signs: while it is out, one at a time finds out whether it is back, after
 * growing waits; the others are to wait for as long as `heldMs` says.
 */
export class BackendGuard {
  readonly #clock: Clock;
  readonly #onRecovered: () => void;
  #failures = 0;
  #until = 0;
  #probing = false;

  /** `onRecovered` is told when the backend has signed again after an outage. */
  constructor(clock: Clock, onRecovered: () => void) {
    this.#clock = clock;
    this.#onRecovered = onRecovered;
  }

  /** True from a failure of the backend until it signs again. */
  get isOut(): boolean {
    return this.#failures > 0;
  }

  /** The same, and somebody still waits for it. */
  get isHolding(): boolean {
    return this.isOut && this.#clock.monotonic() < this.#until + NOBODY_WAITS_MS;
  }

  /** For how long, in ms, there is no use in trying; undefined when there is. */
  heldMs(): number | undefined {
    if (!this.isOut) return undefined;
    const left = this.#until - this.#clock.monotonic();
    if (left > 0) return left;
    return this.#probing ? FIRST_WAIT_MS : undefined;
  }

  /** Has something signed, and takes note of how that went. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const probes = this.isOut;
    if (probes) this.#probing = true;
    try {
      const signed = await work();
      if (this.isOut) this.#recover();
      return signed;
    } catch (error) {
      if (isOutage(error)) this.#fail();
      throw error;
    } finally {
      if (probes) this.#probing = false;
    }
  }

  #recover(): void {
    this.#failures = 0;
    this.#onRecovered();
  }

  #fail(): void {
    const now = this.#clock.monotonic();
    // those that were under way together failed for the same reason
    if (this.isOut && now < this.#until) return;
    this.#until = now + backoff(this.#failures, FIRST_WAIT_MS, LONGEST_WAIT_MS, () => 1);
    this.#failures += 1;
  }
}
