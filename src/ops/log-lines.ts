import type { Clock } from '../runtime/clock.ts';

/** More than this is not kept back. */
const MOST_CHARACTERS = 64 * 1024;

/**
 * Writes the lines of one turn of the event loop together: a write takes longer than to make its line. Warnings are
 * written at once, with all that came before: the process may be about to end.
 */
export class LogLines {
  readonly #write: (text: string) => void;
  readonly #clock: Pick<Clock, 'turn'>;
  #kept = '';

  constructor(write: (text: string) => void, clock: Pick<Clock, 'turn'>) {
    this.#write = write;
    this.#clock = clock;
  }

  /** Takes a line with its newline. */
  add(line: string, isWarning: boolean): void {
    const isFirst = this.#kept === '';
    this.#kept += line;
    if (isWarning || this.#kept.length >= MOST_CHARACTERS) this.flush();
    else if (isFirst) void this.#clock.turn().then(() => this.flush());
  }

  /** Writes what is kept. */
  flush(): void {
    const text = this.#kept;
    this.#kept = '';
    if (text !== '') this.#write(text);
  }
}
