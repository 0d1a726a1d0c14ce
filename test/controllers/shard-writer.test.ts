import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { ShardWriter } from '../../src/controllers/shard-writer.ts';
import { shardOf } from '../../src/nodes/record-format.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { never } from './world.ts';

/** Nodes of six shards. */
const NODES = [...new Map(Array.from({ length: 99 }, (_, n) => [shardOf(`n-${n}`), `n-${n}`])).values()].slice(0, 6);

describe('controllers/shard-writer', () => {
  let clock: FakeClock;
  let writer: ShardWriter;
  /** When each write began, and how many were under way then. */
  let begun: { at: number; atOnce: number }[];
  let tookMs: number;
  let works: boolean;
  beforeEach(() => {
    clock = new FakeClock();
    begun = [];
    tookMs = 10;
    works = true;
    let atOnce = 0;
    const write = async (_: string, nodes: readonly string[]): Promise<boolean> => {
      atOnce += 1;
      begun.push({ at: clock.monotonic(), atOnce });
      await clock.sleep(tookMs);
      atOnce -= 1;
      if (works) for (const node of nodes) writer.written(node);
      return works;
    };
    writer = new ShardWriter({ write, clock, random: () => 0.5 });
    for (const node of NODES) writer.changed(node);
  });
  const begunAt = (): number[] => begun.map(({ at }) => at);

  it('writes one shard after the other, and rests nine times as long after each', async () => {
    await clock.advance(6_000);
    expect(begunAt()).to.deep.equal([5_000, 5_100, 5_200, 5_300, 5_400, 5_500]);
    expect(NODES.every((node) => writer.isWritten(node))).to.equal(true);
  });

  it('rests a second at most', async () => {
    tookMs = 400;
    await clock.advance(13_000);
    expect(begunAt()).to.deep.equal([5_000, 6_400, 7_800, 9_200, 10_600, 12_000]);
  });

  it('writes what is left at once when it is to be done, four shards at the same time', async () => {
    await clock.advance(5_050);
    expect(begun).to.have.length(1);
    const flushed = writer.flush(never);
    await clock.advance(20);
    await flushed;
    expect(begun.slice(1)).to.deep.equal([
      { at: 5_050, atOnce: 1 },
      { at: 5_050, atOnce: 2 },
      { at: 5_050, atOnce: 3 },
      { at: 5_050, atOnce: 4 },
      { at: 5_060, atOnce: 4 },
    ]);
    expect(clock.timers).to.equal(0);
  });

  it('is done only when what was under way is', async () => {
    await clock.advance(5_005);
    let isDone = false;
    void writer.flush(never).then(() => (isDone = true));
    await clock.advance(14);
    expect({ isDone, begun: begun.length }).to.deep.equal({ isDone: false, begun: 5 });
    await clock.advance(20);
    expect({ isDone, begun: begun.length }).to.deep.equal({ isDone: true, begun: 6 });
  });

  it('writes what changes meanwhile with the next group, five seconds after the last change', async () => {
    await clock.advance(5_250);
    writer.changed(NODES[0] ?? '');
    await clock.advance(4_999);
    expect(begun).to.have.length(6);
    await clock.advance(1);
    expect(begunAt().slice(6)).to.deep.equal([10_250]);
  });

  it('tries again what failed', async () => {
    works = false;
    await clock.advance(5_510);
    works = true;
    await clock.advance(60_000);
    expect(begun).to.have.length(12);
    expect(clock.timers).to.equal(0);
  });
});
