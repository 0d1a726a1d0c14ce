import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { expect } from 'chai';
import { firstAddress } from '../../scripts/servers/kubelet.ts';
import { waitUntil } from '../../scripts/servers/long-step.ts';
import { freePorts, withFreePorts } from '../../scripts/servers/ports.ts';
import { endProcess, isRunning, killAtExit, startTimeOf } from '../../scripts/servers/process.ts';
import {
  bootId,
  endAll,
  foreignEntries,
  readState,
  removeOurs,
  runningOf,
  writeState,
} from '../../scripts/servers/state.ts';
import { deathWithParent, StartError, Supervisor } from '../../scripts/servers/supervisor.ts';
import type { SupervisorOptions } from '../../scripts/servers/supervisor.ts';
import { skipFor } from '../support/skip.ts';

const SUPERVISOR = resolve(import.meta.dirname, '../../scripts/servers/supervisor.ts');
const SLEEP = { name: 'sleeper', command: 'sleep', args: ['600'] };

describe('the processes of the local servers', () => {
  let dir: string;
  const supervisors: Supervisor[] = [];

  function supervisor(options: Partial<SupervisorOptions> = {}): Supervisor {
    const made = new Supervisor({ dir: join(dir, 'servers'), lifetime: 'parent', write: () => undefined, ...options });
    supervisors.push(made);
    return made;
  }

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'servers-process-'));
  });
  afterEach(async () => {
    for (const each of supervisors.splice(0)) await each.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('end when they are asked', async () => {
    const started = supervisor().start(SLEEP);
    expect(isRunning(started)).to.equal(true);
    await endProcess(started, 5_000);
    expect(isRunning(started)).to.equal(false);
  });

  it('are killed when they do not end in time', async () => {
    const script = "trap '' TERM; echo ready; while :; do sleep 1; done";
    const deaf = supervisor();
    const started = deaf.start({ name: 'deaf', command: 'sh', args: ['-c', script] });
    await deaf.ready(started, async () => readFileSync(started.logFile, 'utf8').includes('ready'));
    await endProcess(started, 50);
    expect(isRunning(started)).to.equal(false);
  });

  it('are gone when a process that exits has killed them', () => {
    const several = supervisor();
    const started = [1, 2, 3].map((number) => several.start({ ...SLEEP, name: `sleeper-${number}` }));
    killAtExit(started, 60_000);
    expect(started.map(isRunning)).to.deep.equal([false, false, false]);
  });

  it('are not mistaken for another process with the same pid', async () => {
    const started = supervisor().start(SLEEP);
    const earlier = { ...started, startTime: '1' };
    expect(isRunning(earlier)).to.equal(false);
    await endProcess(earlier, 0);
    await endAll({ bootId: bootId(), processes: [earlier], traces: [] });
    expect(isRunning(started)).to.equal(true);
  });

  it('of an earlier boot are never ended', async () => {
    const started = supervisor().start(SLEEP);
    const state = { bootId: 'another', processes: [started], traces: [] };
    expect(runningOf(state)).to.deep.equal([]);
    await endAll(state);
    expect(isRunning(started)).to.equal(true);
  });

  it('end with a parent that is killed', async function () {
    skipFor(this, deathWithParent().length === 0 ? 'there is no setpriv' : undefined);
    const script = `
      import { Supervisor } from ${JSON.stringify(SUPERVISOR)};
      const it = new Supervisor({ dir: ${JSON.stringify(join(dir, 'child'))}, lifetime: 'parent', write: () => {} });
      const { pid } = it.start(${JSON.stringify(SLEEP)});
      process.stdout.write(String(pid));
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [output] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(output.toString());
    const startTime = startTimeOf(pid);
    if (startTime === undefined) throw new Error('the server did not run');
    // Until then nobody has asked to die with the parent.
    await waitUntil(async () => !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('pdeathsig'), undefined, 5);
    parent.kill('SIGKILL');
    await waitUntil(async () => !isRunning({ pid, startTime }), undefined, 5);
  });

  for (const [how, signal, status] of [
    ['interrupted', 'SIGINT', 130],
    ['terminated', 'SIGTERM', 143],
  ] as const) {
    it(`end with a parent that is ${how}, and their folder goes`, async () => {
      const folder = join(dir, 'child');
      const script = `
        import { Supervisor } from ${JSON.stringify(SUPERVISOR)};
        const it = new Supervisor({ dir: ${JSON.stringify(folder)}, lifetime: 'parent', write: () => {}, removeDir: true });
        const { pid } = it.start(${JSON.stringify(SLEEP)});
        process.stdout.write(String(pid));
        setInterval(() => {}, 1000);`;
      const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [output] = (await once(parent.stdout, 'data')) as [Buffer];
      const pid = Number(output.toString());
      parent.kill(signal);
      const [code] = (await once(parent, 'exit')) as [number];
      expect(code).to.equal(status);
      await waitUntil(async () => startTimeOf(pid) === undefined, undefined, 5);
      expect(existsSync(folder)).to.equal(false);
    });
  }

  it('that end while they start are reported with the end of their log', async () => {
    const failing = supervisor();
    const started = failing.start({
      name: 'broken',
      command: 'sh',
      args: ['-c', 'echo cannot open the store; exit 3'],
    });
    const error: unknown = await failing.ready(started, async () => false).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(StartError);
    expect(String(error)).to.match(
      /broken ended while it was starting; the end of .*broken\.log:\ncannot open the store/,
    );
  });

  it('that do not answer in time are reported', async () => {
    const slow = supervisor();
    const started = slow.start(SLEEP);
    const error: unknown = await slow.ready(started, async () => false, 30).catch((thrown: unknown) => thrown);
    expect(String(error)).to.contain('sleeper did not answer within 0.03 s');
  });

  it('get other ports when theirs were taken meanwhile', async () => {
    const clashing = supervisor();
    const seen: number[] = [];
    const port = await withFreePorts(1, async ([port = 0]) => {
      seen.push(port);
      if (seen.length > 1) return port;
      const started = clashing.start({
        name: 'late',
        command: 'sh',
        args: ['-c', 'echo bind: address already in use; exit 1'],
      });
      await clashing.ready(started, async () => false);
      return port;
    });
    expect(seen).to.have.length(2);
    expect(port).to.equal(seen[1]);
    expect(new Set(await freePorts(5))).to.have.property('size', 5);
  });

  it('are listed in servers.json until they are ended', async () => {
    const folder = join(dir, 'servers');
    const saving = supervisor({
      onChange: (processes, traces) => writeState(folder, { bootId: bootId(), processes: [...processes], traces }),
    });
    const started = saving.start(SLEEP);
    const state = readState(folder);
    expect(state?.processes).to.deep.equal([started]);
    if (state !== undefined) await endAll(state);
    expect(isRunning(started)).to.equal(false);
    writeFileSync(join(folder, 'notes.txt'), '');
    expect(foreignEntries(folder)).to.deep.equal(['notes.txt']);
    removeOurs(folder);
    expect(readState(folder)).to.equal(undefined);
    expect(existsSync(join(folder, 'notes.txt'))).to.equal(true);
  });

  it('get an address of the host that is not loopback, IPv4 before IPv6', () => {
    const at = (address: string, internal = false) => [{ address, internal }] as never;
    expect(firstAddress({ lo: at('127.0.0.1', true), a: at('fe80::1'), b: at('fd00::2'), c: at('10.1.2.3') })).to.equal(
      '10.1.2.3',
    );
    expect(firstAddress({ lo: at('127.0.0.1', true), b: at('fd00::2') })).to.equal('fd00::2');
    expect(firstAddress({ lo: at('127.0.0.1', true), b: at('fe80::2') })).to.equal(undefined);
  });
});
