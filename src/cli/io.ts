/** What a command may touch of the outside. Only `main.ts` makes one from the real process. */
export interface Io {
  /** Results, and nothing else. */
  out(text: string): void;
  /** Everything that is no result: progress, warnings, errors. */
  err(text: string): void;
  /** All of stdin, as text. */
  input(): Promise<string>;
  /** Asks on stderr and answers a line of stdin; undefined where nobody is there to ask: one of them is no terminal. */
  ask(question: string): Promise<string | undefined>;
  /** stderr is a terminal, on which a line can be drawn again. */
  readonly draws: boolean;
  /** Has `run` called when the process ends, however it does; it may still write. */
  atExit(run: () => void): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts on SIGINT and SIGTERM. */
  readonly interrupted: AbortSignal;
}
