/** What the programs of this project have written, for whoever wants to look through it. */
export interface Said {
  /** `bootstrap-token issue --nodes FILE`, or the name of a service or script. */
  readonly program: string;
  readonly stdout: string;
  readonly stderr: string;
}

type Reader = (said: Said) => void;

/** Of this process: tests of many files share it. */
const readers = new Set<Reader>();

/** Has `reader` told of all that is said from now on. */
export function readSaid(reader: Reader): void {
  readers.add(reader);
}

/** Tells of what a program has written from its start to its end. */
export function tellSaid(said: Said): void {
  for (const reader of readers) reader(said);
}
