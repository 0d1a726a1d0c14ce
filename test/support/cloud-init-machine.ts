import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tellSaid } from '../../scripts/servers/said.ts';

export const CLOUD_INIT = join(import.meta.dirname, '../../manifests/cloud-init');

/** One run of `fetch-bootstrap-token`. */
export interface FetchRun {
  readonly pid: number;
  /** Standard output and error so far. */
  output(): string;
  /** Resolves once the output matches; throws when the script ends before. */
  said(pattern: RegExp): Promise<void>;
  /** The exit code; -1 when a signal ended it without one. */
  readonly ended: Promise<number>;
}

/** A new machine as cloud-init leaves it: a folder with the files that the settings name. */
export interface Machine {
  readonly dir: string;
  readonly node: string;
  readonly kubeconfig: string;
  readonly certificate: string;
  /** The lines of fetch.env; change them before `run`. No initial wait, 10 s for all, back-off up to 1 s. */
  readonly settings: Record<string, string>;
  /** Writes a file of the machine, 0600, and answers its path. */
  file(name: string, content: string): string;
  /** What the script left in the folder of the bootstrap kubeconfig and in its working directory. */
  written(): string[];
  /** `script`: instead of the one in the repository. */
  run(env?: NodeJS.ProcessEnv, script?: string): FetchRun;
  remove(): void;
}

export function newMachine(node: string): Machine {
  const dir = mkdtempSync(join(tmpdir(), 'kubelet-bootstrap-machine-'));
  const folders = { kubernetes: join(dir, 'kubernetes'), run: join(dir, 'run') };
  for (const folder of Object.values(folders)) mkdirSync(folder);
  const kubeconfig = join(folders.kubernetes, 'bootstrap-kubelet.conf');
  const certificate = join(dir, 'kubelet-client-current.pem');
  const file = (name: string, content: string): string => {
    writeFileSync(join(dir, name), content, { mode: 0o600 });
    return join(dir, name);
  };
  const settings: Record<string, string> = {
    NODE_NAME: node,
    KUBELET_CLIENT_CERT: certificate,
    BOOTSTRAP_KUBECONFIG: kubeconfig,
    DEADLINE: '60',
    SPREAD: '0',
    MAX_WAIT: '1',
  };
  return {
    dir,
    node,
    kubeconfig,
    certificate,
    settings,
    file,
    written: () => Object.values(folders).flatMap((folder) => readdirSync(folder)),
    run: (env = {}, script = join(CLOUD_INIT, 'fetch-bootstrap-token')) => {
      const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
      const config = file('fetch.env', lines.join(''));
      return startFetch(script, config, { ...process.env, RUNTIME_DIRECTORY: folders.run, ...env });
    },
    remove: () => rmSync(dir, { recursive: true }),
  };
}

function startFetch(script: string, config: string, env: NodeJS.ProcessEnv): FetchRun {
  const child = spawn(script, [config], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let over = false;
  const waiting = new Set<() => void>();
  const changed = (): void => waiting.forEach((look) => look());
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      changed();
    });
  }
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject).on('close', (code) => {
      over = true;
      changed();
      tellSaid({ program: 'fetch-bootstrap-token', stdout: output, stderr: '' });
      resolve(code ?? -1);
    });
  });
  return {
    pid: child.pid ?? 0,
    output: () => output,
    ended,
    said: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(output)) resolve();
          else if (over) reject(new Error(`it never said ${String(pattern)}:\n${output}`));
          else return;
          waiting.delete(look);
        };
        waiting.add(look);
        look();
      }),
  };
}
