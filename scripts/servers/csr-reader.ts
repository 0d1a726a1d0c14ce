import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { findGoProgram } from './go-program.ts';

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

/** Path of the program, built when missing. Throws MissingToolError when there is no Go. */
export function findCsrReader(env?: NodeJS.ProcessEnv): Promise<string> {
  return findGoProgram({ name: 'csr-reader', modules: ['go.mod'], usually: 'about half a minute' }, env);
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
