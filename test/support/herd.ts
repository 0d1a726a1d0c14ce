/** Many machines that boot at once and fetch their tokens by the protocol of `fetch-bootstrap-token`. */
import { request } from 'node:https';
import type { OpenBao } from '../../scripts/servers/openbao.ts';
import { newMachine } from './cloud-init-machine.ts';

/** One machine of the herd. */
export interface HerdNode {
  readonly node: string;
  readonly roleId: string;
  readonly secretId: string;
}

export interface HerdOptions {
  readonly bao: Pick<OpenBao, 'address' | 'ca' | 'caFile'>;
  readonly nodes: readonly HerdNode[];
  /** How many of them run the script itself, and how many of those at once: each is several processes. */
  readonly scripts: number;
  readonly scriptsAtOnce: number;
  /** As in fetch.env. */
  readonly spreadSeconds: number;
  readonly deadlineSeconds: number;
  /** Told each time that a simulated machine has to try again. */
  readonly onRetry?: () => void;
}

export interface HerdResult {
  /** Nodes that got their own token. */
  readonly succeeded: number;
  readonly failures: readonly string[];
  /** ms from the boot to the token, of the simulated machines, in order. */
  readonly durations: readonly number[];
  /** ms of each call, connection and TLS included, in order. */
  readonly calls: readonly number[];
  /** Most calls that were begun within one second. */
  readonly peakPerSecond: number;
  readonly retries: number;
}

const MOUNT = 'herd';
const PREFIX = 'herd';
/** As the script has it of curl: for the connection with TLS, and for all of a call. */
const CONNECT_MS = 5_000;
const CALL_MS = 15_000;
const MAX_WAIT_MS = 30_000;

/** The token of a node, so that it can be told from its neighbour's. */
export function herdToken(index: number): string {
  return `${String(index).padStart(6, '0')}.0123456789abcdef`;
}

/** Makes a role, a secret_id and an entry for every node: what `vault setup` and `issue` leave behind. */
export async function prepareHerd(bao: OpenBao, count: number): Promise<HerdNode[]> {
  await bao.root('POST', `sys/auth/${MOUNT}`, { type: 'approle' });
  const auths = (await bao.root('GET', 'sys/auth')) as { data: Record<string, { accessor: string }> };
  const alias = `{{identity.entity.aliases.${auths.data[`${MOUNT}/`]?.accessor ?? ''}.name}}`;
  const policy = `path "secret/data/${PREFIX}/nodes/${alias}" { capabilities = ["read"] }`;
  await bao.root('PUT', `sys/policies/acl/${MOUNT}`, { policy });
  const nodes: HerdNode[] = [];
  const prepare = async (index: number): Promise<void> => {
    const node = `herd-${index}.example.internal`;
    const role = `auth/${MOUNT}/role/${node}`;
    await bao.root('POST', role, { token_policies: MOUNT, token_ttl: '10m', token_type: 'batch' });
    await bao.root('POST', `${role}/role-id`, { role_id: node });
    const made = (await bao.root('POST', `${role}/secret-id`, {})) as { data: { secret_id: string } };
    const expires_at = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, '');
    const entry = { token: herdToken(index), expires_at, server: 'https://10.0.0.1:6443', ca_certificate: bao.ca };
    await bao.root('POST', `secret/data/${PREFIX}/nodes/${node}`, { data: entry });
    nodes[index] = { node, roleId: node, secretId: made.data.secret_id };
  };
  await inTurns(count, 16, prepare);
  return nodes;
}

/** Boots them all at once. Never rejects for a machine that gets nothing: that is a failure in the result. */
export async function bootHerd(options: HerdOptions): Promise<HerdResult> {
  const { nodes, scripts, scriptsAtOnce } = options;
  const seen = { durations: [] as number[], calls: [] as number[], begun: [] as number[], retries: 0 };
  const failures: string[] = [];
  let succeeded = 0;
  const count = (index: number, token: string): void => {
    if (token === herdToken(index)) succeeded += 1;
    else failures.push(`${nodes[index]?.node}: ${token}`);
  };
  const simulated = nodes.slice(scripts).map(async (node, offset) => {
    const startedAt = performance.now();
    count(scripts + offset, await simulate(node, options, seen));
    seen.durations.push(performance.now() - startedAt);
  });
  const real = inTurns(Math.min(scripts, nodes.length), scriptsAtOnce, async (index) => {
    const node = nodes[index];
    if (node !== undefined) count(index, await runScript(node, options));
  });
  await Promise.all([...simulated, real]);
  const ascending = (values: number[]): number[] => values.toSorted((a, b) => a - b);
  return {
    succeeded,
    failures,
    durations: ascending(seen.durations),
    calls: ascending(seen.calls),
    peakPerSecond: peakOf(ascending(seen.begun)),
    retries: seen.retries,
  };
}

/** The value below which this share of them lies. */
export function percentile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(Math.floor(ascending.length * share), ascending.length - 1)] ?? Number.NaN;
}

async function runScript({ node, roleId, secretId }: HerdNode, options: HerdOptions): Promise<string> {
  const machine = newMachine(node);
  try {
    Object.assign(machine.settings, {
      VAULT_ADDR: options.bao.address,
      VAULT_CACERT: options.bao.caFile,
      APPROLE_MOUNT: MOUNT,
      KV_PATH: `${PREFIX}/nodes/${node}`,
      ROLE_ID_FILE: machine.file('role-id', roleId),
      SECRET_ID_FILE: machine.file('secret-id', secretId),
      SPREAD: '1',
      DEADLINE: String(options.deadlineSeconds),
      MAX_WAIT: '30',
    });
    const run = machine.run();
    const code = await run.ended;
    if (code !== 0) return `the script ended with ${code}: ${run.output()}`;
    const id = /with token ([a-z0-9]{6})/.exec(run.output())?.[1] ?? '';
    return `${id}.0123456789abcdef`;
  } finally {
    machine.remove();
  }
}

interface Seen {
  readonly calls: number[];
  readonly begun: number[];
  retries: number;
}

/** As the script does it: wait, log in, read; after a failure full jitter up to a ceiling that doubles. */
async function simulate(node: HerdNode, options: HerdOptions, seen: Seen): Promise<string> {
  const endsAt = performance.now() + options.deadlineSeconds * 1_000;
  await pause(Math.random() * options.spreadSeconds * 1_000);
  let token: string | undefined;
  for (let ceiling = 1_000; ; ceiling = Math.min(ceiling * 2, MAX_WAIT_MS)) {
    const answer = await attempt(node, token, options.bao, seen);
    token = answer.vaultToken;
    if (answer.entry !== undefined) return answer.entry;
    const wait = answer.leastMs + Math.random() * ceiling;
    if (performance.now() + wait > endsAt) return `gave up: ${answer.reason}`;
    seen.retries += 1;
    options.onRetry?.();
    await pause(wait);
  }
}

interface Attempt {
  readonly vaultToken: string | undefined;
  readonly entry?: string;
  readonly reason: string;
  readonly leastMs: number;
}

async function attempt(
  node: HerdNode,
  held: string | undefined,
  bao: HerdOptions['bao'],
  seen: Seen,
): Promise<Attempt> {
  let vaultToken = held;
  if (vaultToken === undefined) {
    const body = { role_id: node.roleId, secret_id: node.secretId };
    const login = await call(bao, 'POST', `auth/${MOUNT}/login`, {}, body, seen);
    vaultToken = (login.body as { auth?: { client_token: string } }).auth?.client_token;
    if (login.status !== 200) return { vaultToken: undefined, reason: `login ${login.status}`, leastMs: login.leastMs };
  }
  const headers = { 'x-vault-token': vaultToken ?? '' };
  const read = await call(bao, 'GET', `secret/data/${PREFIX}/nodes/${node.node}`, headers, undefined, seen);
  const entry = (read.body as { data?: { data?: { token?: string } } }).data?.data?.token;
  if (read.status === 200 && entry !== undefined) return { vaultToken, entry, reason: '', leastMs: 0 };
  return {
    vaultToken: read.status === 403 ? undefined : vaultToken,
    reason: `read ${read.status}`,
    leastMs: read.leastMs,
  };
}

/** One call on a connection of its own, as curl makes it; status 0 where there was no answer. */
function call(
  bao: HerdOptions['bao'],
  method: string,
  path: string,
  headers: Record<string, string>,
  body: object | undefined,
  seen: Seen,
): Promise<{ status: number; body: unknown; leastMs: number }> {
  const startedAt = performance.now();
  seen.begun.push(startedAt);
  return new Promise((resolve) => {
    const done = (status: number, text: string, retryAfter = ''): void => {
      seen.calls.push(performance.now() - startedAt);
      const leastMs = /^[1-9]\d{0,5}$/.test(retryAfter) ? Number(retryAfter) * 1_000 : 0;
      resolve({ status, body: parsed(text), leastMs });
    };
    const options = { method, headers, ca: bao.ca, agent: false } as const;
    const sent = request(`${bao.address}/v1/${path}`, options, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => done(answer.statusCode ?? 0, text, answer.headers['retry-after']));
    });
    const giveUp = (): unknown => sent.destroy(new Error('too late'));
    const [connecting, whole] = [setTimeout(giveUp, CONNECT_MS), setTimeout(giveUp, CALL_MS)];
    sent.on('socket', (socket) => socket.once('secureConnect', () => clearTimeout(connecting)));
    sent.on('close', () => {
      clearTimeout(connecting);
      clearTimeout(whole);
    });
    sent.on('error', () => done(0, ''));
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function inTurns(count: number, atOnce: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await work(index);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

function peakOf(ascending: readonly number[]): number {
  let peak = 0;
  let from = 0;
  for (const [to, at] of ascending.entries()) {
    while (at - (ascending[from] ?? at) > 1_000) from += 1;
    peak = Math.max(peak, to - from + 1);
  }
  return peak;
}
