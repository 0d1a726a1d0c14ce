import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { Foreground } from '../../src/runtime/foreground.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { inHand } from '../support/in-hand.ts';

describe('runtime/foreground', () => {
  let clock: FakeClock;
  let foreground: Foreground;
  let stop: AbortController;
  let endedAt: number | undefined;
  beforeEach(() => {
    clock = new FakeClock();
    foreground = new Foreground(clock);
    stop = new AbortController();
    endedAt = undefined;
  });
  async function wait(): Promise<void> {
    void foreground.lull(stop.signal).then(() => (endedAt = clock.monotonic()));
    await clock.advance(0);
  }

  it('has a lull at once when nothing is in hand', async () => {
    await wait();
    expect(endedAt).to.equal(0);
  });

  it('has one as soon as nothing is in hand any more, for all that wait', async () => {
    const [first, second] = [inHand(foreground), inHand(foreground)];
    await wait();
    const other = foreground.lull(stop.signal);
    await clock.advance(9);
    first();
    await clock.advance(1);
    expect(endedAt).to.equal(undefined);
    second();
    await other;
    expect({ endedAt, timers: clock.timers }).to.deep.equal({ endedAt: 10, timers: 0 });
  });

  it('has one after what failed', async () => {
    const failed = foreground.hold(() => Promise.reject(new Error('refused')));
    await wait();
    expect(await failed.catch(String)).to.equal('Error: refused');
    await clock.advance(0);
    expect({ endedAt, timers: clock.timers }).to.deep.equal({ endedAt: 0, timers: 0 });
  });

  it('waits 25 ms for it at most', async () => {
    inHand(foreground);
    await wait();
    await clock.advance(24);
    expect(endedAt).to.equal(undefined);
    await clock.advance(1);
    expect({ endedAt, timers: clock.timers }).to.deep.equal({ endedAt: 25, timers: 0 });
  });

  it('waits no longer when it is stopped, and not at all afterwards', async () => {
    inHand(foreground);
    await wait();
    await clock.advance(3);
    stop.abort();
    await clock.advance(0);
    expect({ endedAt, timers: clock.timers }).to.deep.equal({ endedAt: 3, timers: 0 });
    await foreground.lull(stop.signal);
    expect(clock.timers).to.equal(0);
  });
});
