/** `kubelet-bootstrap vault setup`. */
import type { Config } from '../../config.ts';
import { ConfigError, RefusedError, UsageError } from '../../errors.ts';
import { systemClock } from '../../runtime/clock.ts';
import { parseDuration } from '../../runtime/duration.ts';
import { setupScript } from '../../vault/setup/commands.ts';
import { describeItem, type ItemState, type SetupItem } from '../../vault/setup/items.ts';
import { type JwtWishes, type ServiceLogin, setupItems } from '../../vault/setup/plan.ts';
import { VaultSetup } from '../../vault/setup/vault-setup.ts';
import { caPaths } from '../../wiring/authorities.ts';
import { openVault, UNOBSERVED } from '../../wiring/connections.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { loadNodes } from '../nodes-file.ts';
import { formatJson, formatOption, formatTable } from '../output.ts';
import { type CaFlags, pkiWishes } from '../pki-wishes.ts';
import { Progress } from '../progress.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';
import { problemOfNodeName } from '../token-flags.ts';

export interface VaultSetupFlags extends SharedFlags, CaFlags {
  readonly print?: boolean | undefined;
  readonly check?: boolean | undefined;
  readonly forNode?: readonly string[] | undefined;
  readonly nodes?: string | undefined;
  readonly machineMount: string;
  readonly secretIdTtl: string;
  readonly jwtRole?: string | undefined;
  readonly jwtMount: string;
  readonly jwtUserClaim?: string | undefined;
  readonly jwtAudience: string;
  readonly output: string;
}

type Outcome = 'as wanted' | 'created' | 'changed' | 'missing' | 'differs' | 'in the way';
interface Row {
  readonly item: string;
  readonly outcome: Outcome;
  readonly details: readonly string[];
}

/** So many items are looked at together. */
const TOGETHER = 16;
/** From so many items on it takes long enough to say how far it is. */
const LONG = 200;

/**
 * Makes the mounts, policies and roles that the config needs, or prints the commands for it, or compares. Writes nothing
 * when something else stands in the way of any of it. Answers the exit code. Throws UsageError, ConfigError, RefusedError.
 */
export async function vaultSetup(flags: VaultSetupFlags, io: Io): Promise<number> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  if (flags.print === true && flags.check === true) throw new UsageError('say either --print or --check');
  const config = await loadConfig(flags, io);
  const items = await itemsOf(flags, config, io);
  if (flags.print === true) {
    io.out(setupScript(items));
    return EXIT_CODES.ok;
  }
  const given = io.env['VAULT_TOKEN'];
  const { session } = await openVault(config, systemClock, UNOBSERVED, { token: given === '' ? undefined : given });
  try {
    const setup = new VaultSetup(session);
    const states = await lookAtAll(setup, items, io);
    const rows = flags.check === true ? items.map((item, index) => rowOf(item, states[index])) : undefined;
    return report(rows ?? (await putAll(setup, items, states, io)), format, io);
  } finally {
    session.stop();
  }
}

async function itemsOf(flags: VaultSetupFlags, config: Config, io: Io): Promise<SetupItem[]> {
  const { vault } = config;
  if (vault === undefined) throw new ConfigError('config', [{ path: 'vault', message: 'is needed for this' }]);
  const named = flags.forNode ?? [];
  for (const name of named) {
    const problem = problemOfNodeName(name);
    if (problem !== undefined) throw new UsageError(`--for-node ${JSON.stringify(name)}: ${problem}`);
  }
  const listed = flags.nodes === undefined ? [] : await loadNodes(flags.nodes, io);
  const secretIdMs = flags.secretIdTtl === '0' ? 0 : parseDuration(flags.secretIdTtl);
  if (secretIdMs === undefined)
    throw new UsageError(`--secret-id-ttl ${flags.secretIdTtl}: is no duration such as 24h`);
  return setupItems({
    mount: vault.mount,
    prefix: vault.prefix,
    caPaths: caPaths(config),
    pki: await pkiWishes(flags, config),
    login: loginOf(vault.auth),
    pools: Object.keys(config.pools),
    nodes: [...new Set([...named, ...listed.map(({ node }) => node)])],
    machineMount: flags.machineMount,
    secretIdSeconds: Math.floor(secretIdMs / 1_000),
    jwt: jwtOf(flags),
  });
}

function loginOf(auth: NonNullable<Config['vault']>['auth']): ServiceLogin {
  switch (auth.method) {
    case 'tokenFile':
      return { method: 'tokenFile' };
    case 'approle':
      return { method: 'approle', mount: auth.mount };
    case 'kubernetes':
    case 'jwt':
      return { method: auth.method, mount: auth.mount, role: auth.role };
  }
}

function jwtOf({ jwtRole, jwtMount, jwtUserClaim, jwtAudience }: VaultSetupFlags): JwtWishes | undefined {
  if (jwtRole === undefined && jwtUserClaim === undefined) return undefined;
  if (jwtRole === undefined || jwtUserClaim === undefined) {
    throw new UsageError('--jwt-role and --jwt-user-claim go together');
  }
  return { mount: jwtMount, role: jwtRole, userClaim: jwtUserClaim, audience: jwtAudience };
}

async function lookAtAll(setup: VaultSetup, items: readonly SetupItem[], io: Io): Promise<ItemState[]> {
  const progress = items.length < LONG ? undefined : new Progress(items.length, io, systemClock, 'items looked at');
  const states: ItemState[] = [];
  for (let from = 0; from < items.length; from += TOGETHER) {
    const part = items.slice(from, from + TOGETHER);
    const looks = part.map((item) => setup.look(item, io.interrupted));
    // When all are over, the first in this order is told of those that failed, not the fastest: run again, it says the same.
    await Promise.allSettled(looks);
    states.push(...(await Promise.all(looks)));
    for (const { kind } of states.slice(from)) progress?.step(kind === 'asWanted' ? 'as wanted' : 'to do');
  }
  progress?.end();
  return states;
}

async function putAll(
  setup: VaultSetup,
  items: readonly SetupItem[],
  states: readonly ItemState[],
  io: Io,
): Promise<Row[]> {
  const rows = items.map((item, index) => rowOf(item, states[index]));
  const blocked = rows.filter(({ outcome }) => outcome === 'in the way');
  if (blocked.length > 0) {
    const listed = blocked.map(({ item, details }) => `\n  ${item} ${details.join('; ')}`).join('');
    throw new RefusedError('AlreadyExists', `nothing was written, because something else stands in the way:${listed}`);
  }
  const todo = rows.filter(({ outcome }) => outcome !== 'as wanted').length;
  const progress = todo < LONG ? undefined : new Progress(todo, io, systemClock, 'items written');
  const done: Row[] = [];
  for (const [index, item] of items.entries()) {
    const row = rowOf(item, states[index]);
    if (row.outcome === 'as wanted' || states[index]?.kind === 'left') {
      done.push(row);
      continue;
    }
    io.interrupted.throwIfAborted();
    await setup.put(item, io.interrupted);
    const outcome = row.outcome === 'missing' ? 'created' : 'changed';
    done.push({ ...row, outcome });
    progress?.step(outcome);
  }
  progress?.end();
  return done;
}

function rowOf(item: SetupItem, state: ItemState = { kind: 'missing' }): Row {
  const words = {
    asWanted: 'as wanted',
    missing: 'missing',
    differs: 'differs',
    blocked: 'in the way',
    left: 'missing',
  } as const;
  return { item: describeItem(item), outcome: words[state.kind], details: 'details' in state ? state.details : [] };
}

/** Those that are as wanted are only counted. */
function report(rows: readonly Row[], format: 'text' | 'json', io: Io): number {
  const others = rows.filter(({ outcome }) => outcome !== 'as wanted');
  if (format === 'json') io.out(formatJson(rows));
  else if (others.length > 0) {
    const cells = others.map(({ item, outcome, details }) => [item, outcome, details.join('; ')]);
    io.out(formatTable(['ITEM', 'STATE', 'DETAILS'], cells));
  }
  io.err(
    `${rows.length - others.length} of ${rows.length} items ${others.length === rows.length ? 'are' : 'were'} as wanted\n`,
  );
  const drifted = others.some(({ outcome }) => outcome !== 'created' && outcome !== 'changed');
  return drifted ? EXIT_CODES.sick : EXIT_CODES.ok;
}
