/** The cases of the bench. Each runs contestants in turn on the same servers and answers rows of a table. */
import type { HttpsClient } from '../servers/https-client.ts';
import { residentBytes } from '../servers/service.ts';
import { nodeNames } from '../../test/support/crowd.ts';
import type { Contestant } from './contestants.ts';
import { addNodes, clear, follow, type Kind, makeCsrs } from './load.ts';
import { cpuSeconds, type Stage } from './stage.ts';

/** What one contestant did in one round. */
export interface Sample {
  /** The figure that is compared. */
  readonly value: number;
  /** The most that was waited, ms; for latencies. */
  readonly worst?: number;
  /** CPU of the contestant and of kube-apiserver, ms a certificate. */
  readonly ownCpu?: number;
  readonly apiServerCpu?: number;
  readonly residentMiB?: number;
}

export interface BenchContext {
  readonly stage: Stage;
  readonly token: HttpsClient;
  readonly write: (line: string) => void;
  /** Distinct in one bench: a node that has its first certificate does not get another one. */
  readonly nextRun: () => number;
}

const LONGEST_DRAIN_MS = 180_000;
/** Below this many certificates a rate says little. */
const RATE_FROM = 0.05;

/**
 * Certificates a second for CSRs that wait when the contestant starts, from the first twentieth to the last one: what
 * starting takes is another figure.
 */
export async function drain(context: BenchContext, contestant: Contestant, kind: Kind, count: number): Promise<Sample> {
  const { stage, token } = context;
  const names = nodeNames(kind === 'bootstrap' ? `b${context.nextRun()}` : 'fleet', count);
  if (kind !== 'bootstrap') await addNodes(stage.plane, names);
  await makeCsrs(stage.plane, kind, names, token);
  const seen = await follow(stage.plane);
  const apiServerBefore = stage.apiServerCpu();
  const running = await contestant.start(stage);
  try {
    const all = await seen.until(count, LONGEST_DRAIN_MS);
    const times = [...seen.issuedAt.values()].toSorted((a, b) => a - b);
    if (!all)
      context.write(`  ${contestant.name}: only ${times.length} of ${count} within ${LONGEST_DRAIN_MS / 1_000} s`);
    const from = Math.floor(times.length * RATE_FROM);
    const seconds = ((times.at(-1) ?? 0) - (times[from] ?? 0)) / 1_000;
    return {
      value: (times.length - from) / seconds,
      ownCpu: (cpuSeconds(running.pid) * 1_000) / times.length,
      apiServerCpu: ((stage.apiServerCpu() - apiServerBefore) * 1_000) / times.length,
      residentMiB: isAlive(running.pid) ? residentBytes(running.pid).peak / 2 ** 20 : NaN,
    };
  } finally {
    await running.stop();
    await seen.close();
    await clear(stage.plane);
  }
}

/** Median and worst time from creation to certificate, ms, of nodes that come one by one. */
export async function atRest(context: BenchContext, contestant: Contestant, count: number): Promise<Sample> {
  const running = await contestant.start(context.stage);
  try {
    return latency(await oneByOne(context, count));
  } finally {
    await running.stop();
    await clear(context.stage.plane);
  }
}

/**
 * The talk's incident: renewals that nobody may approve wait, as many as `stuck`, and fresh nodes come one by one. The
 * binding of renewals is away meanwhile.
 */
export async function incident(
  context: BenchContext,
  contestant: Contestant,
  stuck: number,
  fresh: number,
): Promise<Sample> {
  const { plane } = context.stage;
  const names = nodeNames('fleet', stuck);
  const binding =
    '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kubeadm:node-autoapprove-certificate-rotation';
  const held = (await plane.admin.must('GET', binding)) as { metadata: { name: string } };
  await addNodes(plane, names);
  await plane.admin.must('DELETE', binding);
  try {
    await makeCsrs(plane, 'renewal', names, context.token);
    const running = await contestant.start(context.stage);
    try {
      return latency(await oneByOne(context, fresh, INCIDENT_MS));
    } finally {
      await running.stop();
    }
  } finally {
    const { name } = held.metadata;
    await plane.admin.must('POST', binding.slice(0, binding.lastIndexOf('/')), { ...held, metadata: { name } });
    await clear(plane);
  }
}

/** A fresh node that has no certificate by then is counted with this. */
const INCIDENT_MS = 120_000;
const PATIENCE_MS = 30_000;

async function oneByOne(context: BenchContext, count: number, mostMs = PATIENCE_MS): Promise<number[]> {
  const { plane } = context.stage;
  const seen = await follow(plane);
  const waits: number[] = [];
  const endAt = performance.now() + mostMs;
  // The first one shows that the contestant runs, and is not counted.
  for (const [index, name] of nodeNames(`b${context.nextRun()}`, count + 1).entries()) {
    const left = endAt - performance.now();
    if (left <= 0) break;
    const createdAt = performance.now();
    await makeCsrs(plane, 'bootstrap', [name], context.token);
    const issued = await seen.until(index + 1, left);
    const at = seen.issuedAt.get(`csr-bootstrap-${name}`) ?? performance.now();
    if (index > 0 || !issued) waits.push(at - createdAt);
    if (!issued) break;
  }
  await seen.close();
  return waits;
}

function latency(waits: readonly number[]): Sample {
  const sorted = waits.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { value: at(0.5), worst: at(0.99) };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
