import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';

const ROOT = resolve(import.meta.dirname, '../..');

describe('the end of a test run', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'count-reporter-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** What mocha writes, from the first line about a skipped test on, and its exit code. */
  function endOf(text: string, env: NodeJS.ProcessEnv): [string[], number | null] {
    const file = join(folder, 'some.test.mjs');
    const skip = JSON.stringify(join(ROOT, 'test', 'support', 'skip.ts'));
    writeFileSync(file, `import { skipFor, skipWithout } from ${skip};\n${text}`);
    const { CI: _, ...rest } = process.env;
    const args = [join(ROOT, 'node_modules', 'mocha', 'bin', 'mocha.js'), file];
    const { stdout, status } = spawnSync(process.execPath, args, {
      cwd: ROOT,
      env: { ...rest, ...env },
      encoding: 'utf8',
    });
    const lines = stdout.trimEnd().split('\n');
    return [lines.filter((line) => /^skipped: |^\d+ passed/.test(line)), status];
  }

  const SKIPPING = `
    describe('one', () => {
      before(function () { skipFor(this, 'no moon'); });
      it('a', () => {});
      it('b', () => {});
    });
    it('two', function () { skipWithout(this, 'no-such-program', 'nor-such'); });
    it('three', () => {});`;

  it('names every test that was skipped with the reason, and counts them', () => {
    expect(endOf(SKIPPING, {})).to.deep.equal([
      [
        'skipped: two: there is no no-such-program or nor-such',
        'skipped: one a: no moon',
        'skipped: one b: no moon',
        '1 passed, 0 failed, 3 skipped',
      ],
      0,
    ]);
  });

  it('in CI has nothing skipped: what cannot run has failed', () => {
    const [lines, status] = endOf(SKIPPING, { CI: 'true' });
    expect(lines).to.deep.equal(['1 passed, 2 failed, 0 skipped']);
    expect(status).to.be.greaterThan(0);
  });
});
