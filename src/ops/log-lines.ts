import type { Clock } from '../runtime/clock.ts';

/** More than this is not kept back, and nothing for longer. */
const MOST_CHARACTERS = 64 * 1024;
const LONGEST_MS = 20;

/**
 * Writes lines that come shortly after one another together: a write takes longer than to make its line, and nothing
 * else is done meanwhile. Warnings are written at once, with all that came before: the process may be about to end.
 */
export class LogLines {
  readonly #write: (text: string) => void;
  readonly #clock: Pick<Clock, 'after'>;
  #kept = '';

  constructor(write: (text: string) => void, clock: Pick<Clock, 'after'>) {
    this.#write = write;
    this.#clock = clock;
  }

  /** Takes a line with its newline. */
  add(line: string, isWarning: boolean): void {
    const isFirst = this.#kept === '';
    this.#kept += line;
    if (isWarning || this.#kept.length >= MOST_CHARACTERS) this.flush();
    else if (isFirst) this.#clock.after(LONGEST_MS, () => this.flush());
  }

  /** Writes what is kept. */
  flush(): void {
    const text = this.#kept;
    this.#kept = '';
    if (text !== '') this.#write(text);
  }
}
