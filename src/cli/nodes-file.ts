/** The file of `issue --nodes`: one node a line, or CSV. */
import { readFile } from 'node:fs/promises';
import { messageOf, UsageError } from '../errors.ts';
import { canonicalAddress } from '../policy/addresses.ts';
import type { Io } from './io.ts';
import { isHostAddress, problemOfNodeName, readLifetime } from './token-flags.ts';

/** What one line asks for. */
export interface NodeLine {
  /** From 1. */
  readonly line: number;
  readonly node: string;
  /** Undefined where the line has none. */
  readonly lifetimeMs: number | undefined;
  readonly addresses: readonly string[];
}

export interface NodesFile {
  readonly nodes: readonly NodeLine[];
  /** Every problem of every line, with the line's number; nothing is to be done when there is one. */
  readonly problems: readonly { readonly line: number; readonly message: string }[];
}

/** A first line of names instead of values, as spreadsheets write it; a node may be called `node`. */
const HEADER = /^node *, *ttl( *, *address(es)?)?$/i;

/**
 * Reads `node[,ttl][,address ...]` line by line. `#` starts a comment; blank lines, a header, quotes around a column
 * and Windows line ends are fine. A node or an address that stands there twice is a problem.
 */
export function readNodesFile(text: string): NodesFile {
  const nodes: NodeLine[] = [];
  const problems: { line: number; message: string }[] = [];
  const lineOf = new Map<string, number>();
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  for (const [index, raw] of lines.entries()) {
    const line = index + 1;
    const content = raw.replace(/#.*/s, '').trim();
    if (content === '' || (HEADER.test(content) && nodes.length === 0 && problems.length === 0)) continue;
    const report = (message: string): void => void problems.push({ line, message });
    const read = readLine(line, content, report);
    const keys = [`node ${read.node}`, ...read.addresses.map((text) => `address ${canonicalAddress(text) ?? text}`)];
    for (const key of keys) {
      const other = lineOf.get(key);
      if (other === line) report(`${key} stands there twice`);
      else if (other !== undefined) report(`${key} stands in line ${other} already`);
      else lineOf.set(key, line);
    }
    nodes.push(read);
  }
  return { nodes, problems };
}

/** The nodes of a file, `-` for stdin. Throws UsageError with every problem of it, and when there is no node in it. */
export async function loadNodes(path: string, io: Pick<Io, 'input'>): Promise<readonly NodeLine[]> {
  const name = path === '-' ? 'stdin' : path;
  let text: string;
  try {
    text = path === '-' ? await io.input() : await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--nodes ${name}: ${messageOf(error)}`, { cause: error });
  }
  const { nodes, problems } = readNodesFile(text);
  if (problems.length > 0) {
    const listed = problems.map(({ line, message }) => `\n  line ${line}: ${message}`).join('');
    throw new UsageError(`${name}: ${problems.length} problem${problems.length === 1 ? '' : 's'}${listed}`);
  }
  if (nodes.length === 0) throw new UsageError(`${name}: there is no node in it`);
  return nodes;
}

function readLine(line: number, content: string, report: (message: string) => void): NodeLine {
  const [node = '', ttl = '', ...rest] = content.split(',').map(unquoted);
  const nameProblem = problemOfNodeName(node);
  if (nameProblem !== undefined) report(`${JSON.stringify(node)}: ${nameProblem}`);
  const lifetime = ttl === '' ? undefined : readLifetime(ttl);
  if (lifetime !== undefined && 'problem' in lifetime) report(`ttl ${JSON.stringify(ttl)}: ${lifetime.problem}`);
  const addresses = rest.flatMap((column) => column.split(/\s+/)).filter((text) => text !== '');
  const wrong = addresses.filter((text) => !isHostAddress(text));
  for (const text of wrong) report(`address ${JSON.stringify(text)}: is no address of a host`);
  const lifetimeMs = lifetime !== undefined && 'ms' in lifetime ? lifetime.ms : undefined;
  return { line, node, lifetimeMs, addresses: addresses.filter((text) => !wrong.includes(text)) };
}

function unquoted(column: string): string {
  return /^\s*"([^"]*)"\s*$/.exec(column)?.[1]?.trim() ?? column.trim();
}
