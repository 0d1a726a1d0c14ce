import { nodeNames } from '../../../test/support/crowd.ts';
import { type BenchContext, CAP_MS, type Case, type Figures, quantile, type Role } from '../case.ts';
import type { Contestant } from '../contestants.ts';
import { addNodes } from '../surroundings.ts';
import { runIn, waits } from './latency.ts';

const FLOOD = 5_000;
const PER_SECOND = 125;
const OTHERS = 100;
const OTHERS_PER_SECOND = 2.5;
/** What an ordinary certificate takes. */
const WRITES = 2;
/** One certificate a second is 0.016. */
const MOST_CALLS = 0.1;

/** One node asks and asks, and others ask once. */
export const noisy: Case = {
  name: 'noisy',
  about: 'a node renews 5,000 times in 40 s, 100 others once each meanwhile',
  figures: { alone: 'ms p90 of others alone', p90: 'ms p90 of others', calls: 'API calls for a noisy CSR' },
  goals: [
    { what: '× the p90 of the others alone', found: (of) => of('ours', 'p90') / of('ours', 'alone'), atMost: 2 },
    { what: 'API calls for a noisy CSR', found: (of) => of('ours', 'calls'), atMost: MOST_CALLS },
  ],
  who: ({ ours, manager }) => ({ ours, manager }),
  rounds: 1,
  run,
};

async function run({ stage, load, scale }: BenchContext, who: Contestant, role: Role): Promise<Figures> {
  const count = Math.ceil(OTHERS * scale);
  const others = (prefix: string): string[] => nodeNames(prefix, count);
  await addNodes(stage.plane, ['noisy-0', ...others('first'), ...others('second')]);
  const running = await who.start(stage);
  const ask = async (prefix: string): Promise<number> => {
    await load.pace('renewal', others(prefix), OTHERS_PER_SECOND);
    await load.issued('renewal', count, CAP_MS);
    const p90 = quantile(waits(await load.waited('renewal'), CAP_MS), 0.9);
    await load.forget();
    return p90;
  };
  try {
    await runIn(load, scale, role);
    const alone = await ask('first');
    const flood = Math.ceil(FLOOD * scale);
    const before = await stage.apiCalls();
    const flooding = load.flood('noisy-0', flood, PER_SECOND);
    const p90 = await ask('second');
    await flooding;
    // The load's own: each CSR is one call.
    const calls = (await stage.apiCalls()) - before - (flood + count) - count * WRITES;
    return { alone, p90, calls: calls / flood };
  } finally {
    await running.stop();
  }
}
