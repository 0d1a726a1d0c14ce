import type { Clock } from './clock.ts';

/** With fewer under way every ms counts more than what is saved. */
const FEWEST_UNDER_WAY = 8;
const LONGEST_WAIT_MS = 5;

/**
 * Lets the outcomes of what is under way go on together, half of it at a time, while there is much of it (cohort
 * scheduling, Larus and Parkes 2002): steps that are taken for many, one right after the other, find code and tables in
 * the processor's caches, and cost a fifth less. A timer of 5 ms ends the wait for company.
 */
export class Cohort {
  readonly #clock: Pick<Clock, 'after'>;
  #underWay = 0;
  #waiting: (() => void)[] = [];
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock;
  }

  /** The outcome of `work`, good or bad, as it is. */
  async join<T>(work: Promise<T>): Promise<T> {
    this.#underWay += 1;
    try {
      return await work;
    } finally {
      await this.#company();
    }
  }

  #company(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#underWay < FEWEST_UNDER_WAY || this.#waiting.length * 2 >= this.#underWay) this.#goOn();
      else this.#cancelTimer ??= this.#clock.after(LONGEST_WAIT_MS, () => this.#goOn());
    });
  }

  #goOn(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const together = this.#waiting;
    this.#waiting = [];
    this.#underWay -= together.length;
    for (const resolve of together) resolve();
  }
}
