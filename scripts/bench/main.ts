/** `npm run bench`: how fast CSRs are approved and signed, beside kube-controller-manager and bare writes. */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { nodeNames } from '../../test/support/crowd.ts';
import { type BenchContext, type Case, type Entrant, type Figures, type FiguresOf, type Role, ROLES } from './case.ts';
import { cleaning } from './cases/cleaner.ts';
import { drains } from './cases/drain.ts';
import { idle } from './cases/idle.ts';
import { incident } from './cases/incident.ts';
import { joining } from './cases/join.ts';
import { latencies } from './cases/latency.ts';
import { noisy } from './cases/noisy.ts';
import { starting } from './cases/start.ts';
import { contestants, type Contestants } from './contestants.ts';
import { type Hot, hottest } from './profile.ts';
import { figuresTable, goalsTable, judge, type Result } from './report.ts';
import { openStage, type Stage } from './stage.ts';
import { type Load, startLoad } from './load.ts';
import { makeTokens } from './load-tokens.ts';

const CASES: readonly Case[] = [...drains, ...latencies, incident, noisy, joining, cleaning, starting, idle];
const DRAINED_AT_MOST = 3_000;

const { values: flags } = parseArgs({
  options: {
    case: { type: 'string', multiple: true },
    who: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    scale: { type: 'string', default: '1' },
    full: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '40' },
    json: { type: 'string' },
    profile: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h' },
  },
});
const HELP = `npm run bench -- [--case NAME ...] [--full] [--json FILE] [--scale 1] [--rounds N] [--who ROLE ...]
  --full     three rounds at least of every case, and 20,000 stuck renewals in the incident
  --json     file for every figure of every round
  --minutes  no case begins after so many; 40 unless told
  --rounds   of every case, whatever it has by itself
  --scale    part of the work that is done, such as 0.2
  --who      only these: ${ROLES.join(', ')}
  --profile  only a drain, and where the service spends its time in it
cases:
${CASES.map(({ name, about }) => `  ${name.padEnd(16)} ${about}\n`).join('')}`;

/** What is wrong with the flags. */
function wrong(): string | undefined {
  const noCase = flags.case?.find((given) => CASES.every(({ name }) => name !== given));
  if (noCase !== undefined) return `--case ${noCase}: no such case`;
  const noRole = flags.who?.find((given) => !(ROLES as readonly string[]).includes(given));
  if (noRole !== undefined) return `--who ${noRole}: no such role`;
  const { minutes, scale, rounds = '1' } = flags;
  if (!(Number(rounds) >= 1)) return `--rounds ${rounds}: not a number from 1`;
  const noNumber = Object.entries({ minutes, scale }).find(([, given]) => !(Number(given) > 0));
  return noNumber && `--${noNumber[0]} ${noNumber[1]}: not a number above 0`;
}

const write = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(): Promise<void> {
  const scale = Number(flags.scale);
  const everything = flags.case === undefined;
  const chosen = CASES.filter(({ name }) => !flags.profile && (everything || flags.case?.includes(name) === true));
  const all = await contestants();
  const stage = await openStage(write);
  const results: Result[] = [];
  const plots: string[] = [];
  const hot: Hot[] = [];
  let load: Load | undefined;
  try {
    const { plane } = stage;
    const exact = chosen.some(({ name }) => name === 'drain-exact');
    const tokens = await makeTokens(plane, exact ? nodeNames('exact', Math.ceil(DRAINED_AT_MOST * scale)) : []);
    const { server, adminKubeconfig: kubeconfig } = plane;
    const ca = { certificate: plane.ca.certificate, key: plane.ca.key };
    load = await startLoad({ kubeconfig, server, ca, ...tokens });
    const context: BenchContext = { stage, load, scale, full: flags.full, write, plot: (text) => plots.push(text) };
    const endAt = performance.now() + Number(flags.minutes) * 60_000;
    for (const each of chosen) {
      if (performance.now() < endAt) results.push(await runCase(each, all, context));
      else write(`${each.name}: left out, time is up`);
    }
    if (flags.profile || everything) hot.push(...(await profile(all, context)));
  } finally {
    load?.stop();
    await stage.stop();
    all.close();
  }
  const goals = judge(results);
  const report = {
    cores: cpus().length,
    results: results.map(({ case: { name, figures }, rounds }) => ({ case: name, figures, rounds })),
    goals,
    hot,
    plots,
  };
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(report, undefined, 1)}\n`);
  if (results.length > 0) process.stdout.write(`${figuresTable(results)}\n${goalsTable(goals)}\n`);
  for (const text of plots) process.stdout.write(`${text}\n`);
  for (const { name, share } of hot) process.stdout.write(`${(share * 100).toFixed(1).padStart(5)} % ${name}\n`);
  process.stdout.write(`machine: ${cpus().length} cores, shared with etcd, kube-apiserver and the load\n`);
}

/** Contestants come in their order, the other way round in every second round; the one as shipped has one, at the end. */
async function runCase(chosen: Case, all: Contestants, context: BenchContext): Promise<Result> {
  const who = chosen.who(all);
  const wanted = (roles: readonly Role[]): Entrant[] =>
    roles.flatMap((role) => {
      const contestant = who[role];
      return contestant === undefined || flags.who?.includes(role) === false ? [] : [[role, contestant]];
    });
  const rounds: Partial<Record<Role, Figures[]>> = {};
  const measure = async (these: readonly Entrant[]): Promise<void> => {
    const began = performance.now();
    const found = await run(chosen, context, these).catch((error: unknown): FiguresOf => {
      // What other cases found is not lost by it.
      context.write(`${chosen.name}: ${these.map(([, { name }]) => name).join(', ')}: ${String(error)}`);
      process.exitCode = 1;
      return {};
    });
    for (const [role, { name }] of these) {
      const figures = found[role] ?? {};
      const text = Object.entries(figures).map(([figure, value]) => `${figure} ${value.toFixed(2)}`);
      context.write(`${chosen.name}: ${name}: ${text.join(', ')}; ${seconds(performance.now() - began)} s`);
      rounds[role] = [...(rounds[role] ?? []), figures];
    }
    await clean(context.stage, context.load);
  };
  const count = Number(flags.rounds ?? Math.max(flags.full ? 3 : 1, chosen.rounds));
  const inEveryRound = ROLES.filter((role) => role !== 'shipped');
  for (let round = 1; round <= count; round += 1) {
    const order = wanted(round % 2 === 1 ? inEveryRound : inEveryRound.toReversed());
    for (const these of 'runInTurns' in chosen ? [order] : order.map((each) => [each])) await measure(these);
  }
  for (const shipped of wanted(['shipped'])) await measure([shipped]);
  return { case: chosen, rounds };
}

async function run(chosen: Case, context: BenchContext, who: readonly Entrant[]): Promise<FiguresOf> {
  if ('runInTurns' in chosen) return chosen.runInTurns(context, who);
  const found: Partial<Record<Role, Figures>> = {};
  for (const [role, contestant] of who) found[role] = await chosen.run(context, contestant, role);
  return found;
}

/** The functions in which a drain spends most of its time. */
async function profile(all: Contestants, context: BenchContext): Promise<Hot[]> {
  await drains[0]?.run(context, all.profiled, 'ours');
  await clean(context.stage, context.load);
  return hottest(all.profiles, 10);
}

const seconds = (ms: number): string => (ms / 1_000).toFixed(0);

async function clean(stage: Stage, load: Load): Promise<void> {
  await stage.clear();
  await load.forget();
}

const problem = wrong();
if (flags.help === true) {
  process.stdout.write(HELP);
} else if (problem === undefined) {
  await main();
} else {
  process.stderr.write(`${problem}\n${HELP}`);
  process.exitCode = 2;
}
