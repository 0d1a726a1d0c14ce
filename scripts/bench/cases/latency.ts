import { nodeNames } from '../../../test/support/crowd.ts';
import { type BenchContext, type Case, type Figures, median, quantile } from '../case.ts';
import type { Contestant, Contestants } from '../contestants.ts';
import type { Load } from '../load.ts';
import type { Kind, Waited } from '../load-calls.ts';

const AT_REST = 300;
/** What a service that has run for a while has done: its code is compiled, and its heap has the size that it needs. */
const BEFORE = 1_000;
const BEFORE_PER_SECOND = 250;
/** After them, one by one. */
const WARM = 100;
/** Long enough for what a certificate leaves to do: the next node comes to a service at rest. */
const APART_MS = 25;
const PER_SECOND = 50;
const STEADY_S = 60;
const PATIENCE_MS = 60_000;

/** How long each waited, ms; `capMs` for one that has nothing. */
export const waits = (all: readonly Waited[], capMs = PATIENCE_MS): number[] =>
  all.map(({ createdAt, issuedAt }) => (issuedAt === undefined ? capMs : issuedAt - createdAt));

/** The same of so many, of which some were not begun because the one before them had nothing in time. */
export function waitsOf(count: number, all: readonly Waited[], capMs = PATIENCE_MS): number[] {
  return [...waits(all, capMs), ...Array.from({ length: count - all.length }, () => capMs)];
}

/** The first certificates show that the contestant runs, and are not counted. */
export async function warmUp(load: Load, kind: Kind = 'pool', nodes = nodeNames('warm', 5)): Promise<void> {
  await load.oneByOne(kind, nodes, 60_000);
  await load.forget();
}

async function runIn(load: Load, scale: number): Promise<void> {
  const count = Math.ceil(BEFORE * scale);
  await load.pace('pool', nodeNames('before', count), BEFORE_PER_SECOND);
  if (!(await load.issued('pool', count, PATIENCE_MS))) throw new Error(`the first ${count} are not done`);
  await warmUp(load, 'pool', nodeNames('warm', WARM));
}

const both = ({ ours, manager }: Contestants): { ours: Contestant; manager: Contestant } => ({ ours, manager });

const atRest: Case = {
  name: 'at-rest',
  about: '300 nodes one by one, from creation to certificate, each 25 ms after the one before; after 1,100 uncounted',
  figures: { p50: 'ms p50', p99: 'ms p99' },
  goals: (['p50', 'p99'] as const).map((figure) => ({
    what: `of the ${figure} of kube-controller-manager`,
    found: (of) => of('ours', figure) / of('manager', figure),
    atMost: 1,
  })),
  who: both,
  rounds: 9,
  run: async ({ stage, load, scale }, who): Promise<Figures> => {
    const running = await who.start(stage);
    try {
      await runIn(load, scale);
      const count = Math.ceil(AT_REST * scale);
      await load.oneByOne('pool', nodeNames('rest', count), PATIENCE_MS, APART_MS);
      const all = waitsOf(count, await load.waited('pool'));
      return { p50: median(all), p99: quantile(all, 0.99) };
    } finally {
      await running.stop();
    }
  },
};

const steady: Case = {
  name: 'steady',
  about: '50 a second for 60 s',
  figures: { rest: 'ms p99 at rest', p50: 'ms p50', p99: 'ms p99', growth: '× p50 last third to first' },
  goals: [
    { what: 'ms of p99 above that at rest', found: (of) => of('ours', 'p99') - of('ours', 'rest'), atMost: 60 },
    { what: '× the p50 of the first third in the last', found: (of) => of('ours', 'growth'), atMost: 1.25 },
  ],
  who: both,
  rounds: 1,
  run: runSteady,
};

async function runSteady({ stage, load, scale }: BenchContext, who: Contestant): Promise<Figures> {
  const running = await who.start(stage);
  try {
    await runIn(load, scale);
    await load.oneByOne('pool', nodeNames('rest', AT_REST), PATIENCE_MS, APART_MS);
    const rest = quantile(waitsOf(AT_REST, await load.waited('pool')), 0.99);
    await load.forget();
    const count = Math.ceil(PER_SECOND * STEADY_S * scale);
    await load.pace('pool', nodeNames('steady', count), PER_SECOND);
    await load.issued('pool', count, PATIENCE_MS);
    const all = waits(await load.waited('pool'));
    const third = Math.floor(count / 3);
    const growth = median(all.slice(-third)) / median(all.slice(0, third));
    return { rest, p50: median(all), p99: quantile(all, 0.99), growth };
  } finally {
    await running.stop();
  }
}

/** One node at rest, and a steady flow. */
export const latencies: readonly Case[] = [atRest, steady];
