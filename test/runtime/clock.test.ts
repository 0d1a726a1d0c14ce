import { expect } from 'chai';
import { describe, it } from 'mocha';
import { backoff, deadline, systemClock } from '../../src/runtime/clock.ts';

const MONTH = 30 * 86_400_000;

describe('runtime/clock', () => {
  describe('backoff', () => {
    for (const [attempt, ceiling] of [
      [0, 200],
      [1, 400],
      [5, 6_400],
      [9, 60_000],
      [30, 60_000],
      [10_000, 60_000],
    ] as const) {
      it(`before attempt ${attempt} lies between half of ${ceiling} ms and all of it`, () => {
        expect(backoff(attempt, 200, 60_000, () => 0)).to.equal(ceiling / 2);
        expect(backoff(attempt, 200, 60_000, () => 0.5)).to.equal(ceiling * 0.75);
        expect(backoff(attempt, 200, 60_000, () => 1)).to.equal(ceiling);
      });
    }
  });

  describe('sleep', () => {
    it('is over at once when its signal is aborted', async () => {
      await systemClock.sleep(MONTH, AbortSignal.abort());
    });

    it('is over when its signal aborts, and never rejects', async () => {
      const stop = new AbortController();
      const asleep = systemClock.sleep(MONTH, stop.signal);
      stop.abort(new Error('enough'));
      await asleep;
    });

    it('takes a time in the past for none', async () => {
      await systemClock.sleep(-5);
    });
  });

  describe('after', () => {
    for (const ms of [2 ** 31, MONTH, Number.POSITIVE_INFINITY]) {
      it(`of ${ms} ms does not fire at once`, async () => {
        let fired = false;
        const cancel = systemClock.after(ms, () => (fired = true));
        const slept = systemClock.sleep(1);
        await slept;
        await new Promise((resolve) => setImmediate(resolve));
        cancel();
        expect(fired).to.equal(false);
      });
    }
  });

  describe('deadline', () => {
    for (const ms of [Number.POSITIVE_INFINITY, MONTH, 1_000.5]) {
      it(`takes ${ms} ms`, () => {
        expect(deadline(ms).aborted).to.equal(false);
      });
    }

    it('aborts with its parent, for the same reason', () => {
      const parent = new AbortController();
      const signal = deadline(MONTH, parent.signal);
      expect(signal.aborted).to.equal(false);
      const reason = new Error('stopping');
      parent.abort(reason);
      expect(signal.aborted).to.equal(true);
      expect(signal.reason).to.equal(reason);
    });

    it('is over at once when it lies in the past', async () => {
      const signal = deadline(-1);
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    });
  });
});
