import { expect } from 'chai';
import { describe, it } from 'mocha';
import { schedule } from '../../src/ca/schedule.ts';

describe('ca/schedule', () => {
  for (const [name, from, now, expected] of [
    ['one CA signs', null, 5, ['signing a']],
    ['a next one without a time only waits', undefined, 5, ['signing a', 'next b']],
    ['it waits until its time', 6, 5, ['signing a', 'next b']],
    ['it signs from its time on, and the other one is the previous', 5, 5, ['signing b', 'previous a']],
  ] as const) {
    it(name, () => {
      const cas = schedule('a', from === null ? undefined : { ca: 'b', from }, now);
      expect(cas.map(({ role, ca }) => `${role} ${ca}`)).to.deep.equal(expected);
    });
  }
});
