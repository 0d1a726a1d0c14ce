import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { candidates, MissingToolError } from './binaries.ts';
import { cached, cacheRoot } from './cache.ts';
import { runCommand } from './long-step.ts';

/** What Go's `crypto/x509` makes of a request: what the API server and kube-controller-manager would see. */
export interface GoReading {
  /** Why it was refused, or that its signature is wrong; '' when neither. */
  readonly error: string;
  /** Dotted identifier and value of each attribute, in order; null, like the others, for none. */
  readonly subject: readonly (readonly [string, string])[] | null;
  readonly dnsNames: readonly string[] | null;
  /** Hex. */
  readonly ipAddresses: readonly string[] | null;
  /** Number of e-mail addresses and URIs. */
  readonly others: number;
  readonly extensions: readonly string[] | null;
  /** SubjectPublicKeyInfo, hex. */
  readonly publicKey: string;
}

/** Path of the program, built with Go into the cache when missing. Throws MissingToolError when there is no Go. */
export async function findCsrReader(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const source = join(import.meta.dirname, 'csr-reader');
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'main.go']) hash.update(readFileSync(join(source, file)));
  const path = join(cacheRoot(env), `csr-reader-${process.arch}-${hash.digest('hex').slice(0, 16)}`);
  if (!existsSync(path) && candidates('go', env).length === 0) {
    throw new MissingToolError('csr-reader is needed: install Go 1.26 or newer (any from 1.21 fetches it) to build it');
  }
  await cached({
    path,
    step: {
      what: 'building csr-reader with Go',
      usually: 'about half a minute',
      write: (line) => void process.stderr.write(`${line}\n`),
    },
    fill: async (dir) => {
      const args = ['build', '-trimpath', '-buildvcs=false', '-o', `${dir}/`, '.'];
      await runCommand({ command: 'go', args, cwd: source, env: { ...env, CGO_ENABLED: '0' } });
    },
  });
  return join(path, 'csr-reader');
}

/** Reads the bytes of many `spec.request` at once; the answers are in their order. */
export async function readWithGo(program: string, requests: readonly Uint8Array[]): Promise<GoReading[]> {
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  // When it ends before it has read everything, its status says why.
  child.stdin.on('error', () => {});
  child.stdin.end(requests.map((request) => `${Buffer.from(request).toString('base64')}\n`).join(''));
  const [output, [status]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  const answers = output.split('\n').filter((line) => line !== '');
  if (status !== 0 || answers.length !== requests.length) {
    throw new Error(`${program} ended with ${status} after ${answers.length} of ${requests.length} answers`);
  }
  return answers.map((line) => JSON.parse(line) as GoReading);
}
