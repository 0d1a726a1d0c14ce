import { setTimeout as sleep } from 'node:timers/promises';
import { nodeNames } from '../../../test/support/crowd.ts';
import { type BenchContext, CAP_MS, type Case, type Figures, quantile, type Role } from '../case.ts';
import type { Contestant } from '../contestants.ts';
import { plotInFlight } from '../plot.ts';
import type { Stage } from '../stage.ts';
import { addNodes, withoutRotation } from '../surroundings.ts';
import { runIn, waitsOf, warmUp } from './latency.ts';

const STUCK = 3_000;
const STUCK_IN_FULL = 20_000;
const FRESH = 50;
const MINUTE_MS = 60_000;

/** The talk's incident: renewals pile up because their binding is missing, and fresh nodes come meanwhile. */
export const incident: Case = {
  name: 'incident',
  about: '3,000 renewals stuck without their binding, then 50 fresh nodes (20,000 with --full)',
  figures: {
    alone: 'ms p90 without stuck ones',
    p90: 'ms p90 with them',
    most: 'ms at most',
    calls: 'API calls a minute for them',
  },
  goals: [
    { what: '× the p90 without the stuck ones', found: (of) => of('ours', 'p90') / of('ours', 'alone'), atMost: 2 },
    { what: 'API calls a minute for the stuck ones', found: (of) => of('ours', 'calls'), atMost: 200 },
  ],
  who: ({ ours, manager, managerAsShipped: shipped }) => ({ ours, manager, shipped }),
  rounds: 1,
  run: (context, who, role) => withoutRotation(context.stage.plane, () => run(context, who, role)),
};

async function run({ stage, load, scale, full, plot }: BenchContext, who: Contestant, role: Role): Promise<Figures> {
  const stuck = nodeNames('fleet', Math.ceil((full ? STUCK_IN_FULL : STUCK) * scale));
  await addNodes(stage.plane, stuck);
  const running = await who.start(stage);
  const fresh = async (prefix: string): Promise<number[]> => {
    await load.oneByOne('pool', nodeNames(prefix, FRESH), CAP_MS);
    const all = (await load.waited('pool')).filter(({ node }) => node.startsWith(prefix));
    return waitsOf(FRESH, all, CAP_MS);
  };
  try {
    // As shipped it would take a minute, and what it takes afterwards is another order.
    await (role === 'shipped' ? warmUp(load) : runIn(load, scale, role));
    const alone = await fresh('alone');
    await load.forget();
    await load.make('renewal', stuck);
    const beside = await fresh('fresh');
    plot(plotInFlight(`CSRs in flight, ${who.name}`, await load.inFlight()));
    const calls = role === 'shipped' ? NaN : await callsInAMinute(stage);
    const issued = (await load.waited('renewal')).filter(({ issuedAt }) => issuedAt !== undefined).length;
    if (issued > 0) throw new Error(`${issued} renewals were not stuck`);
    return { alone: quantile(alone, 0.9), p90: quantile(beside, 0.9), most: Math.max(...beside), calls };
  } finally {
    await running.stop();
  }
}

async function callsInAMinute(stage: Stage): Promise<number> {
  const before = await stage.apiCalls();
  await sleep(MINUTE_MS);
  return (await stage.apiCalls()) - before;
}
