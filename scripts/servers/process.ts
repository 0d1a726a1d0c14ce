import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** One running server. The start time tells it from another process that was given the same pid later. */
export interface ServerProcess {
  readonly name: string;
  readonly pid: number;
  /** Clock ticks since boot (field 22 of `/proc/PID/stat`, proc(5)). */
  readonly startTime: string;
  readonly logFile: string;
  /** Where in the log this process begins; before it stand earlier ones of the same name. Bytes. */
  readonly logOffset: number;
}

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** The start time of a live process; undefined for one that has ended, a zombie included. */
export function startTimeOf(pid: number): string | undefined {
  const stat = statOf(pid);
  return stat === undefined || stat.state === 'Z' || stat.state === 'X' ? undefined : stat.startTime;
}

function statOf(pid: number): { readonly state: string; readonly startTime: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in the second field may hold spaces and parentheses; the third field follows its last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

/** True while exactly this process runs. */
export function isRunning(process: Pick<ServerProcess, 'pid' | 'startTime'>): boolean {
  return startTimeOf(process.pid) === process.startTime;
}

/**
 * Starts a server in a session of its own, so that ^C in a terminal reaches only its parent. Output is appended to the
 * log file. `launcher` is put before the command (see `deathWithParent`).
 */
export function startProcess(spec: ProcessSpec, launcher: readonly string[]): ServerProcess {
  const [command, ...args] = [...launcher, spec.command, ...spec.args];
  const log = openSync(spec.logFile, 'a', 0o600);
  const logOffset = fstatSync(log).size;
  try {
    const child = spawn(command ?? spec.command, args, {
      detached: true,
      stdio: ['ignore', log, log],
      env: spec.env ?? process.env,
    });
    // A command that cannot be run has no pid, which is reported below; without a listener the event would be thrown.
    child.on('error', () => undefined);
    child.unref();
    // One that has ended already is still there as a zombie: it is reaped when this function has returned.
    const startTime = child.pid === undefined ? undefined : statOf(child.pid)?.startTime;
    if (child.pid === undefined || startTime === undefined) {
      throw new Error(`${spec.name} could not be started from ${spec.command}`);
    }
    return { name: spec.name, pid: child.pid, startTime, logFile: spec.logFile, logOffset };
  } finally {
    closeSync(log);
  }
}

/** Sends the signal to exactly this process; false when it has ended. */
export function signalProcess(process_: Pick<ServerProcess, 'pid' | 'startTime'>, signal: NodeJS.Signals): boolean {
  if (!isRunning(process_)) return false;
  try {
    process.kill(process_.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * Kills all of them and blocks until they are gone, for `mostMs` at most: while a process exits nothing else runs. What
 * they hold, such as mounts and files, is free only then.
 */
export function killAtExit(processes: readonly Pick<ServerProcess, 'pid' | 'startTime'>[], mostMs: number): void {
  for (const each of processes) signalProcess(each, 'SIGKILL');
  const giveUpAt = performance.now() + mostMs;
  const never = new Int32Array(new SharedArrayBuffer(4));
  while (processes.some(isRunning) && performance.now() < giveUpAt) Atomics.wait(never, 0, 0, 5);
}

/** Asks the process to end, kills it after `graceMs`, and resolves when it is gone. */
export async function endProcess(process: Pick<ServerProcess, 'pid' | 'startTime'>, graceMs: number): Promise<void> {
  const killAt = performance.now() + graceMs;
  let killed = false;
  signalProcess(process, 'SIGTERM');
  while (isRunning(process)) {
    if (!killed && performance.now() >= killAt) killed = signalProcess(process, 'SIGKILL');
    await sleep(10);
  }
}

/** Everything that this process has written so far. */
export function logOf(process: Pick<ServerProcess, 'logFile' | 'logOffset'>): string {
  try {
    return readFileSync(process.logFile).subarray(process.logOffset).toString();
  } catch {
    return '';
  }
}
