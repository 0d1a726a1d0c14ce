import { setTimeout as sleep } from 'node:timers/promises';
import { nodeNames } from '../../../test/support/crowd.ts';
import {
  type BenchContext,
  type Case,
  type Entrant,
  type Figures,
  type FiguresOf,
  median,
  quantile,
  type Role,
} from '../case.ts';
import type { Contestant, Contestants, Running } from '../contestants.ts';
import type { Load } from '../load.ts';
import type { Kind, Waited } from '../load-calls.ts';

/** How often each has its turn in a round. */
const TURNS = 15;
/** Before them: for a quarter of a minute, as measured, the servers are slower by what the first certificates were. */
const UNCOUNTED_TURNS = 3;
/** Nodes in a turn. */
const IN_TURN = 40;
/** The first of them, which pay for what the other has left in the caches. */
const UNCOUNTED = 5;
/** For what has happened while it was paused. */
const SETTLE_MS = 500;
/** For what the first certificates leave to do: records of nodes are written five seconds after the last, with rests. */
const AFTERWARDS_MS = 12_000;
const AT_REST = 300;
/** What a service that has run for a while has done: its code is compiled, and its heap has the size that it needs. */
const BEFORE = 600;
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

/** Until its code is compiled. Nothing of it is counted. */
export async function runIn(load: Load, scale: number, role: Role): Promise<void> {
  const count = Math.ceil(BEFORE * scale);
  await load.pace('pool', nodeNames(`${role}before`, count), BEFORE_PER_SECOND);
  if (!(await load.issued('pool', count, PATIENCE_MS))) throw new Error(`the first ${count} are not done`);
  await warmUp(load, 'pool', nodeNames(`${role}warm`, WARM));
}

const both = ({ ours, manager }: Contestants): { ours: Contestant; manager: Contestant } => ({ ours, manager });

const atRest: Case = {
  name: 'at-rest',
  about: '525 nodes one by one, from creation to certificate, in turns of 35; after 700 and three turns uncounted',
  figures: { p50: 'ms p50', p90: 'ms p90', p99: 'ms p99' },
  goals: (['p50', 'p99'] as const).map((figure) => ({
    what: `of the ${figure} of kube-controller-manager`,
    found: (of) => of('ours', figure) / of('manager', figure),
    atMost: 1,
  })),
  who: both,
  rounds: 3,
  runInTurns: restInTurns,
};

async function restInTurns({ stage, load, scale }: BenchContext, who: readonly Entrant[]): Promise<FiguresOf> {
  const all: { role: Role; running: Running; waited: number[] }[] = [];
  try {
    for (const [role, contestant] of who) {
      const running = await contestant.start(stage);
      all.push({ role, running, waited: [] });
      await runIn(load, scale, role);
      await sleep(AFTERWARDS_MS);
      running.pause();
    }
    for (let turn = 0; turn < UNCOUNTED_TURNS + Math.ceil(TURNS * scale); turn += 1) {
      // Always in the same order: two pauses on end are long enough for what is done when no node comes.
      for (const { role, running, waited } of all) {
        running.resume();
        await sleep(SETTLE_MS);
        await load.oneByOne('pool', nodeNames(`${role}${turn}`, IN_TURN), PATIENCE_MS, APART_MS);
        if (turn >= UNCOUNTED_TURNS) waited.push(...waitsOf(IN_TURN, await load.waited('pool')).slice(UNCOUNTED));
        await load.forget();
        running.pause();
      }
    }
    const figures = (waited: readonly number[]): Figures => ({
      p50: median(waited),
      p90: quantile(waited, 0.9),
      p99: quantile(waited, 0.99),
    });
    return Object.fromEntries(all.map(({ role, waited }) => [role, figures(waited)]));
  } finally {
    for (const { running } of all) running.resume();
    await Promise.all(all.map(({ running }) => running.stop()));
  }
}

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

async function runSteady({ stage, load, scale }: BenchContext, who: Contestant, role: Role): Promise<Figures> {
  const running = await who.start(stage);
  try {
    await runIn(load, scale, role);
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
