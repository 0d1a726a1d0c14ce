import { expect } from 'chai';
import * as fc from 'fast-check';
import { describe, it } from 'mocha';
import {
  lifetimeOfNode,
  lifetimeOutlook,
  lifetimeSteps,
  outageSurvived,
  renewalWindow,
  validityAtZero,
} from '../../src/pki/lifetimes.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 5, 1);

describe('pki/lifetimes', () => {
  describe('steps', () => {
    const rows: [title: string, lifetimeMs: number, steps: number, lifetimes: number[], shares: number[]][] = [
      ['with one step every node has the lifetime that is configured', DAY, 1, [DAY], [1]],
      ['with two steps 7 of 16 nodes have 7/9 of it', 9 * HOUR, 2, [9 * HOUR, 7 * HOUR], [9 / 16, 7 / 16]],
      ['a step is of whole seconds', DAY, 2, [DAY, 67_200_000], [0.5625, 0.4375]],
      [
        'each step is 7/9 of the one before',
        81 * HOUR,
        3,
        [81, 63, 49].map((hours) => hours * HOUR),
        [0.42, 0.33, 0.25],
      ],
      ['a step of 10 minutes is there', 772_000, 2, [772_000, 600_000], [0.56, 0.44]],
      ['no step is shorter than 10 minutes', 771_000, 2, [771_000], [1]],
      ['a lifetime of less has no steps', 3 * MINUTE, 4, [3 * MINUTE], [1]],
    ];
    for (const [title, lifetimeMs, steps, lifetimes, shares] of rows) {
      it(title, () => {
        const found = lifetimeSteps(lifetimeMs, steps);
        expect(found.map((step) => step.lifetimeMs)).to.deep.equal(lifetimes);
        for (const [index, share] of shares.entries()) expect(found[index]?.share).to.be.closeTo(share, 0.005);
        expect(found.reduce((sum, { share }) => sum + share, 0)).to.be.closeTo(1, 1e-12);
      });
    }
  });

  it('gives a node the same lifetime each time, one of the steps, never longer than configured, never below 10 minutes', () => {
    const inputs = [
      fc.string(),
      fc.integer({ min: MINUTE, max: 3_650 * DAY }),
      fc.integer({ min: 1, max: 4 }),
    ] as const;
    fc.assert(
      fc.property(...inputs, (node, lifetimeMs, steps) => {
        const found = lifetimeOfNode(node, lifetimeMs, steps);
        expect(lifetimeOfNode(node, lifetimeMs, steps)).to.equal(found);
        expect(lifetimeSteps(lifetimeMs, steps).map((step) => step.lifetimeMs)).to.include(found);
        expect(found).to.be.within(Math.min(lifetimeMs, 10 * MINUTE), lifetimeMs);
      }),
    );
  });

  it('gives these nodes these lifetimes: another hash would move a whole fleet', () => {
    const hours = ['worker-1', 'worker-2', 'worker-3', 'gpu-1'].map(
      (node) => lifetimeOfNode(node, 81 * HOUR, 3) / HOUR,
    );
    expect(hours).to.deep.equal([81, 63, 49, 63]);
  });

  for (const name of [
    (index: number) => `worker-${index}`,
    (index: number) => `ip-10-0-${index >> 8}-${index & 255}.ec2.internal`,
  ]) {
    it(`spreads names such as ${name(4711)} over the steps by their shares, to within 2 % of the nodes`, () => {
      const found = Array.from({ length: 10_000 }, (_, index) => lifetimeOfNode(name(index), DAY, 4));
      for (const { lifetimeMs, share } of lifetimeSteps(DAY, 4)) {
        expect(found.filter((ms) => ms === lifetimeMs).length / 10_000).to.be.closeTo(share, 0.02);
      }
    });
  }

  const windows: [title: string, life: number, from: number, to: number, outage: number][] = [
    ['a kubelet renews a certificate of 100 hours after 70 to 90 of them', 100, 70, 90, 10],
    ['and one of 24 hours after 16.8 to 21.6', 24, 16.8, 21.6, 2.4],
  ];
  for (const [title, life, from, to, outage] of windows) {
    it(title, () => {
      const validity = { notBefore: NOW, notAfter: NOW + life * HOUR };
      const window = renewalWindow(validity);
      expect((window.from - NOW) / HOUR).to.be.closeTo(from, 1e-6);
      expect((window.to - NOW) / HOUR).to.be.closeTo(to, 1e-6);
      expect(outageSurvived(validity) / HOUR).to.be.closeTo(outage, 1e-6);
    });
  }

  const outlooks: [title: string, lifetimeMs: number, steps: number, minutes: readonly [number, number, number]][] = [
    ['24 hours survive 2.4 hours; certificates are made to begin 5 minutes ago', DAY, 1, [1_003, 1_291, 144]],
    ['with steps the shortest lifetime counts, and the longest for the latest renewal', DAY, 2, [779, 1_291, 112]],
    ['one of less than 8 hours has the 5 minutes besides', 2 * HOUR, 1, [82.5, 107.5, 12.5]],
    ['one of a minute is renewed at once', MINUTE, 2, [-0.8, 0.4, 0.6]],
  ];
  for (const [title, lifetimeMs, steps, [from, to, outage]] of outlooks) {
    it(title, () => {
      const found = lifetimeOutlook(lifetimeMs, steps);
      expect(found.renewedFrom / MINUTE).to.be.closeTo(from, 1e-6);
      expect(found.renewedTo / MINUTE).to.be.closeTo(to, 1e-6);
      expect(found.outageMs / MINUTE).to.be.closeTo(outage, 1e-6);
    });
  }

  it('has the renewals of one step end where those of the step before begin', () => {
    const windows = lifetimeSteps(90 * DAY, 4).map(({ lifetimeMs }) => renewalWindow(validityAtZero(lifetimeMs)));
    for (const [index, { from }] of windows.slice(0, -1).entries()) {
      expect(windows[index + 1]?.to).to.be.closeTo(from, 1_000);
    }
  });
});
