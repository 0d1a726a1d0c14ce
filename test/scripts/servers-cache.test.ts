import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { expect } from 'chai';
import { cached, cacheRoot } from '../../scripts/servers/cache.ts';
import type { CacheEntry } from '../../scripts/servers/cache.ts';
import { longStep, runCommand, waitUntil } from '../../scripts/servers/long-step.ts';

const MODULE = resolve(import.meta.dirname, '../../scripts/servers/cache.ts');

describe('the cache of server binaries', () => {
  let dir: string;
  let lines: string[];
  let entry: CacheEntry;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'servers-cache-'));
    lines = [];
    entry = {
      path: join(dir, 'tool-1'),
      step: { what: 'building tool', usually: 'about a second', write: (line) => void lines.push(line) },
      fill: async (target) => writeFileSync(join(target, 'tool'), 'built'),
    };
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('fills an entry once and says what it does', async () => {
    expect(await cached(entry)).to.equal(entry.path);
    expect(await cached({ ...entry, fill: () => Promise.reject(new Error('filled twice')) })).to.equal(entry.path);
    expect(readFileSync(join(entry.path, 'tool'), 'utf8')).to.equal('built');
    expect(lines[0]).to.equal('building tool: once, about a second');
    expect(readdirSync(dir)).to.deep.equal(['tool-1']);
  });

  it('leaves nothing behind when filling fails', async () => {
    const failing = cached({
      ...entry,
      fill: async (target) => {
        writeFileSync(join(target, 'tool'), 'half');
        throw new Error('compiler crashed');
      },
    });
    expect(await failing.catch((error: Error) => error.message)).to.equal('compiler crashed');
    expect(readdirSync(dir)).to.deep.equal([]);
  });

  it('leaves nothing behind when a build is interrupted, and ends its command', async () => {
    const interrupted = new AbortController();
    const pidFile = join(dir, 'pid');
    const building = cached({
      ...entry,
      signal: interrupted.signal,
      fill: async (target) => {
        writeFileSync(join(target, 'tool'), 'half');
        const script = `echo $$ > ${pidFile}; sleep 600 & wait`;
        await runCommand({ command: 'sh', args: ['-c', script], signal: interrupted.signal });
      },
    });
    await waitUntil(
      async () => readdirSync(dir).includes('pid') && readFileSync(pidFile, 'utf8') !== '',
      undefined,
      10,
    );
    interrupted.abort(new Error('interrupted'));
    expect(await building.catch((error: Error) => error.message)).to.equal('interrupted');
    expect(readdirSync(dir)).to.deep.equal(['pid']);
    const pid = Number(readFileSync(pidFile, 'utf8'));
    expect(() => process.kill(pid, 0)).to.throw('ESRCH');
  });

  it('takes over from a process that was killed while it filled, and removes what that left', async () => {
    const script = `
      import { writeFileSync } from 'node:fs';
      import { cached } from ${JSON.stringify(MODULE)};
      const step = { what: 'building', usually: 'long', write: () => {} };
      await cached({ path: ${JSON.stringify(entry.path)}, step, fill: async (dir) => {
        writeFileSync(dir + '/tool', 'half');
        process.stdout.write('filling');
        await new Promise((done) => setTimeout(done, 600_000));
      } });`;
    const other = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(other.stdout, 'data');
    expect(readdirSync(dir)).to.have.length(2);
    const waiting = cached(entry);
    await waitUntil(async () => lines.length > 0, undefined, 10);
    expect(lines[0]).to.match(/^waiting for another process that is building tool/);
    other.kill('SIGKILL');
    await waiting;
    expect(readFileSync(join(entry.path, 'tool'), 'utf8')).to.equal('built');
    expect(readdirSync(dir)).to.deep.equal(['tool-1']);
  });

  it('fills once when two ask at the same time, and both get the same', async () => {
    let fills = 0;
    const counting = {
      ...entry,
      fill: async (target: string) => {
        fills += 1;
        await entry.fill(target);
      },
    };
    expect(await Promise.all([cached(counting), cached(counting)])).to.deep.equal([entry.path, entry.path]);
    expect(fills).to.equal(1);
  });

  it("uses the winner's entry when another process put one there meanwhile", async () => {
    const losing = cached({
      ...entry,
      fill: async (target) => {
        writeFileSync(join(target, 'tool'), 'mine');
        mkdirSync(entry.path);
        writeFileSync(join(entry.path, 'tool'), 'theirs');
      },
    });
    expect(readFileSync(join(await losing, 'tool'), 'utf8')).to.equal('theirs');
    expect(readdirSync(dir)).to.deep.equal(['tool-1']);
  });

  it('gives signs of life while a step runs', async () => {
    const step = { what: 'building', usually: 'long', write: (line: string) => void lines.push(line), everyMs: 5 };
    await longStep(step, () => waitUntil(async () => lines.length > 2, undefined, 5));
    expect(lines[1]).to.match(/^ {2}still building \(\d+ s\)$/);
    expect(lines.at(-1)).to.match(/^ {2}done in \d+ s$/);
  });

  it('lies below XDG_CACHE_HOME where that is set', () => {
    expect(cacheRoot({ XDG_CACHE_HOME: '/cache' })).to.equal('/cache/kubelet-bootstrap/servers');
    expect(cacheRoot({})).to.match(/\/\.cache\/kubelet-bootstrap\/servers$/);
  });
});
