import { expect } from 'chai';
import { describe, it } from 'mocha';
import { type FleetInput, type FleetPlan, planFleet, type Usage } from '../../src/nodes/fleet-plan.ts';
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import { lifetimeOfNode, renewalWindow, validityAtZero } from '../../src/pki/lifetimes.ts';

const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 5, 1);

/** Hours from now to the beginning and the end of a certificate. */
type Life = readonly [from: number, to: number];
const at = (hours: number): number => NOW + hours * HOUR;

function record(node: string, client: Life, serving?: Life, change: Partial<NodeRecord> = {}): NodeRecord {
  const validity = ([from, to]: Life): { notBefore: number; notAfter: number } => ({
    notBefore: at(from),
    notAfter: at(to),
  });
  return {
    ...emptyRecord(node),
    certificates: [{ fingerprint: '', issuer: '', issuedAt: at(client[0]), ...validity(client) }],
    serving: serving === undefined ? undefined : { issuer: '', addresses: [], ...validity(serving) },
    ...change,
  };
}

function plan(records: readonly NodeRecord[], change: Partial<FleetInput> = {}): FleetPlan {
  return planFleet({
    now: NOW,
    records,
    isThere: (node) => node !== 'gone',
    lifetimes: { usages: ['client', 'serving'], longest: () => 100 * HOUR, steps: 1 },
    hours: 24,
    joining: { nodes: 0, pool: undefined },
    ...change,
  });
}
const sum = (hours: readonly number[]): number => hours.reduce((total, count) => total + count, 0);

describe('nodes/fleet-plan', () => {
  describe('the certificates of a fleet', () => {
    const ban = { since: 0, reason: '' };
    const oldest = { ...record('old', [0, 1]), certificates: [] };
    const rows: [title: string, records: NodeRecord[], client: object][] = [
      ['without records there is nothing to notice an outage', [], { valid: 0, outageFromNow: undefined }],
      [
        'an outage from now on is noticed at the first end of a certificate',
        [record('a', [-50, 50]), record('b', [-60, 40])],
        { valid: 2, overdue: 0, ended: 0, outageFromNow: { node: 'b', ms: 40 * HOUR } },
      ],
      [
        'one at any time at a tenth of the shortest life',
        [record('a', [-50, 50]), record('b', [-10, 60])],
        { outageAtAnyTime: { node: 'b', ms: 7 * HOUR } },
      ],
      ['at nine tenths of its life a certificate is not overdue', [record('a', [-90, 10])], { overdue: 0 }],
      ['after that it is', [record('a', [-90.001, 9.999])], { overdue: 1, valid: 1 }],
      ['one that ends now has ended', [record('a', [-100, 0])], { valid: 0, ended: 1, outageFromNow: undefined }],
      ['one of a node that is gone is not there', [record('gone', [-50, 50])], { valid: 0, ended: 0 }],
      ['one of a banned node is not there', [record('a', [-50, 50], undefined, { ban })], { valid: 0, ended: 0 }],
      ['a node without a certificate has none', [oldest], { valid: 0, ended: 0 }],
      [
        'of two certificates the newer one counts',
        [
          {
            ...record('a', [-50, 50]),
            certificates: [...record('a', [-10, 90]).certificates, ...record('a', [-80, 20]).certificates],
          },
        ],
        { valid: 1, outageFromNow: { node: 'a', ms: 90 * HOUR } },
      ],
    ];
    for (const [title, records, client] of rows) {
      it(title, () => {
        const [found] = plan(records).certificates;
        expect(found?.usage).to.equal('client');
        for (const [key, value] of Object.entries(client)) {
          const got: unknown = Reflect.get(found ?? {}, key);
          expect(rounded(got), key).to.deep.equal(value);
        }
      });
    }

    it('looks at serving certificates for themselves', () => {
      const { certificates, renewals } = plan([record('a', [-50, 50], [-75, 25])]);
      expect(certificates[1]?.outageFromNow).to.deep.equal({ node: 'a', ms: 25 * HOUR });
      expect(sum(renewals.client)).to.be.closeTo(4 / 20, 1e-6);
      expect(sum(renewals.serving.slice(0, 15))).to.be.closeTo(1, 1e-6);
    });

    it('leaves out serving certificates where none are signed', () => {
      const lifetimes = { usages: ['client'] as Usage[], longest: () => HOUR, steps: 1 };
      const { certificates, renewals } = plan([record('a', [-50, 50], [-75, 25])], { lifetimes });
      expect(certificates.map(({ usage }) => usage)).to.deep.equal(['client']);
      expect(sum(renewals.serving)).to.equal(0);
    });

    it('counts the nodes that it counts, the banned ones and those that are gone', () => {
      const records = [record('a', [0, 1]), record('b', [0, 1], undefined, { ban }), record('gone', [0, 1])];
      expect(plan(records).nodes).to.deep.equal({ counted: 1, banned: 1, gone: 1 });
    });
  });

  describe('where a record does not say when a certificate began', () => {
    const without = { notBefore: undefined };

    it('takes the time of its CSR', () => {
      const known = record('a', [-75, 25]);
      const old = { ...known, certificates: known.certificates.map((each) => ({ ...each, ...without })) };
      expect(plan([old])).to.deep.equal(plan([known]));
    });

    it('takes the lifetime in force for a serving certificate, which has no such time', () => {
      const known = record('a', [0, 1000], [-75, 25]);
      const old = { ...known, serving: { issuer: '', addresses: [], notAfter: at(25), ...without } };
      expect(plan([old])).to.deep.equal(plan([known]));
    });
  });

  it('renews with the lifetime of the pool that the node joined by, and its step', () => {
    const token = { id: 'abcdef', pool: 'short', key: '', usedAt: 0, seenAt: undefined };
    const longest = (_: Usage, pool: string | undefined): number => (pool === 'short' ? 10 : 100) * HOUR;
    const lifetimes = { usages: ['client'] as Usage[], longest, steps: 1 };
    const due: Life = [-100, 0.01];
    expect(sum(plan([record('a', due)], { lifetimes, hours: 48 }).renewals.client)).to.be.closeTo(1, 1e-6);
    const often = sum(plan([record('a', due, undefined, { token })], { lifetimes, hours: 48 }).renewals.client);
    expect(often).to.be.closeTo(6.5, 0.5);
  });

  it('costs less than a second for 10,000 nodes with two certificates each, a week ahead', () => {
    const records = Array.from({ length: 10_000 }, (_, index) =>
      record(`worker-${index}`, [-(index % 90), 100 - (index % 90)], [-(index % 50), 100 - (index % 50)]),
    );
    const before = process.cpuUsage();
    const { renewals } = plan(records, { hours: 168 });
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).to.be.lessThan(1);
    expect(sum(renewals.client)).to.be.greaterThan(10_000);
  });

  describe('after 10,000 nodes joined at once, with 24 hours', () => {
    const HOURS = 5 * 24;
    const WORST: [steps: number, first: number, worst: number][] = [
      [1, 2_083, 2_083],
      [2, 1_172, 1_525],
    ];
    for (const [steps, first, worst] of WORST) {
      const lifetimes = { usages: ['client'] as Usage[], longest: () => 24 * HOUR, steps };
      const joining = { nodes: 10_000, pool: undefined };
      const expected = plan([], { lifetimes, joining, hours: HOURS }).renewals.joining;

      it(`plans ${first} renewals in the highest hour of the first round and ${worst} in the highest of all with ${steps} step(s)`, () => {
        expect(Math.max(...expected.slice(0, 22))).to.be.closeTo(first, 1);
        expect(Math.max(...expected)).to.be.closeTo(worst, 1);
      });

      it(`and 10,000 kubelets that draw their moments renew so, with ${steps} step(s)`, () => {
        const drawn = drawRenewals(steps, HOURS);
        for (const [hour, count] of drawn.entries()) {
          // Five times the spread of a count of independent nodes: one run in thousands would leave it, and the lots are fixed.
          const margin = 5 * Math.sqrt((expected[hour] ?? 0) + 1) + 0.01 * (expected[hour] ?? 0);
          expect(count, `hour ${hour}`).to.be.closeTo(expected[hour] ?? 0, margin);
        }
      });
    }
  });
});

/** Without the noise of binary fractions. */
function rounded(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('ms' in value)) return value;
  return { ...value, ms: Math.round(Number(value.ms)) };
}

/** How many of 10,000 nodes by name renew in each hour, drawing as kubelets do. The same in each run. */
function drawRenewals(steps: number, hours: number): number[] {
  const counts = Array.from({ length: hours }, () => 0);
  let seed = 20_260_601;
  const draw = (): number => {
    // mulberry32
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  for (let index = 0; index < 10_000; index += 1) {
    const { from, to } = renewalWindow(validityAtZero(lifetimeOfNode(`worker-${index}`, 24 * HOUR, steps)));
    for (let time = 0; time < hours * HOUR;) {
      time += from + (to - from) * draw();
      const hour = Math.floor(time / HOUR);
      if (hour < hours) counts[hour] = (counts[hour] ?? 0) + 1;
    }
  }
  return counts;
}
