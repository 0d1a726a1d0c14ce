/**
 * `npm run bench:expiry`: one look at everything with an end in a cluster with 2,000 webhooks and APIServices, each with
 * a CA of its own, beside a bare list of the same objects in turn.
 */
import PQueue from 'p-queue';
import { lookAt } from '../../src/controllers/expiry-watch.ts';
import { judge, soonestFirst } from '../../src/expiry/judge.ts';
import { clientCas, servingCertificate } from '../../src/kubernetes/cluster-certificates.ts';
import { connectCluster } from '../../src/kubernetes/kubeconfig.ts';
import { trustBundles } from '../../src/kubernetes/trust-bundles.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import {
  API_SERVICES,
  apiService,
  DEFINITIONS,
  MUTATING,
  selfMade,
  webhookConfiguration,
  WEBHOOKS,
} from '../../test/support/expiring.ts';
import type { ControlPlane } from '../servers/control-plane.ts';
import { openStage } from './stage.ts';

const WEBHOOK_COUNT = 1_500;
const SERVICE_COUNT = 500;
const ROUNDS = 7;
const GOAL_MS = 2_000;
const LISTS = [WEBHOOKS, MUTATING, DEFINITIONS, API_SERVICES];
const DAY_MS = 86_400_000;
const THRESHOLDS = { warningMs: 30 * DAY_MS, criticalMs: 7 * DAY_MS };
const never = new AbortController().signal;
const { gc } = globalThis;
if (gc === undefined) throw new Error('run with --expose-gc');

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

async function settledHeap(): Promise<number> {
  for (let round = 0; round < 4; round += 1) {
    gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}

async function fill({ admin }: ControlPlane): Promise<void> {
  const gate = new PQueue({ concurrency: 16 });
  const numbers = Array.from({ length: WEBHOOK_COUNT + SERVICE_COUNT }, (_, number) => number);
  await gate.addAll(
    numbers.map((number) => async () => {
      const { certPem } = await selfMade(`owner-${number}`, 40 + (number % 300));
      if (number < SERVICE_COUNT) await admin.must('POST', API_SERVICES, apiService(`g${number}.example.org`, certPem));
      else {
        const path = number % 2 === 0 ? WEBHOOKS : MUTATING;
        await admin.must('POST', path, webhookConfiguration(`hook-${number}`, certPem));
      }
    }),
  );
}

/** Every object, in the same pages, parsed and thrown away. */
async function bareList({ admin }: ControlPlane, path: string): Promise<number> {
  let [count, token] = [0, ''];
  do {
    const query = `limit=500${token === '' ? '' : `&continue=${encodeURIComponent(token)}`}`;
    const { items, metadata } = (await admin.must('GET', `${path}?${query}`)) as {
      items: unknown[];
      metadata: { continue?: string };
    };
    count += items.length;
    token = metadata.continue ?? '';
  } while (token !== '');
  return count;
}

const stage = await openStage((line) => void process.stderr.write(`${line}\n`));
const calls = new Map<string, number>();
const { transport } = connectCluster(stage.plane.adminKubeconfig, {
  clock: systemClock,
  timeoutMs: 15_000,
  connections: 24,
  onCall: ({ verb, resource }) => calls.set(`${verb} ${resource}`, (calls.get(`${verb} ${resource}`) ?? 0) + 1),
});
try {
  await fill(stage.plane);
  const sources = [
    servingCertificate(transport, systemClock),
    clientCas(transport, systemClock),
    ...trustBundles(transport, systemClock),
  ];
  const look = async (): Promise<number> => {
    const looks = await Promise.all(sources.map((source) => lookAt(source, never)));
    const failed = looks.filter((each) => each.failed);
    if (failed.length > 0) throw new Error(JSON.stringify(failed));
    const now = systemClock.now();
    const things = looks.flatMap((each) => each.things);
    return soonestFirst(things.map((thing) => judge(thing, THRESHOLDS, now))).length;
  };
  const count = await look();
  await Promise.all(LISTS.map((path) => bareList(stage.plane, path)));
  const [ours, bare]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(await timed(look));
    bare.push(await timed(() => Promise.all(LISTS.map((path) => bareList(stage.plane, path)))));
  }
  const held: { looks: unknown } = { looks: await Promise.all(sources.map((source) => lookAt(source, never))) };
  const withThings = await settledHeap();
  held.looks = undefined;
  const kilobytes = (withThings - (await settledHeap())) / 1024;
  process.stdout.write(
    [
      `${count} things looked at in ${median(ours).toFixed(0)} ms (goal: ${GOAL_MS}; rounds ${ours.map((ms) => ms.toFixed(0)).join(', ')})`,
      `a bare list of the same objects: ${median(bare).toFixed(0)} ms; ratio ${(median(ours) / median(bare)).toFixed(2)}`,
      `what is kept of them: ${kilobytes.toFixed(0)} KiB of heap`,
      `calls: ${[...calls].map(([call, times]) => `${call} ${times}`).join(', ')}\n`,
    ].join('\n'),
  );
  const strays = [...calls.keys()].filter((call) => call.startsWith('watch') || call.endsWith(' secrets'));
  if (strays.length > 0) throw new Error(`not wanted: ${strays.join(', ')}`);
  if (median(ours) > GOAL_MS) process.exitCode = 1;
} finally {
  await transport.close();
  await stage.stop();
}
