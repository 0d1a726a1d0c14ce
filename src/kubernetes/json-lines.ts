import { RemoteError } from '../errors.ts';

/** etcd takes objects of 1.5 MB, whose bytes are base64 in JSON. */
const LARGEST_LINE = 8 * 1024 * 1024;

/** What comes in pieces, cut into lines, each of which is parsed. */
export class JsonLines {
  readonly #onLine: (value: unknown) => 'more' | 'enough';
  #rest: Buffer[] = [];
  #size = 0;

  constructor(onLine: (value: unknown) => 'more' | 'enough') {
    this.#onLine = onLine;
  }

  /**
   * Hands over the lines that end in this piece, until one is enough. Throws RemoteError `Unreadable` at one that is no
   * JSON, or that does not end, and what `onLine` throws.
   */
  take(chunk: Buffer): 'more' | 'enough' {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line = this.#lineTo(chunk, start, end);
      start = end + 1;
      if (line.trim() !== '' && this.#onLine(parseLine(line)) === 'enough') return 'enough';
    }
    if (start < chunk.length) this.#rest.push(chunk.subarray(start));
    this.#size += chunk.length - start;
    if (this.#size <= LARGEST_LINE) return 'more';
    throw new RemoteError('kubernetes', 'Unreadable', 'watch: a line of more than 8 MiB');
  }

  #lineTo(chunk: Buffer, start: number, end: number): string {
    if (this.#rest.length === 0) return chunk.toString('utf8', start, end);
    const line = Buffer.concat([...this.#rest, chunk.subarray(start, end)]);
    this.#rest = [];
    this.#size = 0;
    return line.toString('utf8');
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new RemoteError('kubernetes', 'Unreadable', 'watch: a line that is no JSON');
  }
}
