import { nodeNames } from '../../../test/support/crowd.ts';
import { type BenchContext, type Case, type Figures, quantile, type Role } from '../case.ts';
import type { Contestant } from '../contestants.ts';
import { issuedCsrs } from '../surroundings.ts';
import { waits, warmUp } from './latency.ts';

const OLD = 20_000;
/** kube-controller-manager as shipped takes half a minute for so many. */
const OLD_FOR_SHIPPED = 500;
const AGE_MS = 2 * 3_600_000;
const PER_SECOND = 50;
const ALONE_S = 10;
/** Long enough for the slowest that are counted. */
const LONGEST_S = 90;

/** Old CSRs go while new ones are signed. */
export const cleaning: Case = {
  name: 'cleaner',
  about: '20,000 old CSRs are removed while 50 a second are signed',
  figures: { rate: 'removed/s', alone: 'ms p90 of signing alone', p90: 'ms p90 of signing meanwhile' },
  goals: [
    {
      what: '× the rate of kube-controller-manager as shipped',
      found: (of) => of('ours', 'rate') / of('shipped', 'rate'),
      atLeast: 20,
    },
    { what: '× the p90 of signing alone', found: (of) => of('ours', 'p90') / of('ours', 'alone'), atMost: 1.5 },
  ],
  who: ({ ours, manager, managerAsShipped: shipped }) => ({ ours, manager, shipped }),
  rounds: 1,
  run,
};

async function run({ stage, load, scale }: BenchContext, who: Contestant, role: Role): Promise<Figures> {
  const signs = role !== 'shipped';
  const p90Of = async (prefix: string, seconds: number): Promise<number> => {
    const count = seconds * PER_SECOND;
    await load.pace('pool', nodeNames(prefix, count), PER_SECOND);
    await load.issued('pool', count, 30_000);
    return quantile(waits(await load.waited('pool')), 0.9);
  };
  const changes = { cleaner: { interval: '1s' } };
  let alone = NaN;
  if (signs) {
    const before = await who.start(stage, changes);
    await warmUp(load);
    alone = await p90Of('alone', ALONE_S);
    await before.stop();
    await stage.clear();
  }
  await load.forget();
  // kube-controller-manager cleans at its start, and an hour later.
  const old = Math.ceil((signs ? OLD : OLD_FOR_SHIPPED) * scale);
  await stage.store(issuedCsrs(stage.plane.ca, old, AGE_MS));
  const running = await who.start(stage, changes);
  try {
    const gone = load.gone(old, LONGEST_S * 1_000);
    const signing = signs ? p90Of('meanwhile', Math.ceil((old / OLD) * ALONE_S * 3)) : Promise.resolve(NaN);
    const { count, ms } = await gone;
    return { rate: count / (ms / 1_000), alone, p90: await signing };
  } finally {
    await running.stop();
  }
}
