/** `npm run bench`: how fast CSRs are approved and signed, beside kube-controller-manager and bare writes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../../src/cli/output.ts';
import { tokenClient } from '../../test/support/crowd.ts';
import { atRest, type BenchContext, drain, incident, type Sample } from './cases.ts';
import { type Contestant, contestants, type Contestants } from './contestants.ts';
import { hottest } from './profile.ts';
import { openStage } from './stage.ts';

const { values: flags } = parseArgs({
  options: {
    case: { type: 'string', multiple: true },
    rounds: { type: 'string', default: '3' },
    count: { type: 'string', default: '3000' },
    json: { type: 'string' },
    profile: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h' },
  },
});
const HELP = `npm run bench -- [--case NAME ...] [--rounds 3] [--count 3000] [--json FILE]
  --profile: prints where the service spends its time; the figures are lower then
cases: drain-bootstrap, drain-renewal, drain-serving, at-rest, incident
`;

interface Case {
  readonly name: string;
  readonly unit: string;
  /** Who takes part, and whether kube-controller-manager as shipped does, in one round with a tenth of the work. */
  readonly who: (all: Contestants) => readonly Contestant[];
  readonly run: (context: BenchContext, contestant: Contestant, count: number) => Promise<Sample>;
  readonly shipped: boolean;
}

const ALL = ({ ours, manager, ceiling }: Contestants): Contestant[] => [ours, manager, ceiling];
const CASES: readonly Case[] = [
  {
    name: 'drain-bootstrap',
    unit: 'certificates/s',
    who: ALL,
    shipped: true,
    run: (at, who, count) => drain(at, who, 'bootstrap', count),
  },
  {
    name: 'drain-renewal',
    unit: 'certificates/s',
    who: ALL,
    shipped: true,
    run: (at, who, count) => drain(at, who, 'renewal', count),
  },
  // kube-controller-manager approves no serving certificates.
  {
    name: 'drain-serving',
    unit: 'certificates/s',
    who: ({ ours, ceiling }) => [ours, ceiling],
    shipped: false,
    run: (at, who, count) => drain(at, who, 'serving', count),
  },
  {
    name: 'at-rest',
    unit: 'ms p50',
    who: ({ ours, manager }) => [ours, manager],
    shipped: false,
    run: (at, who) => atRest(at, who, 100),
  },
  {
    name: 'incident',
    unit: 'ms p50',
    who: ({ ours, manager }) => [ours, manager],
    shipped: true,
    run: (at, who, count) => incident(at, who, count, 50),
  },
];

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
const write = (line: string): void => void process.stderr.write(`${line}\n`);

if (flags.help === true) {
  process.stdout.write(HELP);
} else {
  await main();
}

async function main(): Promise<void> {
  const [rounds, count] = [Number(flags.rounds), Number(flags.count)];
  const chosen = CASES.filter(({ name }) => flags.case === undefined || flags.case.includes(name));
  if (chosen.length === 0 || !(rounds > 0) || !(count > 0)) throw new Error(HELP);
  const profiles = flags.profile ? mkdtempSync(join(tmpdir(), 'kubelet-bootstrap-profiles-')) : undefined;
  const all = await contestants(profiles);
  const stage = await openStage(write);
  const results: {
    readonly case: string;
    readonly unit: string;
    readonly contestant: string;
    readonly samples: readonly Sample[];
  }[] = [];
  try {
    const { client: token } = await tokenClient(stage.plane, { kind: 'pool', pool: 'bench' }, 6 * 3_600_000);
    let runs = 0;
    const context: BenchContext = { stage, token, write, nextRun: () => (runs += 1) };
    for (const { name, unit, who, run, shipped } of chosen) {
      const samples = new Map<string, Sample[]>();
      const one = async (contestant: Contestant, work: number): Promise<void> => {
        write(`${name}: ${contestant.name}`);
        samples.set(contestant.name, [...(samples.get(contestant.name) ?? []), await run(context, contestant, work)]);
      };
      for (let round = 1; round <= rounds; round += 1) {
        for (const contestant of who(all)) await one(contestant, count);
      }
      if (shipped) await one(all.managerAsShipped, name === 'incident' ? count : Math.ceil(count / 10));
      for (const [contestant, of] of samples) results.push({ case: name, unit, contestant, samples: of });
    }
    await token.close();
  } finally {
    await stage.stop();
    all.close();
  }
  const hot = profiles === undefined ? [] : hottest(profiles, 10);
  if (profiles !== undefined) rmSync(profiles, { recursive: true });
  const report = { cores: cpus().length, results, hot };
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(report, undefined, 1)}\n`);
  process.stdout.write(table(results));
  for (const { name, share } of hot) process.stdout.write(`${(share * 100).toFixed(1).padStart(5)} % ${name}\n`);
  process.stdout.write(`machine: ${cpus().length} cores, shared with etcd, kube-apiserver and the load\n`);
}

function table(
  results: readonly { case: string; unit: string; contestant: string; samples: readonly Sample[] }[],
): string {
  const rows = results.map(({ case: name, unit, contestant, samples }) => {
    const of = (pick: (sample: Sample) => number | undefined): number =>
      median(samples.map((sample) => pick(sample) ?? NaN));
    const first = results.find((other) => other.case === name);
    const ratio = of(({ value }) => value) / median((first?.samples ?? []).map(({ value }) => value));
    const text = (value: number, digits = 0): string => (Number.isNaN(value) ? '' : value.toFixed(digits));
    return [
      name,
      contestant,
      `${text(of(({ value }) => value))} ${unit}`,
      text(ratio, 2),
      samples.map(({ value }) => text(value)).join(', '),
      text(of(({ worst }) => worst)),
      text(
        of(({ ownCpu }) => ownCpu),
        2,
      ),
      text(
        of(({ apiServerCpu }) => apiServerCpu),
        2,
      ),
      text(of(({ residentMiB }) => residentMiB)),
    ];
  });
  return formatTable(
    ['CASE', 'WHO', 'MEDIAN', 'OF OURS', 'ROUNDS', 'P99 MS', 'OWN CPU MS', 'API CPU MS', 'PEAK MiB'],
    rows,
  );
}
