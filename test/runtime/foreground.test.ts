import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { Foreground } from '../../src/runtime/foreground.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('runtime/foreground', () => {
  let clock: FakeClock;
  let foreground: Foreground;
  let isBusy: boolean;
  let stop: AbortController;
  let endedAt: number | undefined;
  beforeEach(() => {
    clock = new FakeClock();
    isBusy = true;
    foreground = new Foreground(clock, () => isBusy);
    stop = new AbortController();
    endedAt = undefined;
  });
  async function wait(): Promise<void> {
    void foreground.lull(stop.signal).then(() => (endedAt = clock.monotonic()));
    await clock.advance(0);
  }

  it('has a lull at once when nothing is in hand', async () => {
    isBusy = false;
    await wait();
    expect(endedAt).to.equal(0);
  });

  it('has one as soon as nothing is in hand any more', async () => {
    await wait();
    await clock.advance(9);
    expect(endedAt).to.equal(undefined);
    isBusy = false;
    await clock.advance(1);
    expect(endedAt).to.equal(10);
  });

  it('waits 25 ms for it at most', async () => {
    await wait();
    await clock.advance(24);
    expect(endedAt).to.equal(undefined);
    await clock.advance(1);
    expect({ endedAt, timers: clock.timers }).to.deep.equal({ endedAt: 25, timers: 0 });
  });

  it('waits no longer when it is stopped', async () => {
    await wait();
    await clock.advance(3);
    stop.abort();
    await clock.advance(0);
    expect({ endedAt, timers: clock.timers }).to.deep.equal({ endedAt: 3, timers: 0 });
  });
});
