/** What the flags of `bootstrap-token` mean. */
import type { Config } from '../config.ts';
import { RefusedError, UsageError } from '../errors.ts';
import { isNoHost, parseAddress } from '../policy/addresses.ts';
import { parseDuration } from '../runtime/duration.ts';
import { type Binding, isNodeName } from '../tokens/binding.ts';
import type { SharedFlags } from './settings.ts';

export interface BindingFlags {
  readonly forNode?: string | undefined;
  readonly pool?: string | undefined;
}

/** Those of `issue`, for one node, a pool, or every node of a file. */
export interface IssueFlags extends SharedFlags, BindingFlags {
  readonly nodes?: string | undefined;
  readonly ttl?: string | undefined;
  readonly description?: string | undefined;
  readonly uses?: string | undefined;
  readonly count?: string | undefined;
  readonly address?: readonly string[] | undefined;
  readonly replace?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
  readonly wrapTtl?: string | undefined;
  readonly output?: string | undefined;
  readonly showSecret?: boolean | undefined;
}

const SHORTEST_TTL_MS = 60_000;
const LONGEST_TTL_MS = 365 * 24 * 3_600_000;
const MOST_USES = 2_000;
const MOST_TOKENS = 100;
const NODE_NAME = 'a node name is a lower-case DNS name of at most 251 characters';

/** Throws UsageError for a name that no token can be bound to, NotFound for a pool that is not in the config. */
export function bindingOf({ forNode, pool }: BindingFlags, config: Config): Binding {
  if ((forNode === undefined) === (pool === undefined)) throw new UsageError('say either --for-node or --pool');
  if (forNode !== undefined) {
    const problem = problemOfNodeName(forNode);
    if (problem === undefined) return { kind: 'node', node: forNode };
    throw new UsageError(`--for-node ${JSON.stringify(forNode)}: ${problem}`);
  }
  if (pool !== undefined && Object.hasOwn(config.pools, pool)) return { kind: 'pool', pool };
  const known = Object.keys(config.pools).join(', ') || 'there are none';
  throw new RefusedError('NotFound', `pool ${JSON.stringify(pool)} is not in the config; known pools: ${known}`);
}

/** The binding whose tokens are meant, be the pool in the config or not; undefined where none is named. Throws UsageError. */
export function namedBinding({ forNode, pool }: BindingFlags): Binding | undefined {
  if (forNode !== undefined && pool !== undefined) throw new UsageError('say either --for-node or --pool');
  if (forNode !== undefined) return { kind: 'node', node: forNode };
  return pool === undefined ? undefined : { kind: 'pool', pool };
}

/** What is wrong with the name of a node; undefined for a good one. */
export function problemOfNodeName(name: string): string | undefined {
  return isNodeName(name) ? undefined : NODE_NAME;
}

/** Milliseconds of a token's life, or what is wrong with the text. */
export function readLifetime(text: string): { readonly ms: number } | { readonly problem: string } {
  const ms = parseDuration(text);
  if (ms === undefined) return { problem: 'is no duration such as 30m or 1h30m' };
  const fits = ms >= SHORTEST_TTL_MS && ms <= LONGEST_TTL_MS;
  return fits ? { ms } : { problem: 'a token lives for a minute at least and 8760h at most' };
}

/** `--ttl` in milliseconds. Throws UsageError. */
export function lifetimeOf(text: string): number {
  const read = readLifetime(text);
  if ('ms' in read) return read.ms;
  throw new UsageError(`--ttl ${text}: ${read.problem}`);
}

/** `--uses`. Throws UsageError. */
export function usesOf(uses: string | undefined, binding: Binding): number | undefined {
  if (uses === undefined) return undefined;
  if (binding.kind === 'node') throw new UsageError('--uses is for pools: a token for one node is good for that node');
  return numberOf('--uses', uses, MOST_USES);
}

/** `--count`. Throws UsageError. */
export function countOf(count: string | undefined, binding: Binding): number {
  if (count === undefined) return 1;
  if (binding.kind === 'node') throw new UsageError('--count is for pools: a node has one token');
  return numberOf('--count', count, MOST_TOKENS);
}

function numberOf(flag: string, text: string, most: number): number {
  if (/^[1-9][0-9]{0,3}$/.test(text) && Number(text) <= most) return Number(text);
  throw new UsageError(`${flag} ${text}: must be a number from 1 to ${most}`);
}

/** `--address`, each of which may be several with commas between. Throws UsageError. */
export function addressesOf(address: readonly string[] = [], binding: Binding): string[] {
  const given = address.flatMap((list) => list.split(','));
  if (given.length > 0 && binding.kind === 'pool') {
    throw new UsageError('--address is for nodes: the addresses of a pool are ranges in the config');
  }
  for (const text of given) {
    if (!isHostAddress(text)) throw new UsageError(`--address ${text}: is no address of a host`);
  }
  return given;
}

/** True for an IP address that a host may have. */
export function isHostAddress(text: string): boolean {
  const bytes = parseAddress(text);
  return bytes !== undefined && !isNoHost(bytes);
}
