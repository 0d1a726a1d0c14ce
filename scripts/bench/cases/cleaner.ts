import { nodeNames } from '../../../test/support/crowd.ts';
import { type BenchContext, type Case, type Figures, quantile } from '../case.ts';
import type { Contestant } from '../contestants.ts';
import { issuedCsrs } from '../surroundings.ts';
import { waits, warmUp } from './latency.ts';

const OLD = 20_000;
const AGE_MS = 2 * 3_600_000;
const PER_SECOND = 50;
const ALONE_S = 20;
/** Long enough for the slowest that are counted. */
const LONGEST_S = 90;

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
  /** Signs on for so long, and answers with the p90 of all that were asked for. */
  const p90While = async (prefix: string, goesOn: (second: number) => boolean): Promise<number> => {
    let seconds = 0;
    for (; goesOn(seconds); seconds += 1) {
      await load.pace('pool', nodeNames(`${prefix}${seconds}`, PER_SECOND), PER_SECOND);
    }
    await load.issued('pool', seconds * PER_SECOND, 30_000);
    return quantile(waits(await load.waited('pool')), 0.9);
  };
  const changes = { cleaner: { interval: '1s' } };
  const before = await who.start(stage, changes);
  await warmUp(load);
  const alone = await p90While('alone', (second) => second < ALONE_S);
  await before.stop();
  await stage.clear();
  await load.forget();
  const old = Math.ceil(OLD * scale);
  await stage.store(issuedCsrs(stage.plane.ca, old, AGE_MS));
  const running = await who.start(stage, changes);
  try {
    // The service cleans when it has read and recorded what is there.
    await load.gone(1, LONGEST_S * 1_000);
    let isOver = false;
    const gone = load.gone(old, LONGEST_S * 1_000).finally(() => (isOver = true));
    const p90 = await p90While('meanwhile', () => !isOver);
    const { count, ms } = await gone;
    return { rate: count / (ms / 1_000), alone, p90 };
  } finally {
    await running.stop();
  }
}
