import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endProcess, isRunning } from './process.ts';
import type { ServerProcess } from './process.ts';
import { undo } from './traces.ts';
import type { Trace } from './traces.ts';

/** What `servers.json` says: all that is needed to use the servers and to end them. */
export interface ServersState {
  /** Pids and start times mean nothing after a reboot. */
  readonly bootId: string;
  /** In the order of their start. */
  readonly processes: readonly ServerProcess[];
  readonly traces: readonly Trace[];
  /** How to reach them; absent until all are up. */
  readonly access?: ServersAccess | undefined;
}

/** Addresses and paths; no secrets. */
export interface ServersAccess {
  readonly server: string;
  readonly etcd: string;
  readonly adminKubeconfig: string;
  readonly serviceKubeconfig: string;
  readonly clusterCa: string;
  readonly clusterCaKey: string;
  readonly vaultAddress: string;
  readonly vaultCa: string;
  readonly vaultTokenFile: string;
  readonly kubectl: string;
}

const STATE = 'servers.json';
/** What `up` makes in its folder besides the logs. */
const OURS = /^(cluster|etcd|kubeconfigs|openbao|kubelet-.*|servers\.json(\.tmp)?)$/;

/** The id of this boot of the host. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Undefined when nothing was started in this folder. */
export function readState(dir: string): ServersState | undefined {
  const path = join(dir, STATE);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as ServersState) : undefined;
}

/** Replaces the file by a rename, so that a reader never sees half of it. */
export function writeState(dir: string, state: ServersState): void {
  const path = join(dir, STATE);
  writeFileSync(`${path}.tmp`, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

/** The processes of the state that still run: the very ones, not others with the same pid. */
export function runningOf(state: ServersState): ServerProcess[] {
  return state.bootId === bootId() ? state.processes.filter(isRunning) : [];
}

/** Ends what runs, the last started first, and puts back what was changed on the host. */
export async function endAll(state: ServersState): Promise<void> {
  for (const each of runningOf(state).reverse()) await endProcess(each, 5_000);
  if (state.bootId === bootId()) for (const trace of state.traces.toReversed()) undo(trace);
}

/** Entries of the folder that `up` has not made: it does not start among them. */
export function foreignEntries(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir).filter((name) => name !== 'logs' && !OURS.test(name));
}

/** Removes everything that `up` made but the logs: keys and data of servers that are gone are of no use. */
export function removeOurs(dir: string): void {
  for (const name of existsSync(dir) ? readdirSync(dir) : []) {
    if (OURS.test(name)) rmSync(join(dir, name), { recursive: true, force: true });
  }
}
