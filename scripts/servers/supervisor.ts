import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess, isRunning, killAtExit, logOf, startProcess } from './process.ts';
import type { ProcessSpec, ServerProcess } from './process.ts';
import { undo } from './traces.ts';
import type { Trace } from './traces.ts';

export interface SupervisorOptions {
  /** Everything that the servers write lies below it; made when missing. */
  readonly dir: string;
  /** `parent`: no server outlives this process. `detached`: they run on until somebody ends them by pid. */
  readonly lifetime: 'parent' | 'detached';
  /** Takes one line of progress. */
  readonly write: (line: string) => void;
  /** Ends every wait, and with it the start. */
  readonly signal?: AbortSignal | undefined;
  /** Remove `dir` when all is stopped. */
  readonly removeDir?: boolean;
  /** Called after each change of what there is to end: processes and traces, both in the order of their start. */
  readonly onChange?: (processes: readonly ServerProcess[], traces: readonly Trace[]) => void;
}

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const POLL_MS = 20;
/** What is killed is gone within milliseconds, unless the kernel still has to tidy up much for it. */
const KILLED_WITHIN_MS = 5_000;

/** Starts servers, waits until they answer, and ends all of them, however this process ends. */
export class Supervisor {
  readonly dir: string;
  readonly write: (line: string) => void;
  readonly signal: AbortSignal | undefined;
  readonly #options: SupervisorOptions;
  readonly #launcher: readonly string[];
  readonly #cleanups: (() => Promise<void>)[] = [];
  #processes: ServerProcess[] = [];
  #traces: Trace[] = [];

  constructor(options: SupervisorOptions) {
    this.dir = options.dir;
    this.write = options.write;
    this.signal = options.signal;
    this.#options = options;
    this.#launcher = options.lifetime === 'parent' ? deathWithParent() : [];
    mkdirSync(join(this.dir, 'logs'), { recursive: true, mode: 0o700 });
    if (options.lifetime === 'parent') {
      process.on('exit', this.#onExit);
      for (const signal of ENDING_SIGNALS) process.on(signal, exitUnlessHandled);
    }
  }

  /** Makes and answers a folder below `dir` that only this user can read. */
  folder(name: string): string {
    const path = join(this.dir, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  }

  start(spec: Omit<ProcessSpec, 'logFile'>): ServerProcess {
    this.signal?.throwIfAborted();
    const started = startProcess({ ...spec, logFile: join(this.dir, 'logs', `${spec.name}.log`) }, this.#launcher);
    this.#processes.push(started);
    this.#changed();
    return started;
  }

  /** Asks, then kills after `graceMs`; resolves when the process is gone. */
  async end(ending: ServerProcess, graceMs = 5_000): Promise<void> {
    await endProcess(ending, graceMs);
    this.#processes = this.#processes.filter((each) => each !== ending);
    this.#changed();
  }

  /** Polls until `probe` answers true. Throws with the tail of the server's log when it has ended or `timeoutMs` is over. */
  async ready(waited: ServerProcess, probe: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
    const giveUpAt = performance.now() + timeoutMs;
    for (;;) {
      this.signal?.throwIfAborted();
      if (!isRunning(waited)) throw new StartError(waited, 'ended while it was starting');
      if (await probe().catch(() => false)) return;
      if (performance.now() > giveUpAt) throw new StartError(waited, `did not answer within ${timeoutMs / 1000} s`);
      await sleep(POLL_MS);
    }
  }

  /** Puts these back when the processes have ended, the last first. */
  undoAtEnd(traces: readonly Trace[]): void {
    this.#traces.push(...traces);
    this.#changed();
  }

  /** Runs `cleanup` when everything is stopped, after the processes have ended. */
  onStop(cleanup: () => Promise<void>): void {
    this.#cleanups.push(cleanup);
  }

  /** Ends all processes, the last started first, and cleans up. A second call does nothing. */
  async stop(): Promise<void> {
    for (const each of this.#processes.toReversed()) await this.end(each);
    this.#undoTraces();
    for (const cleanup of this.#cleanups.splice(0).toReversed()) await cleanup();
    process.off('exit', this.#onExit);
    for (const signal of ENDING_SIGNALS) process.off(signal, exitUnlessHandled);
    this.#removeDir();
  }

  #changed(): void {
    this.#options.onChange?.(this.#processes, this.#traces);
  }

  #undoTraces(): void {
    for (const trace of this.#traces.splice(0).toReversed()) undo(trace);
  }

  #removeDir(): void {
    if (this.#options.removeDir === true) rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }

  readonly #onExit = (): void => {
    killAtExit(this.#processes, KILLED_WITHIN_MS);
    this.#undoTraces();
    try {
      this.#removeDir();
    } catch {
      // A killed server may still hold a file; a leftover in the temporary folder must not change the exit code.
    }
  };
}

/** A foreign listener decides itself when to exit; without one, this must do what the signal would have done. */
function exitUnlessHandled(signal: NodeJS.Signals): void {
  const foreign = process.listeners(signal).some((listener) => listener !== exitUnlessHandled);
  if (!foreign) process.exit(128 + constants.signals[signal]);
}

/** A server did not come up. The message ends with the tail of its log. */
export class StartError extends Error {
  readonly code = 'ServerNotStarted';
  /** All that the server wrote. */
  readonly log: string;

  constructor(failed: ServerProcess, what: string) {
    const log = logOf(failed);
    const end = log.trimEnd().split('\n').slice(-15).join('\n');
    super(`${failed.name} ${what}; the end of ${failed.logFile}:\n${end}`);
    this.log = log;
  }
}

/**
 * The words to put before a command so that the kernel kills it when its parent dies of anything, SIGKILL included
 * (PR_SET_PDEATHSIG by util-linux's setpriv); none where that tool is missing.
 */
export function deathWithParent(): readonly string[] {
  const launcher = ['setpriv', '--pdeathsig', 'KILL'] as const;
  const [command, ...args] = launcher;
  return spawnSync(command, [...args, 'true'], { stdio: 'ignore' }).status === 0 ? launcher : [];
}
