import { expect } from 'chai';
import { describe, it } from 'mocha';
import { expectedRenewals, type RenewalSpan } from '../../src/nodes/expected-renewals.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NEVER = { from: 1e6 * HOUR, to: 2e6 * HOUR };

/** In hours. */
const span = (from: number, to: number, count = 1): RenewalSpan => ({ from: from * HOUR, to: to * HOUR, count });

describe('nodes/expected-renewals', () => {
  const first: [title: string, spans: RenewalSpan[], hours: number[]][] = [
    ['without certificates nothing is renewed', [], [0, 0, 0, 0]],
    ['a span of a whole hour is that hour', [span(1, 2)], [0, 1, 0, 0]],
    ['a span over two hours is half of it in each', [span(1, 3)], [0, 0.5, 0.5, 0]],
    ['a span that begins and ends within hours has its share in each', [span(0.5, 2.5)], [0.25, 0.5, 0.25, 0]],
    ['a span that ends with the last hour is wholly there', [span(3, 4)], [0, 0, 0, 1]],
    ['a span that goes on after the last hour is there in part', [span(3, 5)], [0, 0, 0, 0.5]],
    ['a span after the last hour is not there', [span(4, 5)], [0, 0, 0, 0]],
    ['a span that has begun renews in what is left of it', [span(-3, 1)], [1, 0, 0, 0]],
    ['and evenly', [span(-6, 2)], [0.5, 0.5, 0, 0]],
    ['a span that is over renews at once', [span(-3, -1)], [1, 0, 0, 0]],
    ['a span that ends now does, too', [span(-1, 0)], [1, 0, 0, 0]],
    ['a span that begins now is not cut', [span(0, 2)], [0.5, 0.5, 0, 0]],
    ['a span within a minute counts in its hour', [span(1, 1 + 1 / 3600)], [0, 1, 0, 0]],
    ['a moment counts in the hour that begins with it', [span(2, 2)], [0, 0, 1, 0]],
    ['a span that counts for many is so many', [span(1, 3, 500)], [0, 250, 250, 0]],
    ['spans add up', [span(1, 3), span(2, 3, 2)], [0, 0.5, 2.5, 0]],
  ];
  for (const [title, spans, hours] of first) {
    it(title, () => {
      const found = expectedRenewals(spans, NEVER, 4);
      expect(found).to.have.length(4);
      for (const [hour, count] of hours.entries()) expect(found[hour], `hour ${hour}`).to.be.closeTo(count, 1e-9);
    });
  }

  it('renews what was renewed, each time later and wider', () => {
    const found = expectedRenewals([span(1, 2, 12)], { from: 3 * HOUR, to: 5 * HOUR }, 10);
    // Sums of two and of three even spans.
    for (const [hour, count] of [0, 12, 0, 0, 3, 6, 3, 0.5, 3, 5].entries()) {
      expect(found[hour], `hour ${hour}`).to.be.closeTo(count, 0.001);
    }
  });

  it('comes to as many renewals an hour as there are certificates in a mean life', () => {
    const found = expectedRenewals([span(0, 1, 1_000)], { from: 8 * HOUR, to: 12 * HOUR }, 500);
    for (const count of found.slice(-24)) expect(count).to.be.closeTo(100, 0.1);
  });

  it('renews no more than once a minute where a certificate would be renewed before it is made', () => {
    const found = expectedRenewals([span(0, 0)], { from: -2 * MINUTE, to: -MINUTE }, 2);
    expect(found[1]).to.be.within(30, 60);
  });
});
