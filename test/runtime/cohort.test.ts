import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { Cohort } from '../../src/runtime/cohort.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';

describe('runtime/cohort', () => {
  let clock: FakeClock;
  let ends: ((error?: Error) => void)[];
  /** Numbers of those whose outcome is out, in that order. */
  let out: number[];
  let cohort: Cohort;

  beforeEach(() => {
    clock = new FakeClock();
    ends = [];
    out = [];
    cohort = new Cohort(clock);
  });

  const begin = (count: number): void => {
    for (let left = count; left > 0; left -= 1) {
      const number = ends.length;
      const work = new Promise<void>((resolve, reject) => {
        ends.push((error) => (error === undefined ? resolve() : reject(error)));
      });
      void cohort.join(work).then(
        () => out.push(number),
        () => out.push(-number),
      );
    }
  };
  const end = async (...numbers: number[]): Promise<void> => {
    for (const number of numbers) ends[number]?.();
    await settled();
  };
  const fail = async (...numbers: number[]): Promise<void> => {
    for (const number of numbers) ends[number]?.(new Error('no answer'));
    await settled();
  };

  it('lets everybody go on at once while seven are under way', async () => {
    begin(7);
    await end(4);
    expect(out).to.deep.equal([4]);
    expect(clock.timers).to.equal(0);
  });

  it('keeps the first of eight until half of them have their outcome, and lets these go on together', async () => {
    begin(8);
    await end(0, 3, 1);
    expect(out).to.deep.equal([]);
    await end(7);
    expect(out).to.deep.equal([0, 3, 1, 7]);
    expect(clock.timers).to.equal(0);
  });

  it('lets nobody wait for company for more than 5 ms', async () => {
    begin(100);
    await end(0);
    await clock.advance(4);
    await end(1);
    expect(out).to.deep.equal([]);
    await clock.advance(1);
    expect(out).to.deep.equal([0, 1]);
    await end(2);
    await clock.advance(4);
    expect(out).to.deep.equal([0, 1]);
    await clock.advance(1);
    expect(out).to.deep.equal([0, 1, 2]);
  });

  it('counts those who went on no longer', async () => {
    begin(8);
    await end(0, 1, 2, 3);
    await end(4);
    expect(out).to.deep.equal([0, 1, 2, 3, 4]);
  });

  it('passes failures on as they are, and they are company too', async () => {
    begin(8);
    await end(1, 2, 3);
    await fail(4);
    expect(out).to.deep.equal([1, 2, 3, -4]);
    const failure = await cohort.join(Promise.reject(new Error('as it is'))).catch((error: unknown) => error);
    expect(failure).to.have.property('message', 'as it is');
  });

  it('keeps nobody when all fail at once, and counts them no longer', async () => {
    begin(11);
    await fail(...ends.keys());
    expect(out).to.have.length(11);
    begin(7);
    await end(11);
    expect(out.at(-1)).to.equal(11);
    expect(clock.timers).to.equal(0);
  });

  it('answers with the outcome', async () => {
    expect(await cohort.join(Promise.resolve('outcome'))).to.equal('outcome');
  });
});
