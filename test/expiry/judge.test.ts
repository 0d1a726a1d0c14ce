import { expect } from 'chai';
import { describe, it } from 'mocha';
import { judge, type Level, nextChange, soonestFirst, worstSeverity } from '../../src/expiry/judge.ts';
import type { Reading, Thing } from '../../src/expiry/thing.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2027, 0, 31);
const THRESHOLDS = { warningMs: 30 * DAY, criticalMs: 7 * DAY };

const thing = (reading: Reading, name = 'x'): Thing => ({ kind: 'file', name, object: undefined, reading });
const ends = (leftMs: number, lifeMs: number): Reading => ({ kind: 'ends', endsAt: NOW + leftMs, lifeMs, note: '' });

describe('expiry/judge', () => {
  const ROWS: readonly (readonly [string, number, number, Level])[] = [
    ['a year, 31 days left', 31 * DAY, 365 * DAY, 'ok'],
    ['a year, a second less than 30 days left: named weeks ahead', 30 * DAY - 1000, 365 * DAY, 'warning'],
    ['a year, 8 days left', 8 * DAY, 365 * DAY, 'warning'],
    ['a year, less than 7 days left', 7 * DAY - 1, 365 * DAY, 'critical'],
    ['a year, nothing left', 0, 365 * DAY, 'expired'],
    ['a year, over since long', -400 * DAY, 365 * DAY, 'expired'],
    ['ten years, 31 days left', 31 * DAY, 3650 * DAY, 'ok'],
    ['90 days, renewed with 30 left, at that moment', 30 * DAY, 90 * DAY, 'ok'],
    ['90 days, less than a twelfth left', 7.4 * DAY, 90 * DAY, 'warning'],
    ['a week, the last tenth, in which a kubelet has renewed', 16.8 * HOUR, 7 * DAY, 'ok'],
    ['a day, just issued: no alarm although less than 7 days are left', DAY, DAY, 'ok'],
    ['a day, a tenth left', 2.4 * HOUR, DAY, 'ok'],
    ['a day, less than two hours left', 2 * HOUR - 1, DAY, 'warning'],
    ['a day, less than one hour left', HOUR - 1, DAY, 'critical'],
    ['a token of an hour, a third left, when it is renewed', HOUR / 3, HOUR, 'ok'],
    ['a token of an hour, four minutes left', 4 * 60_000, HOUR, 'warning'],
    ['a life that is not known goes by the thresholds alone', 29 * DAY, Infinity, 'warning'],
  ];
  for (const [what, left, life, level] of ROWS) {
    it(`${what}: ${level}`, () => {
      expect(judge(thing(ends(left, life)), THRESHOLDS, NOW)).to.include({ level, leftMs: left });
    });
  }

  it('takes what has no end by what it is', () => {
    for (const kind of ['none', 'unusable', 'unreadable'] as const) {
      expect(judge(thing({ kind, note: '' }), THRESHOLDS, NOW)).to.include({ level: kind, leftMs: undefined });
    }
  });

  it('knows when the level changes next', () => {
    const reading = ends(60 * DAY, 365 * DAY);
    const at = [0, 30, 53, 60].map((days) => nextChange(reading, THRESHOLDS, NOW + days * DAY));
    expect(at).to.deep.equal([NOW + 30 * DAY, NOW + 53 * DAY, NOW + 60 * DAY, undefined]);
    expect(nextChange({ kind: 'none', note: '' }, THRESHOLDS, NOW)).to.equal(undefined);
  });

  it('sorts what cannot be used or seen first, then the soonest, then what has no end', () => {
    const things = [
      thing({ kind: 'none', note: '' }, 'endless'),
      thing(ends(DAY, DAY), 'later'),
      thing(ends(-DAY, DAY), 'over'),
      thing(ends(HOUR, DAY), 'b'),
      thing(ends(HOUR, DAY), 'a'),
      thing({ kind: 'unreadable', note: '' }, 'unseen'),
      thing({ kind: 'unusable', note: '' }, 'garbage'),
    ];
    const rows = soonestFirst(things.map((each) => judge(each, THRESHOLDS, NOW)));
    expect(rows.map(({ name }) => name)).to.deep.equal(['garbage', 'unseen', 'over', 'a', 'b', 'later', 'endless']);
  });

  it('knows the worst', () => {
    const worst = (...readings: Reading[]): string =>
      worstSeverity(readings.map((reading) => judge(thing(reading), THRESHOLDS, NOW)));
    expect(worst()).to.equal('info');
    expect(worst(ends(60 * DAY, 365 * DAY), { kind: 'none', note: '' })).to.equal('info');
    expect(worst(ends(20 * DAY, 365 * DAY), ends(60 * DAY, 365 * DAY))).to.equal('warning');
    expect(worst({ kind: 'unreadable', note: '' })).to.equal('warning');
    expect(worst(ends(20 * DAY, 365 * DAY), { kind: 'unusable', note: '' })).to.equal('error');
    expect(worst(ends(-1, 365 * DAY))).to.equal('error');
  });
});
