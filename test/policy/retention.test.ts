import { expect } from 'chai';
import { describe, it } from 'mocha';
import { CSR_STATES, type CsrState, hasCondition, stateOf } from '../../src/policy/csr-state.ts';
import { type RetentionClass, retentionOf, type RetentionWindows } from '../../src/policy/retention.ts';
import type { Condition, Csr } from '../../src/ports.ts';
import { certificateUntil, goodCsr, NOW } from './good-request.ts';

const HOUR = 3_600_000;
const WINDOWS: RetentionWindows = {
  issued: HOUR,
  denied: 2 * HOUR,
  failed: 3 * HOUR,
  pending: 24 * HOUR,
  approvedUnissued: 25 * HOUR,
  superseded: 4 * HOUR,
};
const CREATED = NOW - 1000;
const SETTLED = NOW;
const LATER = NOW + 1000 * HOUR;

function condition(type: string, lastUpdateTime: number | undefined, status = 'True'): Condition {
  return { type, status, reason: '', message: '', lastUpdateTime, lastTransitionTime: lastUpdateTime };
}

function csrOf(types: readonly string[], change: Partial<Csr> = {}, at: number | undefined = SETTLED): Csr {
  const conditions = types.map((type) => condition(type, at));
  return goodCsr('renewal', { csr: { createdAt: CREATED, conditions, ...change } });
}

const ISSUED: Partial<Csr> = { issued: true, certificate: certificateUntil(LATER) };

type Row = readonly [sentence: string, csr: Csr, kept: RetentionClass, until: number, superseded?: boolean];

const ROWS: readonly Row[] = [
  ['issued: from its approval', csrOf(['Approved'], ISSUED), 'issued', SETTLED + HOUR],
  ['denied: from its denial', csrOf(['Denied']), 'denied', SETTLED + 2 * HOUR],
  ['failed: from its failure', csrOf(['Failed']), 'failed', SETTLED + 3 * HOUR],
  ['failed after approval: failed', csrOf(['Approved', 'Failed']), 'failed', SETTLED + 3 * HOUR],
  ['pending: from its creation', csrOf([]), 'pending', CREATED + 24 * HOUR],
  ['pending with a condition of another type: pending all the same', csrOf(['Custom']), 'pending', CREATED + 24 * HOUR],
  ['approved and not issued: from its approval', csrOf(['Approved']), 'approvedUnissued', SETTLED + 25 * HOUR],
  ['superseded while pending: from its creation', csrOf([]), 'superseded', CREATED + 4 * HOUR, true],
  ['superseded and approved: from its approval', csrOf(['Approved']), 'superseded', SETTLED + 4 * HOUR, true],
  ['superseded and yet issued: as issued', csrOf(['Approved'], ISSUED), 'issued', SETTLED + HOUR, true],
  [
    'issued with a certificate that expires before: at its end',
    csrOf(['Approved'], { issued: true, certificate: certificateUntil(SETTLED + HOUR - 1) }),
    'expiredCertificate',
    SETTLED + HOUR - 1,
  ],
  [
    'issued with a certificate that expires at the same time: as issued',
    csrOf(['Approved'], { issued: true, certificate: certificateUntil(SETTLED + HOUR) }),
    'issued',
    SETTLED + HOUR,
  ],
  [
    'issued with an unreadable certificate: as issued',
    csrOf(['Approved'], { issued: true, certificate: undefined }),
    'issued',
    SETTLED + HOUR,
  ],
  [
    'denied, with an end of a certificate that is not there: as denied',
    csrOf(['Denied'], { certificate: certificateUntil(0) }),
    'denied',
    SETTLED + 2 * HOUR,
  ],
  [
    'a condition without a time: from the creation',
    goodCsr('renewal', { csr: { createdAt: CREATED, conditions: [condition('Denied', undefined)] } }),
    'denied',
    CREATED + 2 * HOUR,
  ],
];

/** Times that an approver may write to have a CSR removed at once or never. */
const FORGED: readonly (readonly [string, number])[] = [
  ['of 2020', Date.UTC(2020, 0, 1)],
  ['of a millisecond before the creation', CREATED - 1],
  ['of a millisecond after now', NOW + 1],
  ['of the year 2100', Date.UTC(2100, 0, 1)],
  ['that is no number', Number.NaN],
];

describe('policy/retention', () => {
  for (const [sentence, csr, kept, until, superseded = false] of ROWS) {
    it(sentence, () => {
      expect(retentionOf(csr, NOW, WINDOWS, superseded)).to.deep.equal({ class: kept, until });
    });
  }

  for (const [which, time] of FORGED) {
    it(`a condition time ${which} counts for nothing: the age runs from the creation`, () => {
      for (const [type, kept, window] of [
        ['Approved', 'approvedUnissued', 25 * HOUR],
        ['Denied', 'denied', 2 * HOUR],
        ['Failed', 'failed', 3 * HOUR],
      ] as const) {
        expect(retentionOf(csrOf([type], {}, time), NOW, WINDOWS, false)).to.deep.equal({
          class: kept,
          until: CREATED + window,
        });
      }
    });
  }

  it('takes the times of creation and of now as they stand', () => {
    for (const time of [CREATED, NOW]) {
      expect(retentionOf(csrOf(['Denied'], {}, time), NOW, WINDOWS, false).until).to.equal(time + 2 * HOUR);
    }
  });

  it('says the same as time goes by: each stays at exactly its age and goes a millisecond later', () => {
    for (const [sentence, csr, kept, until, superseded = false] of ROWS) {
      for (const now of [until, until + 1]) {
        const retention = retentionOf(csr, now, WINDOWS, superseded);
        expect(retention.class, sentence).to.equal(kept);
        expect(now > retention.until, sentence).to.equal(now === until + 1);
      }
    }
  });
});

describe('policy/csr-state', () => {
  const STATES: readonly (readonly [string, readonly string[], boolean, CsrState])[] = [
    ['nothing', [], false, 'pending'],
    ['a condition of another type', ['Custom'], false, 'pending'],
    ['Approved', ['Approved'], false, 'approved'],
    ['Denied', ['Denied'], false, 'denied'],
    ['Failed', ['Failed'], false, 'failed'],
    ['Approved and Failed', ['Approved', 'Failed'], false, 'failed'],
    ['Denied and Failed', ['Denied', 'Failed'], false, 'denied'],
    ['Approved and a certificate', ['Approved'], true, 'issued'],
    ['Failed and a certificate', ['Approved', 'Failed'], true, 'issued'],
    ['a certificate alone', [], true, 'issued'],
  ];
  for (const [sentence, types, issued, state] of STATES) {
    it(`${sentence}: ${state}`, () => {
      expect(stateOf(csrOf(types, { issued }))).to.equal(state);
    });
  }

  it('has a row for every state', () => {
    expect([...new Set(STATES.map(([, , , state]) => state))].sort()).to.deep.equal(CSR_STATES.toSorted());
  });

  it('goes by status True alone', () => {
    const csr = goodCsr('renewal', { csr: { conditions: [condition('Denied', NOW, 'False')] } });
    expect(hasCondition(csr, 'Denied')).to.equal(false);
    expect(stateOf(csr)).to.equal('pending');
  });
});
