import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Progress } from '../../src/cli/progress.ts';
import { FakeClock } from '../support/fake-clock.ts';

function said(draws: boolean, total: number, work: (progress: Progress, clock: FakeClock) => void): string {
  let text = '';
  const clock = new FakeClock();
  const progress = new Progress(total, { err: (more) => void (text += more), draws }, clock);
  work(progress, clock);
  progress.end();
  return text;
}

describe('cli/progress', () => {
  it('is ten plain lines where there is no terminal, the last of them the sum', () => {
    const text = said(false, 1_000, (progress) => {
      for (let step = 0; step < 1_000; step += 1) progress.step(step % 2 === 0 ? 'issued' : 'kept');
    });
    const lines = text.trimEnd().split('\n');
    expect(lines).to.have.length(10);
    expect(lines[0]).to.equal('100 of 1000 nodes done: 50 issued, 50 kept');
    expect(lines[9]).to.equal('1000 of 1000 nodes done: 500 issued, 500 kept');
    expect(text).not.to.include('\r').and.not.include('\u001B');
  });

  it('says what became of fewer than ten, and of none', () => {
    expect(said(false, 2, (progress) => progress.step('issued'))).to.equal(
      '1 of 2 nodes done: 1 issued\n1 of 2 nodes done: 1 issued\n',
    );
    expect(said(false, 2, () => {})).to.equal('0 of 2 nodes done\n');
  });

  it('gives a remark a line of its own', () => {
    const remark = (progress: Progress): void => progress.step('failed', 'node a: no');
    expect(said(false, 1, remark)).to.equal('node a: no\n1 of 1 nodes done: 1 failed\n');
    expect(said(true, 1, remark).startsWith('\r\u001B[Knode a: no\n')).to.equal(true);
  });

  it('draws one line again on a terminal, at most ten times a second', async () => {
    const clock = new FakeClock();
    const drawn: string[] = [];
    const progress = new Progress(4, { err: (text) => void drawn.push(text), draws: true }, clock);
    progress.step('issued');
    progress.step('issued');
    await clock.advance(100);
    progress.step('issued');
    expect(drawn).to.deep.equal([
      '\r\u001B[K[#####...............] 1 of 4 nodes done: 1 issued',
      '\r\u001B[K[###############.....] 3 of 4 nodes done: 3 issued',
    ]);
  });
});
