import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Pace } from '../../src/controllers/pace.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('controllers/pace', () => {
  it('keeps the turns of one key apart, and has others take theirs', async () => {
    const clock = new FakeClock();
    const pace = new Pace(clock, 1_000);
    expect(pace.take('a')).to.equal(0);
    expect(pace.take('b')).to.equal(0);
    expect(pace.take('a')).to.equal(1_000);
    await clock.advance(400);
    expect(pace.take('a')).to.equal(600);
    await clock.advance(600);
    expect(pace.take('a')).to.equal(0);
  });

  it('has a turn again that was given back', () => {
    const pace = new Pace(new FakeClock(), 1_000);
    pace.take('a');
    pace.giveBack('a');
    expect(pace.take('a')).to.equal(0);
  });

  it('keeps to it however many keys there are', async () => {
    const clock = new FakeClock();
    const pace = new Pace(clock, 1_000);
    for (let key = 0; key < 3_000; key += 1) expect(pace.take(`${key}`)).to.equal(0);
    expect(pace.take('0')).to.equal(1_000);
    await clock.advance(1_000);
    expect(pace.take('2999')).to.equal(0);
    expect(pace.take('2999')).to.equal(1_000);
  });
});
