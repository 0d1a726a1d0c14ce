/** `npm run bench:herd`: 2,500 machines that boot at once and fetch their tokens from a real OpenBao. */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { bootHerd, percentile, prepareHerd } from '../../test/support/herd.ts';
import { findBinaries } from '../servers/binaries.ts';
import { startOpenBao } from '../servers/openbao.ts';
import { newSupervisor } from '../servers/servers.ts';

const { values: flags } = parseArgs({
  options: {
    count: { type: 'string', default: '2500' },
    scripts: { type: 'string', default: '50' },
    spread: { type: 'string', default: '5' },
  },
});
const [count, scripts, spread] = [Number(flags.count), Number(flags.scripts), Number(flags.spread)];
const supervisor = newSupervisor();
try {
  const bao = await startOpenBao(supervisor, (await findBinaries(['bao'])).bao);
  process.stderr.write(`making ${count} roles and entries\n`);
  const nodes = await prepareHerd(bao, count);
  const { succeeded, failures, durations, calls, peakPerSecond, retries } = await bootHerd({
    bao,
    nodes,
    scripts,
    scriptsAtOnce: 4,
    spreadSeconds: spread,
    deadlineSeconds: 600,
  });
  const ms = (values: readonly number[]): string =>
    [0.5, 0.99, 1].map((share) => percentile(values, share).toFixed(0)).join(' / ');
  process.stdout.write(
    [
      `${succeeded} of ${count} machines got their own token (${scripts} of them by the script itself), ${retries} retries`,
      `peak: ${peakPerSecond} calls/s, each on a TLS connection of its own`,
      `a call, ms p50 / p99 / max: ${ms(calls)}`,
      `from boot to token, ms p50 / p99 / max: ${ms(durations)}, of which up to ${spread * 1000} are the spread`,
      `machine: ${cpus().length} cores, shared by OpenBao and the machines`,
      '',
    ].join('\n'),
  );
  for (const failure of failures.slice(0, 10)) process.stderr.write(`${failure}\n`);
  if (succeeded !== count) process.exitCode = 1;
} finally {
  await supervisor.stop();
}
