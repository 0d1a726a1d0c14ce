import { setTimeout as sleep } from 'node:timers/promises';
import { nodeNames } from '../../../test/support/crowd.ts';
import { residentBytes } from '../../servers/service.ts';
import type { BenchContext, Case, Figures } from '../case.ts';
import type { Contestant } from '../contestants.ts';
import { addNodes, cpuOf } from '../surroundings.ts';

const NODES = 5_000;
/** A kubelet reports its status every five minutes when nothing has changed. */
const REPORT_S = 300;
const SETTLED_MS = 20_000;
const MINUTES = 2;
const MINUTES_IN_FULL = 5;

/** Nobody wants anything. */
export const idle: Case = {
  name: 'idle',
  about: '5,000 nodes that report their status, and no CSR, for 2 minutes (5 with --full)',
  figures: { cpu: '% of a core', growth: '× resident at the end', now: 'MiB resident', calls: 'API calls a minute' },
  goals: [
    { what: '% of a core', found: (of) => of('ours', 'cpu'), atMost: 1 },
    { what: '× the resident memory of the beginning', found: (of) => of('ours', 'growth'), atMost: 1.1 },
  ],
  who: ({ ours }) => ({ ours }),
  rounds: 1,
  run,
};

async function run({ stage, load, scale, full }: BenchContext, who: Contestant): Promise<Figures> {
  const nodes = nodeNames('idle', Math.ceil(NODES * scale));
  await addNodes(stage.plane, nodes);
  const running = await who.start(stage);
  try {
    await running.ready();
    await load.heartbeats(nodes, nodes.length / REPORT_S);
    await sleep(SETTLED_MS);
    const resident = (): number => Math.max(...running.pids.map((pid) => residentBytes(pid).now)) / 2 ** 20;
    const before = { cpu: cpuOf(running.pids), resident: resident(), calls: await stage.apiCalls() };
    const minutes = (full ? MINUTES_IN_FULL : MINUTES) * Math.min(scale, 1);
    await sleep(minutes * 60_000);
    return {
      cpu: ((cpuOf(running.pids) - before.cpu) / (minutes * 60)) * 100,
      growth: resident() / before.resident,
      now: resident(),
      calls: ((await stage.apiCalls()) - before.calls) / minutes,
    };
  } finally {
    await running.stop();
  }
}
