import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { after, before, describe, it } from 'mocha';
import { expect } from 'chai';
import { waitUntil } from '../../scripts/servers/long-step.ts';
import { isRunning } from '../../scripts/servers/process.ts';
import { readState, runningOf } from '../../scripts/servers/state.ts';
import { requireServers } from '../support/servers.ts';

const MAIN = resolve(import.meta.dirname, '../../scripts/servers/main.ts');

describe('servers up, status, down', function () {
  this.timeout(120_000);
  requireServers(); // So that no build falls into the times below.
  let dir: string;
  const run = (...args: string[]): Promise<{ stdout: string }> =>
    promisify(execFile)(process.execPath, [MAIN, ...args]);

  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'servers-main-'));
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  it('starts all of them detached, lists them, and ends exactly these', async () => {
    expect((await run('up', dir)).stdout).to.contain('export KUBECONFIG=');
    const state = readState(dir);
    const processes = state?.processes ?? [];
    expect(processes.map(({ name }) => name)).to.have.members(['openbao', 'etcd', 'kube-apiserver']);
    expect((await run('status', dir)).stdout.match(/running/g)).to.have.length(3);
    const again = (await run('up', dir).catch((error: unknown) => error)) as { code: number; stderr: string };
    expect(again.code).to.equal(2);
    expect(again.stderr).to.contain('run already');
    await run('down', dir);
    expect(processes.filter(isRunning)).to.deep.equal([]);
    expect(existsSync(join(dir, 'kubeconfigs'))).to.equal(false);
    expect((await run('status', dir).catch((error: unknown) => error)) as object).to.have.property('code', 1);
  });

  it('leaves nothing behind when it is interrupted while it starts', async () => {
    const up = spawn(process.execPath, [MAIN, 'up', dir], { stdio: 'ignore' });
    await waitUntil(async () => (readState(dir)?.processes.length ?? 0) >= 3, undefined, 10);
    const state = readState(dir);
    up.kill('SIGINT');
    const [code] = (await once(up, 'exit')) as [number];
    expect(code).to.equal(130);
    expect(state === undefined ? ['no state'] : runningOf(state)).to.deep.equal([]);
    expect(readState(dir)).to.equal(undefined);
  });

  it('says why a server did not come up, and ends the others', async () => {
    const path = join(dir, 'assets');
    await promisify(execFile)('sh', [
      '-c',
      `mkdir -p ${path} && cd ${path} &&
       printf '#!/bin/sh\\n[ "$1" = version ] && echo OpenBao v2.7.2 || { echo the store is broken; exit 1; }\\n' > bao &&
       chmod +x bao`,
    ]);
    const target = join(dir, 'failing');
    const env = { ...process.env, KUBEBUILDER_ASSETS: path };
    const failed = (await promisify(execFile)(process.execPath, [MAIN, 'up', target], { env }).catch(
      (error: unknown) => error,
    )) as { code: number; stderr: string };
    expect(failed.code).to.equal(1);
    expect(failed.stderr).to.match(
      /openbao ended while it was starting; the end of .*openbao\.log:\nthe store is broken/,
    );
    expect(readState(target)).to.equal(undefined);
  });
});
