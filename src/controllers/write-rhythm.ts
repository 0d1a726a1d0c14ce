import { backoff, type Clock } from '../runtime/clock.ts';

/** Changes are written when none came for so long: a certificate costs no write of its own (DESIGN D6). */
const GROUP_MS = 5_000;
/** However many changes come. The issued CSRs are the journal until then, and stay. */
const LONGEST_GROUP_MS = 60_000;
/** A shard costs the API server 16 ms: while many certificates are issued, writing takes a tenth of the time at most. */
const REST_AFTER_WRITING = 9;
const FIRST_RETRY_MS = 1_000;
const MOST_RETRY_MS = 60_000;

/** When node records are written: many together, as one costs much the same as fifty. */
export class WriteRhythm {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #write: () => void;
  #timer: (() => void) | undefined;
  #failures = 0;
  #restUntil = 0;
  /** When the last change came, and the first that is not written. */
  #changedAt = 0;
  #groupFrom = 0;

  /** `write` is called when it is time. */
  constructor(clock: Clock, random: () => number, write: () => void) {
    this.#clock = clock;
    this.#random = random;
    this.#write = write;
  }

  /** To be told of every change, and whether it is the first that is not written. */
  changed(isFirst: boolean): void {
    const now = this.#clock.monotonic();
    if (isFirst) this.#groupFrom = now;
    this.#changedAt = now;
    this.#plan(Math.max(GROUP_MS, this.#restUntil - now));
  }

  /** Plans nothing any more, until something changes. */
  cancel(): void {
    this.#timer?.();
    this.#timer = undefined;
  }

  /** To be told when a write begins; the answer is to be told when it has ended, and whether it is to be tried again. */
  begin(): (again: boolean) => void {
    const from = this.#clock.monotonic();
    this.#groupFrom = from;
    return (again) => {
      const now = this.#clock.monotonic();
      this.#restUntil = now + Math.min((now - from) * REST_AFTER_WRITING, LONGEST_GROUP_MS);
      this.#failures = again ? this.#failures + 1 : 0;
      if (again) this.#plan(backoff(this.#failures, FIRST_RETRY_MS, MOST_RETRY_MS, this.#random));
    };
  }

  #plan(ms: number): void {
    this.#timer ??= this.#clock.after(ms, () => {
      this.#timer = undefined;
      const now = this.#clock.monotonic();
      const quietAt = Math.min(this.#changedAt + GROUP_MS, this.#groupFrom + LONGEST_GROUP_MS);
      if (now < quietAt) this.#plan(quietAt - now);
      else this.#write();
    });
  }
}
