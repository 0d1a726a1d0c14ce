import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { deathWithParent } from './supervisor.ts';

/** What someone who waits for a long step is told. */
export interface LongStep {
  /** In the form `building kube-apiserver with Go`. */
  readonly what: string;
  /** How long it usually takes, in words: `about 10 minutes on two cores`. */
  readonly usually: string;
  readonly write: (line: string) => void;
  /** Milliseconds between two signs of life; 15 s when absent. */
  readonly everyMs?: number | undefined;
}

/** Runs `work`; writes one line at its start, one at its end, and a sign of life in between. */
export async function longStep<T>(step: LongStep, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  step.write(`${step.what}: once, ${step.usually}`);
  const beat = setInterval(() => step.write(`  still ${step.what} (${elapsed(startedAt)})`), step.everyMs ?? 15_000);
  try {
    const result = await work();
    step.write(`  done in ${elapsed(startedAt)}`);
    return result;
  } finally {
    clearInterval(beat);
  }
}

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A command ended with a status other than 0, or could not be run (`status` undefined). */
export class CommandError extends Error {
  readonly code = 'CommandFailed';
  readonly status: number | undefined;
  readonly output: string;

  constructor(command: Command, status: number | undefined, output: string) {
    super(
      `${[command.command, ...command.args].join(' ')} failed${status === undefined ? '' : ` (${status})`}:\n${output}`,
    );
    this.status = status;
    this.output = output;
  }
}

const KEPT_OUTPUT = 4_000;

/**
 * Runs a command to its end and answers its output (the last 4,000 characters of both streams). An aborted `signal`, and
 * the end of this process, end it with all its children.
 */
export async function runCommand(command: Command): Promise<string> {
  command.signal?.throwIfAborted();
  const [program, ...args] = [...deathWithParent(), command.command, ...command.args];
  const child = spawn(program ?? command.command, args, {
    cwd: command.cwd,
    env: command.env ?? process.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const killGroup = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  };
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-KEPT_OUTPUT);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  process.on('exit', killGroup);
  command.signal?.addEventListener('abort', killGroup, { once: true });
  try {
    const status = await new Promise<number | undefined>((resolve) => {
      child.on('error', (error) => {
        output += error.message;
        resolve(undefined);
      });
      child.on('close', (code) => resolve(code ?? undefined));
    });
    command.signal?.throwIfAborted();
    if (status !== 0) throw new CommandError(command, status, output.trimEnd());
    return output;
  } finally {
    process.off('exit', killGroup);
    command.signal?.removeEventListener('abort', killGroup);
  }
}

/** Polls until `done` answers true; a sign of life is the caller's (`longStep`). */
export async function waitUntil(
  done: () => Promise<boolean>,
  signal: AbortSignal | undefined,
  everyMs = 200,
): Promise<void> {
  while (!(await done())) {
    signal?.throwIfAborted();
    await sleep(everyMs);
  }
}

function elapsed(startedAt: number): string {
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
