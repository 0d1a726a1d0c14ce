import { askedMs, isRemote } from '../errors.ts';
import { backoff, type Clock } from '../runtime/clock.ts';
import { VaultFailure } from './failure.ts';

/** So many failures in a row are Vault's, and not those of single calls. */
const FAILURES = 3;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5_000;

/**
 * A circuit breaker around all calls to Vault: after three outages in a row calls fail at once, with what was wrong, and
 * one at a time finds out whether Vault is back, after growing waits or what Vault asked for.
 */
export class CallBreaker {
  readonly #clock: Clock;
  readonly #random: () => number;
  #failures = 0;
  #last: VaultFailure | undefined;
  #until = 0;
  #probing = false;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Makes the call, unless it is known to be of no use: then throws what the last one threw. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    const last = this.#last;
    if (last === undefined) return this.#watched(call);
    if (this.#probing || this.#clock.monotonic() < this.#until) throw this.#heldBack(last);
    this.#probing = true;
    try {
      return await this.#watched(call);
    } finally {
      this.#probing = false;
    }
  }

  async #watched<T>(call: () => Promise<T>): Promise<T> {
    try {
      const answer = await call();
      this.#close();
      return answer;
    } catch (error) {
      if (error instanceof VaultFailure && isOutage(error)) this.#fail(error);
      // It answered, whatever it said; a call that was given up says nothing.
      else if (isRemote(error)) this.#close();
      throw error;
    }
  }

  #close(): void {
    this.#failures = 0;
    this.#last = undefined;
  }

  #fail(error: VaultFailure): void {
    const now = this.#clock.monotonic();
    // those that were under way together failed for the same reason
    if (this.#last !== undefined && now < this.#until) return;
    this.#failures += 1;
    if (this.#failures < FAILURES) return;
    const wait = backoff(this.#failures - FAILURES, FIRST_WAIT_MS, LONGEST_WAIT_MS, this.#random);
    this.#until = now + Math.max(wait, askedMs(error));
    this.#last = error;
  }

  #heldBack(last: VaultFailure): VaultFailure {
    const retryAfterMs = Math.max(this.#until - this.#clock.monotonic(), 0);
    return new VaultFailure(last.code, last.why, `not tried now, for the last call came to: ${last.message}`, {
      status: last.status,
      retryAfterMs,
    });
  }
}

function isOutage(error: VaultFailure): boolean {
  return isRemote(error, 'Unavailable', 'Sealed', 'TooManyRequests');
}
