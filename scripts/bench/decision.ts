/** `npm run bench:decision`: what reading a CSR and deciding on it costs, warm. Needs no servers. */
import { cpus } from 'node:os';
import { review } from '../../src/policy/review.ts';
import { hostileRequests, seeds } from '../../test/hostile/corpus.ts';
import { ruleInput } from '../../test/policy/good-request.ts';
import { kubeletCsrs } from '../../test/support/kubelet-csrs.ts';

/** Decisions before any is counted. */
const WARM_UP = 5_000;
const OF_EACH_KUBELET = 200;
const ROUNDS = 5;

interface Sample {
  readonly name: string;
  readonly request: Uint8Array;
}

/**
 * Microseconds for each request, in order: the fastest of several decisions on it, which leaves out what other processes
 * took. (The system counts the CPU time of a thread in steps that are longer than a decision.)
 */
function measure(samples: readonly Sample[]): number[] {
  const fastest = samples.map(() => Infinity);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, { request }] of samples.entries()) {
      const before = performance.now();
      review(ruleInput('bootstrap', { request }));
      fastest[index] = Math.min(fastest[index] ?? Infinity, (performance.now() - before) * 1000);
    }
  }
  return fastest.toSorted((a, b) => a - b);
}

function row(name: string, samples: readonly Sample[]): string {
  const cpu = process.cpuUsage();
  const times = measure(samples);
  const { user, system } = process.cpuUsage(cpu);
  const at = (share: number): number => times[Math.min(Math.floor(times.length * share), times.length - 1)] ?? 0;
  const figures = [at(0.5), at(0.99), at(1), (user + system) / (samples.length * ROUNDS)];
  return `${name.padEnd(40)}${String(samples.length).padStart(8)}${figures.map((each) => each.toFixed(0).padStart(9)).join('')}\n`;
}

process.stderr.write('making the requests: about 20 s\n');
const corpus: Sample[] = [...hostileRequests(seeds(), 3_000)];
const kubelets = kubeletCsrs().map(({ name, csr }) => ({ name, request: Buffer.from(csr.request) }));
measure(Array.from({ length: WARM_UP }, (_, index) => corpus[(index * 7) % corpus.length] as Sample));

process.stdout.write(`${'reading and deciding, µs'.padEnd(40)}requests      p50      p99      max CPU mean\n`);
for (const kubelet of kubelets) {
  process.stdout.write(row(kubelet.name, Array<Sample>(OF_EACH_KUBELET).fill(kubelet)));
}
const P521 = /P-521/;
process.stdout.write(
  row(
    'hostile corpus, without keys on P-521',
    corpus.filter(({ name }) => !P521.test(name)),
  ),
);
process.stdout.write(
  row(
    'hostile corpus, keys on P-521',
    corpus.filter(({ name }) => P521.test(name)),
  ),
);
process.stdout.write(row('hostile corpus', corpus));
process.stdout.write(`machine: ${cpus().length} cores\n`);
