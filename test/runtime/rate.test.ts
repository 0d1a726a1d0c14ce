import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { Rate } from '../../src/runtime/rate.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('runtime/rate', () => {
  let clock: FakeClock;
  let begun: number;
  let stop: AbortController;
  beforeEach(() => {
    clock = new FakeClock();
    begun = 0;
    stop = new AbortController();
  });

  async function beginAll(rate: Rate, count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      await rate.turn(stop.signal);
      begun += 1;
    }
  }

  it('lets so many begin in a second, evenly', async () => {
    void beginAll(new Rate(clock, 100), 1_000);
    await clock.advance(0);
    const first = begun;
    expect(first).to.be.at.most(3);
    for (let tenth = 1; tenth <= 10; tenth += 1) {
      await clock.advance(100);
      expect(begun - first).to.equal(tenth * 10);
    }
  });

  it('lets nothing begin while it is paused, and nothing in a burst afterwards', async () => {
    const rate = new Rate(clock, 100);
    await rate.turn(stop.signal);
    rate.pause(1_000);
    rate.pause(10);
    void beginAll(rate, 1_000);
    await clock.advance(999);
    expect(begun).to.equal(0);
    await clock.advance(101);
    expect(begun).to.be.within(10, 13);
  });

  it('makes up for a pause of its caller with no burst', async () => {
    const rate = new Rate(clock, 100);
    await rate.turn(stop.signal);
    await clock.advance(10_000);
    void beginAll(rate, 1_000);
    await clock.advance(0);
    expect(begun).to.be.at.most(3);
  });

  it('keeps to rates that timers are too coarse for', async () => {
    void beginAll(new Rate(clock, 4_000), 100_000);
    for (let ms = 0; ms < 1_000; ms += 1) await clock.advance(1);
    expect(begun).to.be.within(4_000, 4_100);
  });

  it('lets everybody go when it is stopped', async () => {
    const all = beginAll(new Rate(clock, 1), 100);
    stop.abort();
    await all;
    expect(begun).to.equal(100);
  });
});
