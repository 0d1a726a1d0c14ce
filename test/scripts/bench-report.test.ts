import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Case, Figures, Role } from '../../scripts/bench/case.ts';
import { goalsTable, judge } from '../../scripts/bench/report.ts';

const CASE: Case = {
  name: 'drain',
  about: '',
  figures: { rate: 'certificates/s' },
  goals: [
    { what: '× the manager', found: (of) => of('ours', 'rate') / of('manager', 'rate'), atLeast: 1 },
    { what: '× it as shipped', found: (of) => of('ours', 'rate') / of('shipped', 'rate'), atLeast: 1 },
  ],
  who: () => ({}),
  rounds: 3,
  run: () => Promise.resolve({}),
};

describe('the report of the bench', () => {
  const judged = (rounds: Partial<Record<Role, readonly (number | undefined)[]>>): unknown[] => {
    const read = Object.entries(rounds).map(([role, rates]): [string, Figures[]] => [
      role,
      rates.map((rate) => (rate === undefined ? {} : { rate })),
    ]);
    const all = judge([{ case: CASE, rounds: Object.fromEntries(read) }]);
    return all.map(({ found, spread, met }) => [found, ...spread, met]);
  };

  it('compares within rounds, and takes the median of them', () => {
    // Medians of 20 and 20: the machine was slow in the second round.
    expect(judged({ ours: [20, 8, 30], manager: [25, 10, 20] })).to.deep.equal([[0.8, 0.8, 1.5, false]]);
  });

  it('compares with the one round of whoever has no more', () => {
    expect(judged({ ours: [20, 10, 30], shipped: [5] })).to.deep.equal([[4, 2, 6, true]]);
  });

  it('leaves out who did not take part, and lets nobody meet a goal by rounds that failed', () => {
    expect(judged({ ours: [20, 10, 30] })).to.deep.equal([]);
    expect(judged({ ours: [20, undefined, 30], manager: [10, 10, 10] })).to.deep.equal([[3, 2, 3, false]]);
  });

  it('prints the spread where there is one', () => {
    const goal = { case: 'drain', goal: '× the manager, at least 1', met: true };
    const text = goalsTable([
      { ...goal, found: 1.5, spread: [1.25, 2] },
      { ...goal, found: 1, spread: [1, 1] },
    ]);
    expect(text).to.match(/^drain +1\.50 \(1\.25 to 2\.00\) +× the manager, at least 1 +met$/m);
    expect(text).to.match(/^ +1\.00 +× the manager, at least 1 +met$/m);
  });
});
