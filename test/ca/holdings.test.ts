import { expect } from 'chai';
import { describe, it } from 'mocha';
import { holdingsOf } from '../../src/ca/holdings.ts';
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import type { StoredRecord } from '../../src/nodes/record-format.ts';
import { CLIENT_SIGNER, type Csr, SERVING_SIGNER } from '../../src/ports.ts';

const NOW = 1_000;
type Held = NodeRecord['certificates'][number];
const held = (fingerprint: string, change: Partial<Held> = {}): Held => ({
  fingerprint,
  notAfter: NOW + 10,
  issuedAt: 1,
  issuer: 'old',
  ...change,
});
const record = (node: string, change: Partial<NodeRecord>): [string, StoredRecord] => [
  node,
  { known: true, value: { ...emptyRecord(node), ...change } },
];
const issued = (node: string, fingerprint: string, issuer: string, change: Partial<Csr> = {}): Csr =>
  ({
    signerName: CLIENT_SIGNER,
    createdAt: 5,
    certificate: { commonName: `system:node:${node}`, fingerprint, issuer, notAfter: NOW + 20 },
    ...change,
  }) as Csr;

describe('ca/holdings', () => {
  const holdings = (input: Partial<Parameters<typeof holdingsOf>[0]>): ReturnType<typeof holdingsOf> =>
    holdingsOf({ records: [], csrs: [], nodes: [], now: NOW, ...input });
  const found = (input: Partial<Parameters<typeof holdingsOf>[0]>): string[] =>
    holdings(input).certificates.map(
      ({ node, usage, issuer, replaced }) => `${node} ${usage} ${issuer}${replaced ? ' replaced' : ''}`,
    );

  it('has what is on record, the older client certificate as replaced', () => {
    const certificates = [held('b', { issuedAt: 2, issuer: 'new' }), held('a')];
    const serving = { notAfter: NOW + 5, issuer: 'old', addresses: [] };
    expect(found({ records: [record('w', { certificates, serving })] })).to.deep.equal([
      'w client new',
      'w client old replaced',
      'w serving old',
    ]);
  });

  it('leaves out what has ended', () => {
    const records = [record('w', { certificates: [held('a', { notAfter: NOW })] })];
    expect(found({ records })).to.deep.equal([]);
    expect(holdings({ records, nodes: ['w'] }).unrecorded).to.deep.equal([]);
  });

  it('has what an issued CSR tells before the record does', () => {
    const records = [record('w', { certificates: [held('a')] })];
    expect(found({ records, csrs: [issued('w', 'b', 'new')] })).to.deep.equal([
      'w client old replaced',
      'w client new',
    ]);
    expect(found({ csrs: [issued('x', 'c', 'old', { signerName: SERVING_SIGNER })] })).to.deep.equal(['x serving old']);
  });

  it('has a certificate once that stands in both', () => {
    const records = [record('w', { certificates: [held('a')] })];
    expect(found({ records, csrs: [issued('w', 'a', 'old')] })).to.deep.equal(['w client old']);
  });

  it('takes no certificate of somebody else for that of a node', () => {
    const csr = issued('w', 'a', 'old');
    const other = { ...csr, certificate: { ...csr.certificate, commonName: 'admin' } } as Csr;
    expect(found({ csrs: [other, { ...csr, certificate: undefined }] })).to.deep.equal([]);
  });

  it('names the records that cannot be read, and the Nodes without a certificate on record', () => {
    const records: [string, StoredRecord][] = [['bad', { known: false, why: 'x' }], record('empty', {})];
    const { unreadable, unrecorded } = holdings({ records, nodes: ['bad', 'empty', 'foreign'] });
    expect([unreadable, unrecorded]).to.deep.equal([['bad'], ['empty', 'foreign']]);
  });
});
