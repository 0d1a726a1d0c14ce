import type { Clock } from './clock.ts';

/** Gives up on somebody who says nothing for too long. */
export class Silence {
  readonly #clock: Clock;
  readonly #mostMs: number;
  readonly #broken = new AbortController();
  #heardAt: number;
  #cancel: () => void = () => {};
  /** Aborts with `parent`, and when nothing was heard for `mostMs`. */
  readonly signal: AbortSignal;

  constructor(clock: Clock, mostMs: number, parent: AbortSignal) {
    this.#clock = clock;
    this.#mostMs = mostMs;
    this.#heardAt = clock.monotonic();
    this.signal = AbortSignal.any([parent, this.#broken.signal]);
    this.#expect(mostMs);
  }

  /** Whether it was too long. */
  get isTooLong(): boolean {
    return this.#broken.signal.aborted;
  }

  /** Answers the time at which it was, on the monotonic clock. */
  heard(): number {
    return (this.#heardAt = this.#clock.monotonic());
  }

  /** Nothing is expected any more. */
  end(): void {
    this.#cancel();
  }

  /** One timer for many words: it looks when it is over how long the silence has been. */
  #expect(ms: number): void {
    this.#cancel = this.#clock.after(ms, () => {
      const left = this.#heardAt + this.#mostMs - this.#clock.monotonic();
      if (left > 0) this.#expect(left);
      else this.#broken.abort();
    });
  }
}
