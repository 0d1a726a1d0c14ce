import { nodeNames } from '../../../test/support/crowd.ts';
import { type BenchContext, type Case, type Figures, quantile } from '../case.ts';
import type { Contestant } from '../contestants.ts';
import { issuedCsrs } from '../surroundings.ts';
import { waits } from './latency.ts';

const OLD = 20_000;
const AGE_MS = 2 * 3_600_000;
const PER_SECOND = 50;
/** While the service's code is compiled: as much as cases of latency leave out. */
const UNCOUNTED = 700;
const COUNTED_ALONE = 1_000;
/** Long enough for the slowest machine. */
const LONGEST_MS = 180_000;

/** kube-controller-manager deletes one by one, by a client of so many requests a second. */
const MANAGER_PER_SECOND = 20;

/**
 * Old CSRs go while new ones are signed. kube-controller-manager does not take part: it looks for old ones before it has
 * read any, and then once an hour.
 */
export const cleaning: Case = {
  name: 'cleaner',
  about: '20,000 old CSRs are removed while 50 a second are signed',
  figures: { rate: 'removed/s', alone: 'ms p90 of signing alone', p90: 'ms p90 of signing meanwhile' },
  goals: [
    {
      what: '× the 20 a second that kube-controller-manager as shipped can at most',
      found: (of) => of('ours', 'rate') / MANAGER_PER_SECOND,
      atLeast: 20,
    },
    { what: '× the p90 of signing alone', found: (of) => of('ours', 'p90') / of('ours', 'alone'), atMost: 1.5 },
  ],
  who: ({ ours }) => ({ ours }),
  rounds: 1,
  run,
};

async function run({ stage, load, scale }: BenchContext, who: Contestant): Promise<Figures> {
  const uncounted = Math.ceil(UNCOUNTED * scale);
  const during = async <T>(work: () => Promise<T>): Promise<T> => {
    const running = await who.start(stage, { cleaner: { interval: '1s' } });
    try {
      await running.ready();
      return await work();
    } finally {
      await running.stop();
    }
  };
  /** Of all that were asked for, when they have their certificates. */
  const p90 = async (): Promise<number> => {
    const asked = (await load.waited('pool')).length;
    await load.issued('pool', asked, LONGEST_MS);
    return quantile(waits(await load.waited('pool')).slice(uncounted), 0.9);
  };
  const alone = await during(async () => {
    await load.pace('pool', nodeNames('alone', uncounted + Math.ceil(COUNTED_ALONE * scale)), PER_SECOND);
    return p90();
  });
  await stage.clear();
  await load.forget();
  const old = Math.ceil(OLD * scale);
  await stage.store(issuedCsrs(stage.plane.ca, old, AGE_MS));
  return during(async () => {
    // The service cleans when it has read and recorded what is there.
    await load.gone(1, LONGEST_MS);
    await load.paceUntilGone('pool', 'meanwhile', PER_SECOND, old, LONGEST_MS);
    const { count, ms } = await load.gone(old, 0);
    if (count < old) throw new Error(`only ${count} of ${old} were removed`);
    return { rate: count / (ms / 1_000), alone, p90: await p90() };
  });
}
