import type { Clock } from '../runtime/clock.ts';
import type { Io } from './io.ts';

/** On a terminal, the line is drawn again at most so often. */
const REDRAW_MS = 100;
/** Elsewhere there is a line for each of so many parts of the work. */
const PARTS = 10;

/** How far long work is, on stderr: one line that is drawn again on a terminal, ten lines in all elsewhere. */
export class Progress {
  readonly #total: number;
  readonly #io: Pick<Io, 'err' | 'draws'>;
  readonly #clock: Clock;
  readonly #what: string;
  readonly #counts = new Map<string, number>();
  #done = 0;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(total: number, io: Pick<Io, 'err' | 'draws'>, clock: Clock, what = 'nodes done') {
    this.#total = total;
    this.#io = io;
    this.#clock = clock;
    this.#what = what;
  }

  /** One more is done, with this outcome; a remark gets a line of its own. */
  step(outcome: string, remark?: string): void {
    const before = this.#part();
    this.#done += 1;
    this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1);
    if (remark !== undefined) this.#io.err(`${this.#io.draws ? CLEARED : ''}${remark}\n`);
    if (!this.#io.draws) {
      if (this.#part() > before && this.#done < this.#total) this.#io.err(`${this.#text()}\n`);
      return;
    }
    const now = this.#clock.monotonic();
    if (remark === undefined && now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    this.#io.err(CLEARED + this.#bar() + this.#text());
  }

  /** The last line: what became of all that was done. */
  end(): void {
    this.#io.err(`${this.#io.draws ? CLEARED : ''}${this.#text()}\n`);
  }

  #part(): number {
    return Math.floor((this.#done * PARTS) / this.#total);
  }

  #bar(): string {
    const filled = Math.floor((this.#done * BAR) / this.#total);
    return `[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] `;
  }

  #text(): string {
    const counts = [...this.#counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
    return `${this.#done} of ${this.#total} ${this.#what}${counts === '' ? '' : `: ${counts}`}`;
  }
}

const BAR = 20;
/** To the first column, and the rest of the line away. */
const CLEARED = '\r\u001B[K';
