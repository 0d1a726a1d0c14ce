import { expect } from 'chai';
import { describe, it } from 'mocha';
import { type CaTimes, warningsOf } from '../../src/ca/warnings.ts';

const DAY = 24 * 3_600_000;
const NOW = Date.UTC(2026, 5, 1);

describe('ca/warnings', () => {
  const ca = (role: CaTimes['role'], days: number, more: Partial<CaTimes> = {}): CaTimes => ({
    role,
    notBefore: NOW - DAY,
    notAfter: NOW + days * DAY,
    from: undefined,
    ...more,
  });
  for (const [name, cas, expected] of [
    ['a CA with a long life is nothing to tell of', [ca('signing', 31)], []],
    ['one that ends within 30 days is', [ca('signing', 30)], [/ends at 2026-07-01T.*, within 30 days$/]],
    ['one that ends before what it signs is', [ca('signing', 6)], [/before the certificates that it signs now$/]],
    ['a next one without a time does not help', [ca('signing', 6), ca('next', 900)], [/the CA that signs ends/]],
    ['a next one with a time does', [ca('signing', 6), ca('next', 900, { from: NOW + DAY })], []],
    [
      'a next one that begins too late leaves a gap',
      [ca('signing', 6), ca('next', 900, { from: NOW + 7 * DAY })],
      [/ends at 2026-06-07.*, before the next one begins at 2026-06-08/],
    ],
    [
      'a next one that is not valid yet at its time',
      [ca('signing', 900), ca('next', 900, { from: NOW, notBefore: NOW + DAY })],
      [/is to sign from 2026-06-01.* not valid before 2026-06-02/],
    ],
    [
      'a next one that is over at its time',
      [ca('signing', 900), ca('next', 1, { from: NOW + DAY })],
      [/is to sign from 2026-06-02.*, and ends at 2026-06-02/],
    ],
    ['the end of a previous one', [ca('signing', 900), ca('previous', 1)], []],
  ] as const) {
    it(name, () => {
      const warnings = warningsOf(cas, 7 * DAY, NOW);
      expect(warnings).to.have.length(expected.length);
      for (const [index, pattern] of expected.entries()) expect(warnings[index]).to.match(pattern);
    });
  }
});
