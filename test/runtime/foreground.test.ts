import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { Foreground } from '../../src/runtime/foreground.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('runtime/foreground', () => {
  let clock: FakeClock;
  let foreground: Foreground;
  let approving: { inFlight: number };
  let signing: { inFlight: number };
  let stop: AbortController;
  let endedAt: number | undefined;
  beforeEach(() => {
    clock = new FakeClock();
    foreground = new Foreground(clock);
    approving = { inFlight: 0 };
    signing = { inFlight: 0 };
    foreground.add(approving);
    foreground.add(signing);
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

  it('has one as soon as the last queue has nothing in hand', async () => {
    approving.inFlight = 1;
    signing.inFlight = 16;
    await wait();
    await clock.advance(9);
    approving.inFlight = 0;
    await clock.advance(5);
    expect(endedAt).to.equal(undefined);
    signing.inFlight = 0;
    await clock.advance(1);
    expect(endedAt).to.equal(15);
  });

  it('waits 25 ms for it at most', async () => {
    approving.inFlight = 1;
    await wait();
    await clock.advance(24);
    expect(endedAt).to.equal(undefined);
    await clock.advance(1);
    expect({ endedAt, timers: clock.timers }).to.deep.equal({ endedAt: 25, timers: 0 });
  });

  it('waits no longer when it is stopped', async () => {
    approving.inFlight = 1;
    await wait();
    await clock.advance(3);
    stop.abort();
    await clock.advance(0);
    expect({ endedAt, timers: clock.timers }).to.deep.equal({ endedAt: 3, timers: 0 });
  });
});
