import { expect } from 'chai';
import { describe, it } from 'mocha';
import { checkClock } from '../../src/doctor/clock.ts';

describe('doctor/clock', () => {
  const AT = Date.UTC(2027, 0, 31);
  /** Server's clock against this host's in ms, and how long the answer took. */
  const ROWS: readonly (readonly [string, number, number, string | undefined])[] = [
    ['the same', 0, 0, undefined],
    ['29.5 s ahead, in whole seconds cut off', 29_500, 0, undefined],
    ['just too far ahead', 29_501, 0, '30 s ahead of the clock of this host'],
    ['30.5 s behind, in whole seconds cut off', -30_500, 0, undefined],
    ['just too far behind', -30_501, 0, '30 s behind the clock of this host'],
    ['a slow answer excuses half of what it took', 34_500, 10_000, undefined],
    ['and no more', 34_502, 10_000, '35 s ahead of the clock of this host'],
    ['an hour behind', -3_600_000, 100, '3600 s behind the clock of this host'],
  ];
  for (const [what, ahead, took, found] of ROWS) {
    it(`${what}: ${found ?? 'nothing to tell'}`, () => {
      const reading = { server: AT + ahead, before: AT - took / 2, after: AT + took / 2 };
      expect(checkClock(reading).map((each) => each.found)).to.deep.equal(found === undefined ? [] : [found]);
    });
  }
});
