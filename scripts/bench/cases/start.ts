import { residentBytes } from '../../servers/service.ts';
import { CSRS } from '../../../test/support/crowd.ts';
import { type BenchContext, CAP_MS, type Case, type Figures, type Role } from '../case.ts';
import type { Contestant } from '../contestants.ts';
import { HttpsClient } from '../../servers/https-client.ts';
import { readKubeconfig } from '../../servers/kubeconfig.ts';
import { issuedCsrs } from '../surroundings.ts';

const CSRS_THERE = 50_000;
/** Young enough for the cleaner to leave them. */
const AGE_MS = 60_000;

/** A start in a cluster where nobody has cleaned. */
export const starting: Case = {
  name: 'start',
  about: 'start beside 50,000 issued CSRs, and a fresh node that waits',
  figures: {
    list: 's of a bare paged list',
    ready: 's to ready',
    first: 's to the first certificate',
    peak: 'peak MiB',
  },
  goals: [
    { what: '× a bare paged list until ready', found: (of) => of('ours', 'ready') / of('ours', 'list'), atMost: 2 },
    { what: 'MiB resident at most', found: (of) => of('ours', 'peak'), atMost: 200 },
  ],
  who: ({ ours, manager }) => ({ ours, manager }),
  rounds: 1,
  run,
};

async function run({ stage, load, scale }: BenchContext, who: Contestant, role: Role): Promise<Figures> {
  await stage.store(issuedCsrs(stage.plane.ca, Math.ceil(CSRS_THERE * scale), AGE_MS));
  const list = role === 'ours' ? await bareList(stage.plane.adminKubeconfig) : NaN;
  await load.make('pool', ['first-0']);
  const began = performance.now();
  const running = await who.start(stage);
  try {
    await running.ready();
    const ready = (performance.now() - began) / 1_000;
    await load.issued('pool', 1, CAP_MS);
    const first = (performance.now() - began) / 1_000;
    const peak = Math.max(...running.pids.map((pid) => residentBytes(pid).peak / 2 ** 20));
    return { list, ready: role === 'ours' ? ready : NaN, first, peak };
  } finally {
    await running.stop();
  }
}

/** Seconds to read all pages and parse them. */
async function bareList(kubeconfig: string): Promise<number> {
  const client = new HttpsClient(readKubeconfig(kubeconfig));
  const began = performance.now();
  let next = '';
  do {
    const page = await client.must('GET', `${CSRS}?limit=500${next === '' ? '' : `&continue=${next}`}`);
    next = (page as { metadata: { continue?: string } }).metadata.continue ?? '';
  } while (next !== '');
  await client.close();
  return (performance.now() - began) / 1_000;
}
