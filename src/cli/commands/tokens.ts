/** `bootstrap-token`: issue, list, show, revoke. */
import type { Config } from '../../config.ts';
import type { TokenDesk } from '../../controllers/token-desk.ts';
import { isRemote, RefusedError, UsageError } from '../../errors.ts';
import { nodeExists, nodeLeases } from '../../kubernetes/leases.ts';
import { tokenSecrets } from '../../kubernetes/token-secrets.ts';
import type { Transport } from '../../kubernetes/transport.ts';
import type { Log, Telemetry, TokenSecrets } from '../../ports.ts';
import { systemClock } from '../../runtime/clock.ts';
import { parseDuration } from '../../runtime/duration.ts';
import { type Binding, describeBinding, groupOfBinding, isNodeName } from '../../tokens/binding.ts';
import { formatToken, isTokenId } from '../../tokens/bootstrap-token.ts';
import { isNoHost, parseAddress } from '../../policy/addresses.ts';
import { formatTime, type TokenRecord } from '../../tokens/token-secret.ts';
import { openCluster, openTokenDesk, openVault, UNOBSERVED, type Vault } from '../../wiring/connections.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption, formatTable, formatYaml } from '../output.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';
import { bootstrapKubeconfig, describeToken, type ShownToken, tokenTable } from '../token-output.ts';

export interface BindingFlags {
  readonly forNode?: string | undefined;
  readonly pool?: string | undefined;
}

export interface IssueFlags extends SharedFlags, BindingFlags {
  readonly ttl?: string | undefined;
  readonly description?: string | undefined;
  readonly uses?: string | undefined;
  readonly address?: readonly string[] | undefined;
  readonly replace?: boolean | undefined;
  readonly output: string;
  readonly showSecret?: boolean | undefined;
}

interface Office {
  readonly config: Config;
  readonly secrets: TokenSecrets;
  readonly vault: Vault;
  readonly desk: TokenDesk;
  readonly transport: Transport;
}

const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const UNCOUNTED: Telemetry = {
  decided: () => {},
  issued: () => {},
  remarked: () => {},
  withheld: () => {},
  failed: () => {},
  notAsPlanned: () => {},
  removedCsr: () => {},
  removedToken: () => {},
  minted: () => {},
  mintFailed: () => {},
};
const SHORTEST_TTL_MS = 60_000;
const MOST_USES = 2_000;
const LONGEST_TTL_MS = 365 * 24 * 3_600_000;

/** Issues a token into the cluster and into Vault. Only what was asked for goes to stdout. */
export async function issue(flags: IssueFlags, io: Io): Promise<void> {
  const format = formatOption(flags.output, ['token', 'json', 'yaml', 'bootstrap-kubeconfig'] as const);
  const lifetime = flags.ttl === undefined ? undefined : lifetimeOf(flags.ttl);
  const config = await loadConfig(flags, io);
  const binding = bindingOf(flags, config);
  const addresses = addressesOf(flags, binding);
  const uses = usesOf(flags, binding) ?? (binding.kind === 'pool' ? config.pools[binding.pool]?.uses : undefined);
  await inOffice(config, io, async ({ desk, secrets, transport }) => {
    const signal = io.interrupted;
    if (flags.replace !== true && binding.kind === 'node') await refuseLive(transport, binding.node, config, io);
    if (flags.replace === true) {
      for (const record of await boundTo(secrets, binding, signal)) await desk.revoke(record, signal);
    }
    const pool = binding.kind === 'pool' ? config.pools[binding.pool] : undefined;
    const lifetimeMs = lifetime ?? pool?.tokenLifetime ?? config.minter.tokenLifetime;
    const replacesLive = binding.kind === 'node' && flags.replace === true;
    const request = { binding, lifetimeMs, description: flags.description, uses, replacesLive, addresses };
    const issued = await desk.issue(request, signal);
    const shown = describeToken(
      issued.record,
      flags.showSecret === true ? issued.token.secret : undefined,
      systemClock.now(),
    );
    io.err(`token ${issued.record.id} issued for ${describeBinding(binding)}, in Vault at ${issued.vaultPath}\n`);
    switch (format) {
      case 'token':
        return io.out(`${formatToken(issued.token)}\n`);
      case 'json':
        return io.out(formatJson({ ...shown, state: 'usable' }));
      case 'yaml':
        return io.out(formatYaml({ ...shown, state: 'usable' }));
      case 'bootstrap-kubeconfig':
        return io.out(bootstrapKubeconfig(issued.token, desk.cluster));
    }
  });
}

export interface ListFlags extends SharedFlags {
  readonly output: string;
  readonly showSecret?: boolean | undefined;
}

/** Every bootstrap token of the cluster, whoever made it. */
export async function list(flags: ListFlags, io: Io): Promise<void> {
  const format = formatOption(flags.output, ['text', 'json', 'yaml'] as const);
  await withSecrets(await loadConfig(flags, io), async (secrets) => {
    const records = await secrets.list(io.interrupted);
    const now = systemClock.now();
    if (format === 'text') return io.out(tokenTable(records, now));
    const shown = await Promise.all(
      records.map(async (record) => describeToken(record, await secretPart(secrets, record, flags, io), now)),
    );
    return io.out(format === 'json' ? formatJson(shown) : formatYaml(shown));
  });
}

/** One token, with what stands in Vault for it. */
export async function show(id: string, flags: ListFlags, io: Io): Promise<void> {
  const format = formatOption(flags.output, ['text', 'json', 'yaml'] as const);
  needTokenId(id);
  await inOffice(await loadConfig(flags, io), io, async ({ secrets, vault }) => {
    const signal = io.interrupted;
    const record = await needToken(secrets, id, signal);
    const standing =
      record.vaultPath === undefined ? undefined : await vault.publications.state(record.vaultPath, signal);
    const inVault = standing?.kind === 'live' && standing.tokenId === id ? 'fetchable' : 'not there';
    const secret = await secretPart(secrets, record, flags, io);
    const shown: ShownToken = { ...describeToken(record, secret, systemClock.now()), inVault };
    if (format === 'json') return io.out(formatJson(shown));
    if (format === 'yaml') return io.out(formatYaml(shown));
    const rows = Object.entries(shown).map(([key, value]) => [
      key,
      typeof value === 'object' ? (value ?? []).join(', ') : String(value),
    ]);
    return io.out(formatTable(['FIELD', 'VALUE'], rows));
  });
}

/** Withdraws tokens from Vault, then deletes their Secrets. All that are named must exist before any is touched. */
export async function revoke(ids: readonly string[], flags: SharedFlags & BindingFlags, io: Io): Promise<void> {
  ids.forEach(needTokenId);
  if (ids.length === 0 && flags.forNode === undefined && flags.pool === undefined) {
    throw new UsageError('name token IDs, or --for-node, or --pool');
  }
  if (flags.forNode !== undefined && flags.pool !== undefined) throw new UsageError('say either --for-node or --pool');
  const config = await loadConfig(flags, io);
  await inOffice(config, io, async ({ desk, secrets }) => {
    const signal = io.interrupted;
    const records = await Promise.all(ids.map((id) => needToken(secrets, id, signal)));
    if (flags.forNode !== undefined || flags.pool !== undefined) {
      const binding: Binding =
        flags.forNode === undefined ? { kind: 'pool', pool: flags.pool ?? '' } : { kind: 'node', node: flags.forNode };
      const bound = await boundTo(secrets, binding, signal);
      if (bound.length === 0) throw new RefusedError('NotFound', `there is no token for ${describeBinding(binding)}`);
      records.push(...bound);
    }
    for (const record of records) {
      await desk.revoke(record, signal);
      io.err(`token ${record.id} revoked\n`);
    }
  });
}

function usesOf({ uses }: IssueFlags, binding: Binding): number | undefined {
  if (uses === undefined) return undefined;
  if (binding.kind === 'node') throw new UsageError('--uses is for pools: a token for one node is good for that node');
  if (!/^[1-9][0-9]{0,3}$/.test(uses) || Number(uses) > MOST_USES) {
    throw new UsageError(`--uses ${uses}: must be a number from 1 to ${MOST_USES}`);
  }
  return Number(uses);
}

function addressesOf({ address = [] }: IssueFlags, binding: Binding): string[] {
  const given = address.flatMap((list) => list.split(','));
  if (given.length > 0 && binding.kind === 'pool') {
    throw new UsageError('--address is for nodes: the addresses of a pool are ranges in the config');
  }
  for (const text of given) {
    const bytes = parseAddress(text);
    if (bytes === undefined || isNoHost(bytes)) throw new UsageError(`--address ${text}: is no address of a host`);
  }
  return given;
}

/** A token for a live node would wait (DESIGN D9): said here, where somebody can still choose. */
async function refuseLive(transport: Transport, node: string, config: Config, io: Io): Promise<void> {
  const signal = io.interrupted;
  let renewedAt: number | undefined;
  try {
    if (!(await nodeExists(transport, node, signal))) return;
    renewedAt = await nodeLeases(transport).renewedAt(node, signal);
  } catch (error) {
    if (!isRemote(error, 'Forbidden')) throw error;
    io.err(`whether ${node} is alive could not be seen: ${error.message}\n`);
    return;
  }
  if (renewedAt === undefined || renewedAt + config.approver.staleAfter <= systemClock.now()) return;
  throw new RefusedError(
    'AlreadyExists',
    `node ${node} is alive, its Lease was renewed at ${formatTime(renewedAt)}; --replace issues a token that may replace it`,
  );
}

function lifetimeOf(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new UsageError(`--ttl ${text}: is no duration such as 30m or 1h30m`);
  if (ms < SHORTEST_TTL_MS || ms > LONGEST_TTL_MS) {
    throw new UsageError(`--ttl ${text}: a token lives for a minute at least and 8760h at most`);
  }
  return ms;
}

/** Throws UsageError for a name that no token can be bound to, NotFound for a pool that is not in the config. */
function bindingOf({ forNode, pool }: BindingFlags, config: Config): Binding {
  if ((forNode === undefined) === (pool === undefined)) throw new UsageError('say either --for-node or --pool');
  if (forNode !== undefined) {
    if (isNodeName(forNode)) return { kind: 'node', node: forNode };
    throw new UsageError(
      `--for-node ${JSON.stringify(forNode)}: a node name is a lower-case DNS name of at most 251 characters`,
    );
  }
  if (pool !== undefined && Object.hasOwn(config.pools, pool)) return { kind: 'pool', pool };
  const known = Object.keys(config.pools).join(', ') || 'there are none';
  throw new RefusedError('NotFound', `pool ${JSON.stringify(pool)} is not in the config; known pools: ${known}`);
}

function needTokenId(id: string): void {
  if (!isTokenId(id)) throw new UsageError('a token ID is six characters of a-z and 0-9; leave its secret part out');
}

async function needToken(secrets: TokenSecrets, id: string, signal: AbortSignal): Promise<TokenRecord> {
  const record = await secrets.get(id, signal);
  if (record === undefined) throw new RefusedError('NotFound', `there is no token ${id}`);
  return record;
}

async function boundTo(secrets: TokenSecrets, binding: Binding, signal: AbortSignal): Promise<TokenRecord[]> {
  const group = groupOfBinding(binding);
  return (await secrets.list(signal)).filter(({ groups }) => groups.includes(group));
}

function secretPart(
  secrets: TokenSecrets,
  record: TokenRecord,
  { showSecret }: { readonly showSecret?: boolean | undefined },
  io: Io,
): Promise<string | undefined> {
  return showSecret === true ? secrets.reveal(record.id, io.interrupted) : Promise.resolve(undefined);
}

async function withSecrets(config: Config, work: (secrets: TokenSecrets) => Promise<void>): Promise<void> {
  const { transport } = openCluster(config, systemClock, UNOBSERVED);
  try {
    await work(tokenSecrets(transport));
  } finally {
    await transport.close();
  }
}

async function inOffice(config: Config, io: Io, work: (office: Office) => Promise<void>): Promise<void> {
  const cluster = openCluster(config, systemClock, UNOBSERVED);
  const given = io.env['VAULT_TOKEN'];
  const vault = await openVault(config, systemClock, UNOBSERVED, given === '' ? undefined : given);
  try {
    const desk = await openTokenDesk(config, systemClock, cluster, vault, { telemetry: UNCOUNTED, log: SILENT });
    await work({ config, secrets: tokenSecrets(cluster.transport), vault, desk, transport: cluster.transport });
  } finally {
    vault.session.stop();
    await cluster.transport.close();
  }
}
