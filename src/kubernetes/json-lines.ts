import { RemoteError } from '../errors.ts';

/** etcd takes objects of 1.5 MB, whose bytes are base64 in JSON. */
const LARGEST_LINE = 8 * 1024 * 1024;

/** The lines of a watch, parsed. Throws RemoteError `Unreadable` at one that is no JSON, or that does not end. */
export async function* parsedLines(body: AsyncIterable<Buffer>): AsyncGenerator<unknown> {
  let rest: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line =
        rest.length === 0
          ? chunk.toString('utf8', start, end)
          : Buffer.concat([...rest, chunk.subarray(start, end)]).toString('utf8');
      rest = [];
      size = 0;
      start = end + 1;
      if (line.trim() !== '') yield parseLine(line);
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > LARGEST_LINE) throw new RemoteError('kubernetes', 'Unreadable', 'watch: a line of more than 8 MiB');
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new RemoteError('kubernetes', 'Unreadable', 'watch: a line that is no JSON');
  }
}
