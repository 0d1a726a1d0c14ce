import type { Clock } from './clock.ts';

/** How long others are let go first: requests that never cease keep nothing from being done. */
const MOST_YIELDED_MS = 25;

/** The work that somebody waits for; what nobody waits for begins between. */
export class Foreground {
  readonly #clock: Pick<Clock, 'after'>;
  #inHand = 0;
  /** Each ends one wait for a lull. */
  readonly #waiting = new Set<() => void>();

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock;
  }

  /** Has `work` in hand until it settles, and settles as it does. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    this.#inHand += 1;
    try {
      return await work();
    } finally {
      this.#inHand -= 1;
      if (this.#inHand === 0) for (const goOn of this.#waiting) goOn();
    }
  }

  /** Resolves when nothing is in hand, after 25 ms at most, or when `signal` is aborted. */
  async lull(signal: AbortSignal): Promise<void> {
    if (this.#inHand === 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const goOn = (): void => {
        cancelTimer();
        signal.removeEventListener('abort', goOn);
        this.#waiting.delete(goOn);
        resolve();
      };
      const cancelTimer = this.#clock.after(MOST_YIELDED_MS, goOn);
      signal.addEventListener('abort', goOn, { once: true });
      this.#waiting.add(goOn);
    });
  }
}
