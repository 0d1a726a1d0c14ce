import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { LogLines } from '../../src/ops/log-lines.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('ops/log-lines', () => {
  let written: string[];
  let clock: FakeClock;
  let lines: LogLines;
  beforeEach(() => {
    written = [];
    clock = new FakeClock();
    lines = new LogLines((text) => written.push(text), clock);
  });

  it('writes lines that come within 20 ms together, in their order', async () => {
    lines.add('1\n', false);
    await clock.advance(19);
    lines.add('2\n', false);
    expect(written).to.deep.equal([]);
    await clock.advance(1);
    lines.add('3\n', false);
    await clock.advance(20);
    expect(written).to.deep.equal(['1\n2\n', '3\n']);
  });

  it('writes a warning at once, after what came before it, and nothing twice', async () => {
    lines.add('1\n', false);
    lines.add('bad\n', true);
    expect(written).to.deep.equal(['1\nbad\n']);
    await clock.advance(20);
    expect(written).to.have.length(1);
  });

  it('keeps no more back than 64 KiB', () => {
    const long = `${'x'.repeat(40_000)}\n`;
    lines.add(long, false);
    lines.add(long, false);
    expect(written).to.deep.equal([long + long]);
  });

  it('writes what is kept when it is told to', async () => {
    lines.add('1\n', false);
    lines.flush();
    lines.flush();
    await clock.advance(20);
    expect(written).to.deep.equal(['1\n']);
  });
});
