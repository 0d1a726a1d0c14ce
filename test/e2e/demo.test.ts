import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { canRunKubelet } from '../../scripts/servers/kubelet.ts';
import { until } from '../support/crowd.ts';

const DEMO = join(import.meta.dirname, '..', '..', 'scripts', 'demo');

/** Command lines of the processes whose environment names this run of the demo. */
function leftBehind(mark: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        const marked = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(mark);
        return marked ? [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 100)] : [];
      } catch {
        return [];
      }
    });
}

function startDemo(
  mark: string,
  env: Readonly<Record<string, string>>,
  ...args: string[]
): { output: () => string; ended: Promise<number | null>; interrupt: () => void } {
  const child = spawn(DEMO, args, {
    env: { ...process.env, DEMO_MARK: mark, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return {
    output: () => output,
    ended: new Promise((resolve) => {
      child.on('close', resolve);
    }),
    interrupt: () => void child.kill('SIGINT'),
  };
}

describe('scripts/demo', function () {
  this.timeout(25 * 60_000);

  describe('from the token to the summary, kept running and then interrupted', () => {
    let output = '';
    let code: number | null = null;
    before('run it', async () => {
      const mark = `whole-${process.pid}`;
      const demo = startDemo(mark, {}, '--keep');
      void demo.ended.then((early) => (code = early));
      await until(
        'it keeps running, or has failed',
        async () => demo.output().includes('until ^C.') || code !== null,
        500,
        20 * 60_000,
      );
      demo.interrupt();
      code = await demo.ended;
      output = demo.output();
      await until('its processes are gone', async () => leftBehind(mark).length === 0);
    });

    it('ends with 0: every step held', () => {
      expect(code, output).to.equal(0);
      expect(output).to.include('Every step held');
    });

    it('registers a real kubelet where one can run', function () {
      const reason = canRunKubelet();
      if (reason !== undefined) expect(output).to.include('stand-in');
      else expect(output).to.match(/started: kubelet v1\.37[\s\S]+Node registered: demo-worker-1/);
    });

    for (const [sentence, wanted] of [
      ['shows that the machine can read its own path alone', 'nodes/demo-worker-2: 403, permission denied'],
      ['approves the first certificate for the bound token', 'approved: BootstrapApproved'],
      ['approves the serving certificate for the node itself', ': ServingApproved'],
      [
        'approves the renewal and does not restart the kubelet',
        'the kubelet uses the new certificate and was not restarted',
      ],
      ['leaves the impostor waiting', 'Event TokenBoundToOtherNode'],
      ['explains why', 'verdict: wait (TokenBoundToOtherNode)'],
      ['removes what is stale', 'removed csr-impostor (pending)'],
      ['verifies both chains', 'openssl verify -purpose sslserver: OK'],
    ] as const) {
      it(sentence, () => expect(output).to.include(wanted));
    }
  });

  for (const [moment, line] of [
    ['before the kubelet starts', '2. A new machine'],
    ['while the kubelet runs', 'signed and downloaded'],
  ] as const) {
    it(`interrupted ${moment} leaves neither processes nor files nor mounts behind`, async () => {
      const mark = `interrupted-${process.pid}`;
      const folder = mkdtempSync(join(tmpdir(), 'demo-test-'));
      const demo = startDemo(mark, { TMPDIR: folder });
      await until(`it says "${line}"`, async () => demo.output().includes(line));
      demo.interrupt();
      expect(await demo.ended).to.be.oneOf([130, null]);
      await until('its processes are gone', async () => leftBehind(mark).length === 0);
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.to.include(folder);
      expect(readdirSync(folder)).to.deep.equal([]);
      rmdirSync(folder);
    });
  }
});
