/** `node scripts/servers/main.ts up|down|status DIR [--kubelet NAME]`: the local servers from a shell. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf, UsageError } from '../../src/errors.ts';
import { isNodeName } from '../../src/tokens/binding.ts';
import { drawToken, formatToken } from '../../src/tokens/bootstrap-token.ts';
import { secretOfToken, TOKEN_SECRET_TYPE, vaultPathOfBinding } from '../../src/tokens/token-secret.ts';
import { canRunKubelet } from './kubelet.ts';
import { startServers } from './servers.ts';
import type { Servers } from './servers.ts';
import { bootId, endAll, foreignEntries, readState, removeOurs, runningOf, writeState } from './state.ts';
import type { ServersAccess, ServersState } from './state.ts';

const HELP = `usage: node scripts/servers/main.ts up DIR [--kubelet NAME]   start etcd, kube-apiserver and OpenBao; they run on
       node scripts/servers/main.ts down DIR                  end exactly these
       node scripts/servers/main.ts status DIR                say which of them run

DIR holds their data, keys, kubeconfigs and logs. --kubelet starts a real kubelet, too (root, containerd and runc), with a
bootstrap token for that node; it waits until its requests are approved and signed.
`;
const HOUR_MS = 3_600_000;

async function up(dir: string, kubelet: string | undefined, signal: AbortSignal): Promise<void> {
  const reason = kubelet === undefined ? undefined : canRunKubelet();
  if (reason !== undefined) throw new UsageError(reason);
  if (kubelet !== undefined && !isNodeName(kubelet)) throw new UsageError(`${kubelet} is not a DNS name in lower case`);
  const foreign = foreignEntries(dir);
  if (foreign.length > 0)
    throw new UsageError(`${dir} holds other things (${foreign[0]}): name an empty or a new folder`);
  const earlier = readState(dir);
  if (earlier !== undefined && runningOf(earlier).length > 0) throw new UsageError(`servers of ${dir} run already`);
  removeOurs(dir);

  let state: ServersState = { bootId: bootId(), processes: [], traces: [] };
  const save = (change: Partial<ServersState>): void => {
    state = { ...state, ...change };
    writeState(dir, state);
  };
  let servers: Servers | undefined;
  try {
    servers = await startServers({
      dir,
      lifetime: 'detached',
      signal,
      onChange: (processes, traces) => save({ processes: [...processes], traces: [...traces] }),
    });
    if (kubelet !== undefined) await startKubelet(servers, kubelet);
    signal.throwIfAborted();
    save({ access: accessOf(servers) });
  } catch (error) {
    await servers?.stop();
    removeOurs(dir);
    throw error;
  }
  await Promise.all([servers.controlPlane.admin.close(), servers.openBao.close()]);
  process.stdout.write(usageOf(dir, accessOf(servers)));
}

async function startKubelet(servers: Servers, name: string): Promise<void> {
  const token = drawToken(randomBytes);
  const binding = { kind: 'node', node: name } as const;
  const now = Date.now();
  const secret = secretOfToken({
    token,
    binding,
    issuedAt: now,
    publishingUntil: now,
    expiresAt: now + 24 * HOUR_MS,
    vaultPath: vaultPathOfBinding(binding),
    description: undefined,
  });
  await servers.controlPlane.admin.must('POST', '/api/v1/namespaces/kube-system/secrets', {
    metadata: { name: secret.name },
    type: TOKEN_SECRET_TYPE,
    stringData: secret.data,
  });
  const bootstrapKubeconfig = servers.controlPlane.tokenKubeconfig(`bootstrap-${name}`, formatToken(token));
  await servers.startKubelet({ name, bootstrapKubeconfig });
}

async function down(dir: string): Promise<void> {
  const state = readState(dir);
  if (state !== undefined) await endAll(state);
  removeOurs(dir);
}

/** Answers whether all of them run. */
function status(dir: string): boolean {
  const state = readState(dir);
  if (state === undefined) {
    process.stdout.write(`no servers in ${dir}\n`);
    return false;
  }
  const running = new Set(runningOf(state));
  const row = (name: string, pid: string, is: string, log: string): string =>
    `${name.padEnd(24)}${pid.padEnd(9)}${is.padEnd(9)}${log}\n`;
  process.stdout.write(row('NAME', 'PID', 'STATE', 'LOG'));
  for (const each of state.processes) {
    process.stdout.write(row(each.name, String(each.pid), running.has(each) ? 'running' : 'ended', each.logFile));
  }
  if (state.access !== undefined) process.stdout.write(usageOf(dir, state.access));
  return running.size === state.processes.length;
}

function accessOf({ controlPlane, openBao, kubectl }: Servers): ServersAccess {
  return {
    server: controlPlane.server,
    etcd: `https://127.0.0.1:${controlPlane.etcdPort}`,
    adminKubeconfig: controlPlane.adminKubeconfig,
    serviceKubeconfig: controlPlane.serviceKubeconfig,
    clusterCa: controlPlane.caFile,
    clusterCaKey: controlPlane.caKeyFile,
    vaultAddress: openBao.address,
    vaultCa: openBao.caFile,
    vaultTokenFile: openBao.rootTokenFile,
    kubectl,
  };
}

function usageOf(dir: string, access: ServersAccess): string {
  return `
API server    ${access.server}
OpenBao       ${access.vaultAddress}
  export KUBECONFIG=${access.adminKubeconfig}
  export VAULT_ADDR=${access.vaultAddress} VAULT_CACERT=${access.vaultCa} VAULT_TOKEN="$(cat ${access.vaultTokenFile})"
  ${access.kubectl} get csr
Logs          ${join(dir, 'logs')}
To end them   node scripts/servers/main.ts down ${dir}
`;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { kubelet: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const [command, given, ...more] = positionals;
  if (given === undefined || more.length > 0) throw new UsageError(HELP);
  const dir = resolve(given);
  if (command === 'down') {
    await down(dir);
    return 0;
  }
  if (command === 'status') return status(dir) ? 0 : 1;
  if (command !== 'up') throw new UsageError(HELP);
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      process.exitCode = 128 + constants.signals[signal];
      interrupted.abort(new Error(`interrupted by ${signal}; what was started is ended`));
    });
  }
  await up(dir, values.kubelet, interrupted.signal);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const wrongUse =
    error instanceof UsageError || (error as { code?: unknown }).code?.toString().startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`${error instanceof Error ? error.message : messageOf(error)}\n`);
  process.exitCode ??= wrongUse === true ? 2 : 1;
}
