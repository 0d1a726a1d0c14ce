import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { ControlPlane } from './control-plane.ts';
import { waitUntil } from './long-step.ts';
import type { OpenBao } from './openbao.ts';
import { freePorts } from './ports.ts';
import { logOf, type ServerProcess, signalProcess, startTimeOf } from './process.ts';
import { tellSaid } from './said.ts';
import type { Supervisor } from './supervisor.ts';

const SOURCES = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'src');

/** Where the servers stand that the service talks to. */
export interface Surroundings {
  readonly controlPlane: Pick<ControlPlane, 'server' | 'caFile' | 'caKeyFile'>;
  readonly openBao?: Pick<OpenBao, 'address' | 'caFile' | 'rootTokenFile'> | undefined;
}

/** A config that fits the local servers; `changes` are merged into it, section by section. */
export function configFor(
  { controlPlane, openBao }: Surroundings,
  changes: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const config: Record<string, unknown> = {
    cluster: { server: controlPlane.server, caFile: controlPlane.caFile },
    serving: { addressRanges: ['0.0.0.0/1', '128.0.0.0/1', '::/1', '8000::/1'], admitsAnyAddress: true },
    signer: { ca: { certificateFile: controlPlane.caFile, keyFile: controlPlane.caKeyFile } },
    ...(openBao === undefined
      ? { controllers: ['approver', 'signer', 'cleaner'] }
      : {
          vault: {
            address: openBao.address,
            caFile: openBao.caFile,
            auth: { method: 'tokenFile', tokenFile: openBao.rootTokenFile },
          },
        }),
  };
  for (const [section, change] of Object.entries(changes)) {
    const held = config[section];
    const merges = isPlain(held) && isPlain(change) && section !== 'signer';
    config[section] = merges ? { ...held, ...change } : change;
  }
  return config;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export interface ServiceOptions {
  /** Of the process and its log file. */
  readonly name: string;
  readonly kubeconfig: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** What to run instead of the sources, such as the bundle; and Node's flags for it. */
  readonly file?: string;
  readonly nodeFlags?: readonly string[];
  /** Added to that of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** More arguments of `run`. */
  readonly args?: readonly string[];
}

/** The fields of a log line that tests and demo look at. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly csr?: string;
  readonly verdict?: string;
  readonly reason?: string;
  readonly why?: string;
  readonly seconds?: number;
}

/** `kubelet-bootstrap run` as a process of its own. */
export interface Service {
  readonly process: ServerProcess;
  readonly configFile: string;
  readonly opsUrl: string;
  /** Everything that it wrote, stdout and stderr. */
  log(): string;
  /** The lines of its log that are JSON. */
  lines(): LogLine[];
  /** Body of /livez, /readyz or /metrics, with its status. */
  ops(path: string): Promise<{ status: number; body: string }>;
  /** Value of the one sample with this name and these labels; 0 where there is none. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** Asks with SIGTERM and waits. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/** Starts it and waits for its ops port; with `untilReady` false it need not be ready. */
export async function startService(
  supervisor: Supervisor,
  options: ServiceOptions,
  untilReady = true,
): Promise<Service> {
  const [port = 0] = await freePorts(1);
  const listen = `127.0.0.1:${port}`;
  const configFile = join(supervisor.folder(`service-${options.name}`), 'config.yaml');
  const ops = isPlain(options.config['ops']) ? options.config['ops'] : {};
  writeFileSync(configFile, stringify({ ...options.config, ops: { logLevel: 'debug', ...ops, listen } }));
  const started = supervisor.start({
    name: options.name,
    command: process.execPath,
    env: { ...process.env, ...options.env },
    args: [
      ...(options.nodeFlags ?? []),
      options.file ?? join(SOURCES, 'main.ts'),
      'run',
      '--config',
      configFile,
      '--kubeconfig',
      options.kubeconfig,
      ...(options.args ?? []),
    ],
  });
  supervisor.onStop(() => Promise.resolve(tellSaid({ program: options.name, stdout: logOf(started), stderr: '' })));
  const opsUrl = `http://${listen}`;
  const get = async (path: string): Promise<{ status: number; body: string }> => {
    // The server ends an idle connection; a busy client would find that out only with its next request.
    const answer = await fetch(opsUrl + path, { headers: { connection: 'close' } });
    return { status: answer.status, body: await answer.text() };
  };
  await supervisor.ready(started, async () => (await get(untilReady ? '/readyz' : '/livez')).status === 200);
  return {
    process: started,
    configFile,
    opsUrl,
    log: () => logOf(started),
    lines: () =>
      logOf(started)
        .split('\n')
        .slice(0, -1)
        .filter((line) => line.startsWith('{') && line.endsWith('}'))
        .map((line) => JSON.parse(line) as LogLine),
    ops: get,
    metric: async (name, labels = {}) => sampleOf((await get('/metrics')).body, name, labels),
    stop: () => supervisor.end(started, 30_000),
    kill: async () => {
      signalProcess(started, 'SIGKILL');
      await waitUntil(async () => startTimeOf(started.pid) !== started.startTime, undefined, 20);
      await supervisor.end(started);
    },
  };
}

/** Sum of the samples of that name that carry all of these labels. */
export function sampleOf(exposition: string, name: string, labels: Readonly<Record<string, string>>): number {
  let sum = 0;
  for (const line of exposition.split('\n')) {
    const [, found, text = '', value] = /^([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (found !== name) continue;
    if (Object.entries(labels).every(([key, wanted]) => text.includes(`${key}="${wanted}"`))) sum += Number(value);
  }
  return sum;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Ends a program that runs. */
export interface CutShort {
  readonly when?: AbortSignal;
  readonly by?: NodeJS.Signals;
}

/** Runs one of the two programs to its end, as a user would. */
export function runProgram(
  program: 'kubelet-bootstrap' | 'bootstrap-token',
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cut: CutShort = {},
): Promise<CommandResult> {
  const file = join(SOURCES, program === 'bootstrap-token' ? 'bootstrap-token.ts' : 'main.ts');
  const child = spawn(process.execPath, [file, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  cut.when?.addEventListener('abort', () => child.kill(cut.by));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      tellSaid({ program: `${program} ${args.join(' ')}`, stdout, stderr });
      resolve({ code: code ?? -1, stdout, stderr });
    });
  });
}

/** Resident memory of a process in bytes (Linux); `peak` is the most that it ever had. */
export function residentBytes(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kilobytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return { now: kilobytes('VmRSS') * 1024, peak: kilobytes('VmHWM') * 1024 };
}
