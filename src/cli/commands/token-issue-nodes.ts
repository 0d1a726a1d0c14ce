/** `bootstrap-token issue --nodes`: a token for every node of a file. */
import type { Config } from '../../config.ts';
import { type BatchEnd, type BatchOutcome, issueBatch } from '../../controllers/token-batch.ts';
import type { NodeRequest } from '../../controllers/token-desk.ts';
import { isRemote, messageOf, UsageError } from '../../errors.ts';
import { allRenewals, nodeExists } from '../../kubernetes/leases.ts';
import type { Transport } from '../../kubernetes/transport.ts';
import { systemClock } from '../../runtime/clock.ts';
import { parseToken } from '../../tokens/bootstrap-token.ts';
import { type TokenRecord, vaultPathOfBinding } from '../../tokens/token-secret.ts';
import { EXIT_CODES, exitCodeOf } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { loadNodes, type NodeLine } from '../nodes-file.ts';
import { formatJson, formatOption, formatTable, formatYaml } from '../output.ts';
import { Progress } from '../progress.ts';
import { loadConfig } from '../settings.ts';
import { type IssueFlags, lifetimeOf } from '../token-flags.ts';
import { inOffice, type Office } from '../token-office.ts';
import { describeToken, joinLine } from '../token-output.ts';
import { wrap, wrapLifetime, type Wrapping } from '../wrapped-token.ts';

/** Vault's adapter has so many connections. */
const CONCURRENCY = 16;
const FORMATS = ['text', 'token', 'json', 'yaml', 'join'] as const;

/**
 * Issues to every node of the file that has no token to fetch; run again it goes on. Answers the exit code: that of
 * the failure when all failed, `partly` when some did. Throws UsageError with every problem of the file.
 */
export async function issueForNodes(path: string, flags: IssueFlags, io: Io): Promise<number> {
  const format = formatOption(flags.output ?? 'text', FORMATS);
  const lifetime = flags.ttl === undefined ? undefined : lifetimeOf(flags.ttl);
  for (const [flag, value] of [
    ['--for-node', flags.forNode],
    ['--pool', flags.pool],
    ['--uses', flags.uses],
    ['--count', flags.count],
    ['--address', flags.address],
  ] as const) {
    if (value !== undefined) throw new UsageError(`say either --nodes or ${flag}`);
  }
  const config = await loadConfig(flags, io);
  const lines = await loadNodes(path, io);
  const requests = lines.map(({ node, lifetimeMs, addresses }): NodeRequest => ({
    binding: { kind: 'node', node },
    lifetimeMs: lifetimeMs ?? lifetime ?? config.minter.tokenLifetime,
    description: flags.description,
    replacesLive: flags.replace === true,
    addresses,
  }));
  const shortest = Math.min(...requests.map(({ lifetimeMs }) => lifetimeMs));
  const wrapMs = wrapLifetime(flags.wrapTtl, format, shortest);
  return inOffice(config, io, async (office) => {
    const { desk, secrets } = office;
    const [known, published] = await Promise.all([secrets.list(io.interrupted), publishedPaths(office, io)]);
    const renewedAt = flags.replace === true ? () => Promise.resolve(undefined) : await livingNodes(office, io);
    const progress = new Progress(lines.length, io, systemClock);
    const end = await issueBatch(
      requests,
      {
        desk,
        known,
        published,
        renewedAt,
        concurrency: CONCURRENCY,
        replace: flags.replace === true,
        dryRun: flags.dryRun === true,
        onOutcome: (node, outcome) => progress.step(outcome.kind, remarkOn(node, outcome)),
      },
      io.interrupted,
    );
    progress.end();
    const asked = { format, wrapMs, showSecret: flags.showSecret === true };
    io.out(flags.dryRun === true ? dryRunTable(lines, end) : await formatBatch(lines, end, asked, office, io));
    return conclude(lines, end, io);
  });
}

/** What stands in Vault for nodes; undefined where that may not be listed. */
async function publishedPaths(
  { vault }: Pick<Office, 'vault'>,
  { interrupted }: Pick<Io, 'interrupted'>,
): Promise<ReadonlySet<string> | undefined> {
  try {
    return new Set(await vault.publications.list('nodes', interrupted));
  } catch (error) {
    if (isRemote(error, 'Forbidden')) return undefined;
    throw error;
  }
}

/** Answers of a node when its Lease was renewed, if it is alive (DESIGN D9). All Leases are read at once. */
async function livingNodes(
  { transport, config }: { readonly transport: Transport; readonly config: Config },
  io: Io,
): Promise<(node: string, signal: AbortSignal) => Promise<number | undefined>> {
  let renewals = new Map<string, number>();
  try {
    renewals = await allRenewals(transport, io.interrupted);
  } catch (error) {
    if (!isRemote(error, 'Forbidden')) throw error;
    io.err(`which nodes are alive could not be seen: ${error.message}\n`);
  }
  return async (node, signal) => {
    const renewedAt = renewals.get(node);
    if (renewedAt === undefined || renewedAt + config.approver.staleAfter <= systemClock.now()) return undefined;
    return (await nodeExists(transport, node, signal)) ? renewedAt : undefined;
  };
}

/** What somebody should read of this node while it goes on. */
function remarkOn(node: string, outcome: BatchOutcome): string | undefined {
  if (outcome.kind === 'failed') return `node ${node}: ${messageOf(outcome.error)}`;
  if (outcome.kind === 'alive') return `node ${node} is alive and got no token; --replace issues one all the same`;
  return undefined;
}

interface Done {
  readonly node: string;
  readonly state: 'issued' | 'kept';
  readonly record: TokenRecord;
}

interface Format {
  readonly format: (typeof FORMATS)[number];
  readonly showSecret: boolean;
  /** Undefined: the tokens themselves. */
  readonly wrapMs: number | undefined;
}

interface ShownDone {
  readonly each: Done;
  readonly secret: string | undefined;
  readonly wrapping: Wrapping | undefined;
}

/** The tokens that are there now, in the order of the file. */
async function formatBatch(
  lines: readonly NodeLine[],
  { outcomes }: BatchEnd,
  { format, showSecret, wrapMs }: Format,
  { desk, secrets, vault: { publications } }: Office,
  io: Io,
): Promise<string> {
  const done = lines.flatMap(({ node }): Done[] => {
    const outcome = outcomes.get(node);
    if (outcome?.kind === 'issued') return [{ node, state: 'issued', record: outcome.issued.record }];
    return outcome?.kind === 'kept' ? [{ node, state: 'kept', record: outcome.record }] : [];
  });
  const now = systemClock.now();
  if (format === 'text') {
    const rows = done.map(({ node, state, record }) => {
      const { id, expiresAt } = describeToken(record, undefined, now);
      return [node, state, String(id), String(expiresAt)];
    });
    return formatTable(['NODE', 'TOKEN', 'ID', 'EXPIRES'], rows);
  }
  const secretOf = async ({ node, record }: Done): Promise<string | undefined> => {
    const outcome = outcomes.get(node);
    if (outcome?.kind === 'issued') return outcome.issued.token.secret;
    return secrets.reveal(record.id, io.interrupted);
  };
  const wrapped = async ({ node, record }: Done): Promise<Wrapping | undefined> => {
    if (wrapMs === undefined) return undefined;
    const vaultPath = vaultPathOfBinding({ kind: 'node', node });
    return wrap({ publications, tokenId: record.id, vaultPath, wrapMs, showSecret }, io.interrupted);
  };
  const asked = wrapMs === undefined && (format === 'token' || format === 'join');
  const show = async (each: Done): Promise<ShownDone> => ({
    each,
    secret: asked || showSecret ? await secretOf(each) : undefined,
    wrapping: await wrapped(each),
  });
  const shown: ShownDone[] = [];
  for (let from = 0; from < done.length; from += CONCURRENCY) {
    shown.push(...(await Promise.all(done.slice(from, from + CONCURRENCY).map(show))));
  }
  if (format === 'token' && wrapMs !== undefined) return shown.map(({ wrapping }) => `${wrapping?.token}\n`).join('');
  const tokens = shown.flatMap(({ each: { record }, secret }) => parseToken(`${record.id}.${secret}`) ?? []);
  if (format === 'token') return tokens.map(({ id, secret }) => `${id}.${secret}\n`).join('');
  if (format === 'join') return tokens.map((token) => joinLine(token, desk.cluster)).join('');
  const all = shown.map(({ each: { record, state }, secret, wrapping }) => ({
    ...describeToken(record, secret, now),
    state: 'usable',
    kept: state === 'kept',
    ...(wrapping === undefined ? {} : { wrapping: wrapping.shown }),
  }));
  return format === 'json' ? formatJson(all) : formatYaml(all);
}

function dryRunTable(lines: readonly NodeLine[], { outcomes }: BatchEnd): string {
  const words = {
    wanted: 'would be issued',
    kept: 'would be kept',
    alive: 'alive',
    failed: 'failed',
    issued: 'issued',
  };
  const rows = lines.flatMap(({ node }) => {
    const outcome = outcomes.get(node);
    return outcome === undefined ? [] : [[node, words[outcome.kind]]];
  });
  return formatTable(['NODE', 'TOKEN'], rows);
}

function conclude(lines: readonly NodeLine[], { outcomes, gaveUp }: BatchEnd, io: Io): number {
  const failures = [...outcomes.values()].flatMap((outcome) => (outcome.kind === 'failed' ? [outcome.error] : []));
  const untried = lines.length - outcomes.size;
  if (gaveUp !== undefined) {
    io.err(`given up after too many failures in a row, the last of which was: ${messageOf(gaveUp)}\n`);
  }
  if (untried > 0) io.err(`${untried} of ${lines.length} nodes were not tried: the same command goes on with them\n`);
  if (io.interrupted.aborted) return EXIT_CODES.interrupted;
  if (failures.length === 0) return EXIT_CODES.ok;
  return failures.length === outcomes.size ? exitCodeOf(failures.at(-1)) : EXIT_CODES.partly;
}
