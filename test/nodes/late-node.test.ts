import { expect } from 'chai';
import { describe, it } from 'mocha';
import { isLate } from '../../src/nodes/late-node.ts';
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';

const HOUR = 3_600_000;
const ISSUED = Date.UTC(2026, 5, 1);
const WITHIN = 24 * HOUR;

const certificate = (issuedAt: number, hours: number): NodeRecord['certificates'][number] => ({
  fingerprint: '',
  issuer: '',
  issuedAt,
  notAfter: issuedAt + hours * HOUR,
});
const node = (change: Partial<NodeRecord> = {}): NodeRecord => ({
  ...emptyRecord('worker-1'),
  certificates: [certificate(ISSUED, 100)],
  ...change,
});

describe('isLate', () => {
  const rows: [title: string, record: NodeRecord, hours: number, late: boolean][] = [
    ['a new certificate is not late', node(), 0, false],
    ['at nine tenths of its life, when the last kubelets renew, it is not late', node(), 90, false],
    ['just before the last twentieth it is not late', node(), 94.99, false],
    ['in the last twentieth of its life it is late', node(), 95, true],
    ['at its end it is late', node(), 100, true],
    ['just before it is waited for no longer, it is late', node(), 123.99, true],
    ['after that it is not', node(), 124, false],
    ['a banned node is out, not late', node({ ban: { since: 0, reason: '' } }), 100, false],
    ['a node without a certificate is not late', node({ certificates: [] }), 100, false],
    [
      'with a newer certificate it is not late',
      node({ certificates: [certificate(ISSUED + 70 * HOUR, 100), certificate(ISSUED, 100)] }),
      100,
      false,
    ],
    [
      'in whatever order they stand',
      node({ certificates: [certificate(ISSUED, 100), certificate(ISSUED + 70 * HOUR, 100)] }),
      100,
      false,
    ],
  ];
  for (const [title, record, hours, late] of rows) {
    it(title, () => {
      expect(isLate(record, ISSUED + hours * HOUR, WITHIN)).to.equal(late);
    });
  }
});
