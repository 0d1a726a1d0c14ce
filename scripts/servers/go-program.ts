import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { candidates, MissingToolError } from './binaries.ts';
import { cached, cacheRoot } from './cache.ts';
import { runCommand } from './long-step.ts';

export interface GoProgram {
  /** Of the program and of its folder here. */
  readonly name: string;
  /** What it is made of, beside its `main.go`, as seen from its folder. */
  readonly modules: readonly string[];
  /** Such as `about half a minute`. */
  readonly usually: string;
}

/** Path of a program of ours in Go, built into the cache when missing. Throws MissingToolError when there is no Go. */
export async function findGoProgram(
  { name, modules, usually }: GoProgram,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const source = join(import.meta.dirname, name);
  const hash = createHash('sha256');
  for (const file of [...modules, 'main.go']) hash.update(readFileSync(join(source, file)));
  const path = join(cacheRoot(env), `${name}-${process.arch}-${hash.digest('hex').slice(0, 16)}`);
  if (!existsSync(path) && candidates('go', env).length === 0) {
    throw new MissingToolError(`${name} is needed: install Go 1.26 or newer (any from 1.21 fetches it) to build it`);
  }
  await cached({
    path,
    step: { what: `building ${name} with Go`, usually, write: (line) => void process.stderr.write(`${line}\n`) },
    fill: async (dir) => {
      const args = ['build', '-trimpath', '-buildvcs=false', '-o', `${dir}/`, '.'];
      await runCommand({ command: 'go', args, cwd: source, env: { ...env, CGO_ENABLED: '0' } });
    },
  });
  return join(path, name);
}
