#!/usr/bin/env node
/** The edge: argv, environment and signals in, exit code out. The only file that touches `process`. */
import { basename } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { type ProgramName, runProgram } from './cli/program.ts';
import { EXIT_CODES } from './cli/exit-codes.ts';
import type { Io } from './cli/io.ts';

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) process.exit(EXIT_CODES.interrupted);
    interrupted.abort();
  });
}
// A reader that went away (`| head`) is no fault of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? EXIT_CODES.ok : EXIT_CODES.failed);
});

const io: Io = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  input: async () => {
    let text = '';
    for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk);
    return text;
  },
  ask: async (question) => {
    if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
    // Not as a terminal: that would take ^C for itself.
    const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
    try {
      return await lines.question(question, { signal: interrupted.signal });
    } finally {
      lines.close();
    }
  },
  draws: process.stderr.isTTY,
  atExit: (run) => void process.on('exit', run),
  env: process.env,
  interrupted: interrupted.signal,
};

const program: ProgramName = /^bootstrap-token(\.[cm]?[jt]s)?$/.test(basename(process.argv[1] ?? ''))
  ? 'bootstrap-token'
  : 'kubelet-bootstrap';
process.exitCode = await runProgram(program, process.argv.slice(2), io);
// Keep-alive connections and Vault's abandoned calls must not hold the process.
process.stdout.write('', () => process.exit());
