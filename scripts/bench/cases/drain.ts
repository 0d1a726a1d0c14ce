import { nodeNames } from '../../../test/support/crowd.ts';
import { residentBytes } from '../../servers/service.ts';
import type { BenchContext, CaseOfOne, FigureOf, Figures, Goal, Role, Who } from '../case.ts';
import type { Contestant, Contestants } from '../contestants.ts';
import type { Kind } from '../load-calls.ts';
import { addNodes, cpuOf } from '../surroundings.ts';

const COUNT = 3_000;
/** kube-controller-manager as shipped needs half a minute for so many. */
const SHIPPED_COUNT = 300;
const LONGEST_MS = 180_000;
/** Rate and CPU are of what comes after the first twentieth: what starting takes is another figure. */
const FROM = 0.05;
/** Its client may make so many requests at once before its limit counts, and a signature is one. */
const SHIPPED_BURST = 30;

const ratio = (of: FigureOf, figure: string, to: Role): number => of('ours', figure) / of(to, figure);

/** What every drain is held against. */
const GOALS: readonly Goal[] = [
  { what: '× kube-controller-manager', found: (of) => ratio(of, 'rate', 'manager'), atLeast: 1.25 },
  { what: '× it as shipped', found: (of) => ratio(of, 'rate', 'shipped'), atLeast: 25 },
  { what: 'of bare writes', found: (of) => ratio(of, 'rate', 'ceiling'), atLeast: 0.8 },
  { what: "of the API server's CPU under it", found: (of) => ratio(of, 'apiCpu', 'manager'), atMost: 0.75 },
  { what: 'of its own CPU', found: (of) => ratio(of, 'ownCpu', 'manager'), atMost: 1 },
];

/** kube-controller-manager leaves the approval of serving certificates to others. */
const SERVING_GOALS: readonly Goal[] = GOALS.map((goal) =>
  goal.what === '× kube-controller-manager' ? { ...goal, what: '× kube-controller-manager and an approver' } : goal,
);

interface Drain {
  readonly name: string;
  readonly kind: Kind;
  readonly about: string;
  readonly goals?: readonly Goal[];
  readonly who: (all: Contestants) => Who;
}

function drain({ name, kind, about, goals = GOALS, who }: Drain): CaseOfOne {
  return {
    name: `drain-${name}`,
    about,
    figures: { rate: 'certificates/s', ownCpu: 'own CPU ms', apiCpu: 'API CPU ms', peak: 'peak MiB' },
    goals,
    who,
    rounds: 3,
    run: (context, contestant, role) => run(context, contestant, role, kind),
  };
}

/** CSRs that wait when the contestant starts. */
async function run(
  { stage, load, scale, write }: BenchContext,
  who: Contestant,
  role: Role,
  kind: Kind,
): Promise<Figures> {
  const count = Math.ceil(scale * (role === 'shipped' ? SHIPPED_COUNT : COUNT));
  const nodes = nodeNames(kind === 'pool' || kind === 'exact' ? kind : 'fleet', count);
  if (kind === 'renewal' || kind === 'serving') await addNodes(stage.plane, nodes);
  await load.make(kind, nodes);
  const running = await who.start(stage);
  try {
    const from = Math.min(count - 1, role === 'shipped' ? SHIPPED_BURST : Math.ceil(count * FROM));
    await load.issued(kind, from, LONGEST_MS);
    const before = { own: cpuOf(running.pids), api: stage.apiServerCpu() };
    // Bare writes end with the last one.
    let peak = 0;
    let own = before.own;
    const look = setInterval(() => {
      own = Math.max(own, cpuOf(running.pids));
      peak = Math.max(peak, ...running.pids.map(peakMiB));
    }, 20);
    const all = await load.issued(kind, count, LONGEST_MS).finally(() => clearInterval(look));
    own = Math.max(own, cpuOf(running.pids));
    const times = (await load.waited(kind)).flatMap(({ issuedAt }) => issuedAt ?? []).toSorted((a, b) => a - b);
    if (!all) write(`  ${who.name}: only ${times.length} of ${count} within ${LONGEST_MS / 1_000} s`);
    const timed = times.length - from;
    return {
      rate: timed / (((times.at(-1) ?? NaN) - (times[from - 1] ?? NaN)) / 1_000),
      ownCpu: ((own - before.own) * 1_000) / timed,
      apiCpu: ((stage.apiServerCpu() - before.api) * 1_000) / timed,
      peak,
    };
  } finally {
    await running.stop();
  }
}

function peakMiB(pid: number): number {
  try {
    return residentBytes(pid).peak / 2 ** 20;
  } catch {
    return 0;
  }
}

const client = ({ ours, manager, ceiling, managerAsShipped: shipped }: Contestants): Record<Role, Contestant> => ({
  ours,
  manager,
  ceiling,
  shipped,
});

/** Certificates a second, and what each costs. */
export const drains: readonly CaseOfOne[] = [
  drain({ name: 'pool', kind: 'pool', about: '3,000 first certificates with the token of a pool', who: client }),
  drain({ name: 'exact', kind: 'exact', about: '3,000 first certificates, each with a token of its own', who: client }),
  drain({ name: 'renewal', kind: 'renewal', about: '3,000 renewals', who: client }),
  drain({
    name: 'serving',
    kind: 'serving',
    about: '3,000 serving certificates, beside an approver with one worker, as they are shipped',
    goals: SERVING_GOALS,
    who: ({ ours, managerWithApprover: manager, ceiling, managerAsShippedWithApprover: shipped }) => ({
      ours,
      manager,
      ceiling,
      shipped,
    }),
  }),
  drain({
    name: 'serving-16',
    kind: 'serving',
    about: 'the same beside one with 16 workers',
    goals: SERVING_GOALS,
    who: ({ ours, managerWithFastApprover: manager }) => ({ ours, manager }),
  }),
];
