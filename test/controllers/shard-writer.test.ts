import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { ShardWriter } from '../../src/controllers/shard-writer.ts';
import { shardOf } from '../../src/nodes/record-format.ts';
import { Foreground } from '../../src/runtime/foreground.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { inHand } from '../support/in-hand.ts';
import { never } from './world.ts';

/** Nodes of six shards. */
const NODES = [...new Map(Array.from({ length: 99 }, (_, n) => [shardOf(`n-${n}`), `n-${n}`])).values()].slice(0, 6);
const [FIRST = ''] = NODES;

describe('controllers/shard-writer', () => {
  let clock: FakeClock;
  let writer: ShardWriter;
  /** When each write began, and how many were under way then. */
  let begun: { at: number; atOnce: number; nodes: readonly string[] }[];
  let tookMs: number;
  /** Nodes that cannot be written. */
  let stuck: readonly string[];
  let foreground: Foreground;
  beforeEach(() => {
    clock = new FakeClock();
    begun = [];
    tookMs = 10;
    stuck = [];
    let atOnce = 0;
    const write = async (_: string, nodes: readonly string[], signal: AbortSignal): Promise<boolean> => {
      atOnce += 1;
      begun.push({ at: clock.monotonic(), atOnce, nodes });
      await clock.sleep(tookMs, signal);
      atOnce -= 1;
      const works = !signal.aborted && !nodes.some((node) => stuck.includes(node));
      if (works) for (const node of nodes) writer.written(node);
      return works;
    };
    foreground = new Foreground(clock);
    writer = new ShardWriter({ write, foreground, clock, random: () => 1 });
    for (const node of NODES) writer.changed(node);
  });
  const begunAt = (): number[] => begun.map(({ at }) => at);
  const writtenNodes = (): string[] => begun.flatMap(({ nodes }) => nodes);
  const areWritten = (): boolean => NODES.every((node) => writer.isWritten(node));

  it('writes one shard after the other, and rests nine times as long after each', async () => {
    await clock.advance(6_000);
    expect(begunAt()).to.deep.equal([5_000, 5_100, 5_200, 5_300, 5_400, 5_500]);
    expect({ areWritten: areWritten(), timers: clock.timers }).to.deep.equal({ areWritten: true, timers: 0 });
  });

  it('rests a second at most', async () => {
    tookMs = 400;
    await clock.advance(13_000);
    expect(begunAt()).to.deep.equal([5_000, 6_400, 7_800, 9_200, 10_600, 12_000]);
  });

  it('lets what is being signed go first', async () => {
    await clock.advance(5_050);
    const signed = inHand(foreground);
    await clock.advance(66);
    expect(begunAt()).to.deep.equal([5_000]);
    signed();
    await clock.advance(50);
    expect(begunAt()).to.deep.equal([5_000, 5_116]);
  });

  it('writes all the same while signing never ceases, each shard 25 ms later', async () => {
    inHand(foreground);
    await clock.advance(6_000);
    expect(begunAt()).to.deep.equal([5_025, 5_150, 5_275, 5_400, 5_525, 5_650]);
  });

  it('writes with a shard whatever is known of it when its turn comes', async () => {
    const last = NODES[5] ?? '';
    const other = Array.from({ length: 999 }, (_, n) => `m-${n}`).find((name) => shardOf(name) === shardOf(last)) ?? '';
    await clock.advance(5_450);
    writer.changed(other);
    await clock.advance(100);
    expect(begun.at(-1)).to.deep.equal({ at: 5_500, atOnce: 1, nodes: [last, other] });
  });

  it('writes what changes meanwhile with the next group, five seconds after the last change', async () => {
    await clock.advance(5_250);
    writer.changed(FIRST);
    await clock.advance(4_999);
    expect(begun).to.have.length(6);
    await clock.advance(1);
    expect(begunAt().slice(6)).to.deep.equal([10_250]);
  });

  it('tries again what failed, after a second, two and four, and not what was written', async () => {
    stuck = [FIRST];
    await clock.advance(5_510);
    await clock.advance(10_000);
    expect(begunAt().slice(6)).to.deep.equal([5_600 + 1_000, 6_700 + 2_000, 8_800 + 4_000]);
    expect(writtenNodes().slice(6)).to.deep.equal([FIRST, FIRST, FIRST]);
  });

  it('tries again in time while more keeps changing, and writes that, too', async () => {
    stuck = [FIRST];
    await clock.advance(5_600);
    stuck = [];
    writer.changed(NODES[1] ?? '');
    await clock.advance(2_300);
    expect(writtenNodes().slice(6)).to.deep.equal([FIRST, NODES[1]]);
  });

  it('goes no further when three shards in a row cannot be written, and begins with the others the next time', async () => {
    stuck = NODES;
    await clock.advance(5_600);
    expect(writtenNodes()).to.deep.equal(NODES.slice(0, 3));
    stuck = NODES.slice(0, 3);
    await clock.advance(2_500);
    expect(writtenNodes().slice(3)).to.deep.equal([...NODES.slice(3), ...NODES.slice(0, 3)]);
  });

  it('begins no second walk beside one that takes long', async () => {
    tookMs = 30_000;
    await clock.advance(20_000);
    writer.changed(FIRST);
    await clock.advance(40_000);
    expect(begun.every(({ atOnce }) => atOnce === 1)).to.equal(true);
  });

  describe('when it is to stop', () => {
    it('writes what is left at once, four shards at the same time, after what is under way', async () => {
      await clock.advance(5_005);
      let isDone = false;
      void writer.stop(never).then(() => (isDone = true));
      await clock.advance(14);
      expect(begun.slice(1).map(({ at, atOnce }) => [at, atOnce])).to.deep.equal([
        [5_010, 1],
        [5_010, 2],
        [5_010, 3],
        [5_010, 4],
      ]);
      expect(isDone).to.equal(false);
      await clock.advance(20);
      expect({ isDone, areWritten: areWritten(), timers: clock.timers }).to.deep.equal({
        isDone: true,
        areWritten: true,
        timers: 0,
      });
    });

    it('does not let others go first any more', async () => {
      inHand(foreground);
      await clock.advance(5_020);
      const stopped = writer.stop(never);
      await clock.advance(0);
      expect(begunAt()).to.deep.equal([5_020, 5_020, 5_020, 5_020]);
      await clock.advance(20);
      await stopped;
    });

    it('does not wait for the end of a rest', async () => {
      await clock.advance(5_050);
      const stopped = writer.stop(never);
      await clock.advance(0);
      expect(begunAt()).to.deep.equal([5_000, 5_050, 5_050, 5_050, 5_050]);
      await clock.advance(20);
      await stopped;
    });

    it('lets go of what is under way when time is up', async () => {
      tookMs = 100_000;
      await clock.advance(5_005);
      const time = new AbortController();
      const stopped = writer.stop(time.signal);
      await clock.advance(10);
      time.abort();
      await stopped;
      expect({ areWritten: areWritten(), timers: clock.timers }).to.deep.equal({ areWritten: false, timers: 0 });
    });

    it('plans nothing any more, whatever failed or changes', async () => {
      stuck = NODES;
      await clock.advance(5_005);
      const stopped = writer.stop(never);
      await clock.advance(50);
      await stopped;
      writer.changed(FIRST);
      expect(clock.timers).to.equal(0);
    });
  });
});
