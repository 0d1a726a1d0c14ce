import type { Clock } from './clock.ts';

/** How long others are let go first: requests that never cease keep nothing from being done. */
const MOST_YIELDED_MS = 25;
const LOOK_AGAIN_MS = 1;

/** The work that somebody waits for; what nobody waits for begins between. */
export class Foreground {
  readonly #clock: Clock;
  readonly #isBusy: () => boolean;

  /** `isBusy` says whether anything of it is in hand. */
  constructor(clock: Clock, isBusy: () => boolean) {
    this.#clock = clock;
    this.#isBusy = isBusy;
  }

  /** Resolves when nothing is in hand, after 25 ms at most, or when `signal` is aborted. */
  async lull(signal: AbortSignal): Promise<void> {
    const until = this.#clock.monotonic() + MOST_YIELDED_MS;
    while (this.#isBusy() && !signal.aborted && this.#clock.monotonic() < until) {
      await this.#clock.sleep(LOOK_AGAIN_MS, signal);
    }
  }
}
