/** `bootstrap-token issue`: for one node or a pool. */
import type { Config } from '../../config.ts';
import type { IssuedToken, IssueRequest, TokenDesk } from '../../controllers/token-desk.ts';
import { isRemote, RefusedError, UsageError } from '../../errors.ts';
import { nodeExists, nodeLeases } from '../../kubernetes/leases.ts';
import type { Transport } from '../../kubernetes/transport.ts';
import { systemClock } from '../../runtime/clock.ts';
import { describeBinding } from '../../tokens/binding.ts';
import { formatToken } from '../../tokens/bootstrap-token.ts';
import { formatTime, type TokenRecord, vaultPathOfBinding } from '../../tokens/token-secret.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption, formatYaml } from '../output.ts';
import { loadConfig } from '../settings.ts';
import { addressesOf, bindingOf, countOf, type IssueFlags, lifetimeOf, usesOf } from '../token-flags.ts';
import { inOffice, revokeAll } from '../token-office.ts';
import { bootstrapKubeconfig, describeToken, joinLine } from '../token-output.ts';
import { wrapLifetime, type Wrapping, wrapOrRevoke } from '../wrapped-token.ts';
import { issueForNodes } from './token-issue-nodes.ts';

const FORMATS = ['token', 'json', 'yaml', 'join', 'bootstrap-kubeconfig'] as const;
type Format = (typeof FORMATS)[number];

/** Issues into the cluster and into Vault. Only what was asked for goes to stdout. Answers the exit code. */
export async function issue(flags: IssueFlags, io: Io): Promise<number> {
  if (flags.nodes !== undefined) return issueForNodes(flags.nodes, flags, io);
  if (flags.forNode === undefined && flags.pool === undefined) {
    throw new UsageError('say one of --for-node, --pool and --nodes');
  }
  const format = formatOption(flags.output ?? 'token', FORMATS);
  const lifetime = flags.ttl === undefined ? undefined : lifetimeOf(flags.ttl);
  const config = await loadConfig(flags, io);
  const binding = bindingOf(flags, config);
  const pool = binding.kind === 'pool' ? config.pools[binding.pool] : undefined;
  const count = countOf(flags.count, binding);
  if (count > 1 && format === 'bootstrap-kubeconfig') throw new UsageError('-o bootstrap-kubeconfig is for one token');
  const request: IssueRequest = {
    binding,
    lifetimeMs: lifetime ?? pool?.tokenLifetime ?? config.minter.tokenLifetime,
    description: flags.description,
    uses: usesOf(flags.uses, binding) ?? pool?.uses,
    replacesLive: binding.kind === 'node' && flags.replace === true,
    addresses: addressesOf(flags.address, binding),
  };
  const wrapMs = wrapLifetime(flags.wrapTtl, format, request.lifetimeMs);
  if (count > 1 && wrapMs !== undefined) throw new UsageError('--wrap-ttl is for one token: Vault holds only the last');
  return inOffice(config, io, async ({ desk, secrets, transport, vault: { publications } }) => {
    const signal = io.interrupted;
    const checks = flags.replace !== true && binding.kind === 'node';
    const unseen = checks ? await refuseLive(transport, binding.node, config, signal) : undefined;
    const sayUnseen = (): void => (unseen === undefined ? undefined : io.err(`${unseen}\n`));
    if (flags.dryRun === true) {
      if (checks) desk.refuseSecond(binding.node, await secrets.list(signal));
      sayUnseen();
      sayDryRun(request, count, io);
      return 0;
    }
    const issued: HandedOver[] = [];
    const predecessors: TokenRecord[] = [];
    const showSecret = flags.showSecret === true;
    try {
      for (let made = 0; made < count; made += 1) {
        const one = await issueOne(desk, request, made === 0 && flags.replace === true, predecessors, io);
        const wrapping =
          wrapMs === undefined ? undefined : await wrapOrRevoke(one, { publications, wrapMs, showSecret }, desk, io);
        issued.push({ ...one, wrapping });
      }
    } finally {
      // What was issued before one failed is there: it has to be known of.
      if (issued.length > 0) io.out(formatIssued(issued, format, count > 1, showSecret, desk.cluster));
    }
    sayUnseen();
    await revokeAll(desk, predecessors, io);
    return 0;
  });
}

async function issueOne(
  desk: TokenDesk,
  request: IssueRequest,
  replaces: boolean,
  predecessors: TokenRecord[],
  io: Io,
): Promise<IssuedToken> {
  const signal = io.interrupted;
  const issued = replaces ? await desk.replace(request, signal) : await desk.issue(request, signal);
  if ('predecessors' in issued) predecessors.push(...(issued.predecessors as TokenRecord[]));
  const { record, vaultPath } = issued;
  io.err(`token ${record.id} issued for ${describeBinding(request.binding)}, in Vault at ${vaultPath}\n`);
  return issued;
}

/** A token as it is handed over: as itself, or wrapped. */
export interface HandedOver extends IssuedToken {
  readonly wrapping?: Wrapping | undefined;
}

/** The tokens in one of the formats: those of several in a row, or as a list. */
export function formatIssued(
  tokens: readonly HandedOver[],
  format: Format,
  asList: boolean,
  showSecret: boolean,
  cluster: TokenDesk['cluster'],
): string {
  const shown = (): unknown => {
    const all = tokens.map(({ record, token, wrapping }) => ({
      ...describeToken(record, showSecret ? token.secret : undefined, systemClock.now()),
      // The record is from before the publication.
      state: 'usable',
      ...(wrapping === undefined ? {} : { wrapping: wrapping.shown }),
    }));
    return asList ? all : all[0];
  };
  switch (format) {
    case 'token':
      return tokens.map(({ token, wrapping }) => `${wrapping?.token ?? formatToken(token)}\n`).join('');
    case 'json':
      return formatJson(shown());
    case 'yaml':
      return formatYaml(shown());
    case 'join':
      return tokens.map(({ token }) => joinLine(token, cluster)).join('');
    case 'bootstrap-kubeconfig':
      return tokens.map(({ token }) => bootstrapKubeconfig(token, cluster)).join('');
  }
}

function sayDryRun({ binding, lifetimeMs }: IssueRequest, count: number, io: Io): void {
  const until = formatTime(systemClock.now() + lifetimeMs);
  const what = count === 1 ? 'a token' : `${count} tokens`;
  const where = `${describeBinding(binding)}, good until ${until}, in Vault at ${vaultPathOfBinding(binding)}`;
  io.err(`would issue ${what} for ${where} (dry run)\n`);
}

/**
 * A token for a live node would wait (DESIGN D9): said here, where somebody can still choose. Answers what kept it from
 * looking, if anything did.
 */
async function refuseLive(
  transport: Transport,
  node: string,
  config: Config,
  signal: AbortSignal,
): Promise<string | undefined> {
  let renewedAt: number | undefined;
  try {
    if (!(await nodeExists(transport, node, signal))) return undefined;
    renewedAt = await nodeLeases(transport).renewedAt(node, signal);
  } catch (error) {
    if (!isRemote(error, 'Forbidden')) throw error;
    return `whether ${node} is alive could not be seen: ${error.message}`;
  }
  if (renewedAt === undefined || renewedAt + config.approver.staleAfter <= systemClock.now()) return undefined;
  throw new RefusedError(
    'AlreadyExists',
    `node ${node} is alive, its Lease was renewed at ${formatTime(renewedAt)}; --replace issues a token that may replace it`,
  );
}
