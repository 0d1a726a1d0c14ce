import type { Clock } from './clock.ts';

/** Timers are not finer. */
const FINEST_MS = 1;
/** What was kept from beginning is made up for no further back: after a pause nothing comes in a burst. */
const MADE_UP_FOR_MS = 20;

/** Lets no more than so many begin in a second, and those evenly. */
export class Rate {
  readonly #clock: Clock;
  readonly #apartMs: number;
  #nextAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#apartMs = 1_000 / perSecond;
  }

  /** Lets nothing begin for so long; what waits for its turn already has it. */
  pause(ms: number): void {
    this.#nextAt = Math.max(this.#nextAt, this.#clock.monotonic() + ms);
  }

  /** Resolves when the next one may begin, or when `signal` is aborted. */
  async turn(signal: AbortSignal): Promise<void> {
    const now = this.#clock.monotonic();
    const at = Math.max(this.#nextAt, now - MADE_UP_FOR_MS);
    this.#nextAt = at + this.#apartMs;
    if (at - now >= FINEST_MS) await this.#clock.sleep(at - now, signal);
  }
}
