import type { Clock } from '../runtime/clock.ts';

/** So many are remembered before those that are over are forgotten. */
const SWEEP_FROM = 1_000;

/** Keeps what happens for one key some time apart, whatever happens for others. */
export class Pace {
  readonly #clock: Clock;
  readonly #apartMs: number;
  readonly #nextAt = new Map<string, number>();

  constructor(clock: Clock, apartMs: number) {
    this.#clock = clock;
    this.#apartMs = apartMs;
  }

  /** Takes the next turn of that key. Answers 0, or in how many ms to come again for a turn that is not there yet. */
  take(key: string): number {
    const now = this.#clock.monotonic();
    const left = (this.#nextAt.get(key) ?? now) - now;
    if (left > 0) return left;
    if (this.#nextAt.size >= SWEEP_FROM) {
      for (const [old, at] of this.#nextAt) if (at <= now) this.#nextAt.delete(old);
    }
    this.#nextAt.set(key, now + this.#apartMs);
    return 0;
  }

  /** Gives the turn back that was taken: nothing came of it. */
  giveBack(key: string): void {
    this.#nextAt.delete(key);
  }
}
