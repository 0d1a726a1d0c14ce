import { expect } from 'chai';
import { describe, it } from 'mocha';
import { formatDuration, parseDuration } from '../../src/runtime/duration.ts';

describe('runtime/duration', () => {
  for (const [text, ms] of [
    ['500ms', 500],
    ['0s', 0],
    ['90s', 90_000],
    ['1.5h', 5_400_000],
    ['1h30m', 5_400_000],
    ['24h', 86_400_000],
    ['1m0.5s', 60_500],
  ] as const) {
    it(`reads ${text} as ${ms} ms`, () => expect(parseDuration(text)).to.equal(ms));
  }

  for (const text of ['', '5', '5 m', '-5m', '+5m', 'm', '1d', '5m ', '1h-5m', '.5s', '1e3s', `${'9'.repeat(40)}h`]) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parseDuration(text)).to.equal(undefined));
  }

  for (const [ms, text] of [
    [0, '0s'],
    [-5, '0s'],
    [499, '0s'],
    [45_000, '45s'],
    [5_400_000, '1h30m'],
    [3_601_000, '1h1s'],
    [90_000_000, '25h'],
  ] as const) {
    it(`writes ${ms} ms as ${text}`, () => expect(formatDuration(ms)).to.equal(text));
  }
});
