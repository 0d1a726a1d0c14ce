import { nodeNames } from '../../../test/support/crowd.ts';
import type { Case, Figures } from '../case.ts';
import { warmUp } from './latency.ts';

const NODES = 2_500;
const LONGEST_MS = 180_000;

/** A whole cluster comes up. */
export const joining: Case = {
  name: 'join',
  about: '2,500 nodes join at once: first certificate, then serving certificate',
  figures: { seconds: 's to the last certificate', load: 's of CPU of the load' },
  goals: [
    {
      what: 'of the time with kube-controller-manager and an approver',
      found: (of) => of('ours', 'seconds') / of('manager', 'seconds'),
      atMost: 1,
    },
  ],
  who: ({ ours, managerWithApprover: manager }) => ({ ours, manager }),
  rounds: 1,
  run: async ({ stage, load, scale }, who): Promise<Figures> => {
    const running = await who.start(stage);
    try {
      await warmUp(load);
      const [began, cpu] = [performance.now(), load.cpu()];
      const all = await load.join(nodeNames('join', Math.ceil(NODES * scale)), LONGEST_MS);
      return { seconds: all ? (performance.now() - began) / 1_000 : LONGEST_MS / 1_000, load: load.cpu() - cpu };
    } finally {
      await running.stop();
    }
  },
};
