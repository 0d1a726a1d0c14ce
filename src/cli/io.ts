/** What a command may touch of the outside. Only `main.ts` makes one from the real process. */
export interface Io {
  /** Results, and nothing else. */
  out(text: string): void;
  /** Everything that is no result: progress, warnings, errors. */
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts on SIGINT and SIGTERM. */
  readonly interrupted: AbortSignal;
}
