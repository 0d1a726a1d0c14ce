import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { LogLines } from '../../src/ops/log-lines.ts';

describe('ops/log-lines', () => {
  let written: string[];
  let endTurn: () => Promise<void>;
  let lines: LogLines;
  beforeEach(() => {
    written = [];
    const turns: (() => void)[] = [];
    endTurn = async () => {
      for (const end of turns.splice(0)) end();
      await Promise.resolve();
    };
    const turn = (): Promise<void> => new Promise((resolve) => turns.push(resolve));
    lines = new LogLines((text) => written.push(text), { turn });
  });

  it('writes the lines of one turn together, in their order', async () => {
    lines.add('1\n', false);
    lines.add('2\n', false);
    expect(written).to.deep.equal([]);
    await endTurn();
    lines.add('3\n', false);
    await endTurn();
    expect(written).to.deep.equal(['1\n2\n', '3\n']);
  });

  it('writes a warning at once, after what came before it, and nothing twice', async () => {
    lines.add('1\n', false);
    lines.add('bad\n', true);
    expect(written).to.deep.equal(['1\nbad\n']);
    await endTurn();
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
    await endTurn();
    expect(written).to.deep.equal(['1\n']);
  });
});
