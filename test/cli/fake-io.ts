import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Io } from '../../src/cli/io.ts';
import { type ProgramName, runProgram } from '../../src/cli/program.ts';

/** What a command line did. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line without a process: nothing of this one's environment and signals reaches it. */
export async function ran(
  program: ProgramName,
  args: readonly string[],
  env: Io['env'] = {},
  interrupted: AbortSignal = new AbortController().signal,
  terminal: Partial<Pick<Io, 'input' | 'ask' | 'draws'>> = {},
): Promise<Ran> {
  let [out, err] = ['', ''];
  const code = await runProgram(program, args, {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    input: () => Promise.resolve(''),
    ask: () => Promise.resolve(undefined),
    draws: false,
    atExit: () => {},
    ...terminal,
    env,
    interrupted,
  });
  return { code, out, err };
}

/** Runs the work with a file of this text, which is gone afterwards. */
export async function withFile<T>(text: string, work: (path: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'kubelet-bootstrap-cli-'));
  try {
    const path = join(folder, 'config.yaml');
    writeFileSync(path, text);
    return await work(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
