import { expect } from 'chai';
import { describe, it } from 'mocha';
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import {
  isOwnRequest,
  type IssuedRequest,
  withClientCertificate,
  withServingCertificate,
  withSight,
} from '../../src/nodes/record-changes.ts';

const NODE = 'worker-1';
const DAY = 86_400_000;

function issued(number: number, by: 'token' | 'pool' | 'node', change: Partial<IssuedRequest> = {}): IssuedRequest {
  const groups = by === 'pool' ? ['system:bootstrappers:pool:workers'] : ['system:bootstrappers:node:worker-1'];
  return {
    createdAt: number,
    requester: { username: by === 'node' ? `system:node:${NODE}` : 'system:bootstrap:abcdef', groups },
    certificate: {
      fingerprint: String(number).padStart(64, '0'),
      key: `key-${number}`,
      commonName: `system:node:${NODE}`,
      serial: '01',
      notBefore: number,
      notAfter: number + DAY,
      issuer: 'ca',
      addresses: [],
    },
    presented: undefined,
    vouched: undefined,
    ...change,
  };
}
const after = (...requests: readonly IssuedRequest[]): NodeRecord =>
  requests.reduce(withClientCertificate, emptyRecord(NODE));
const print = (number: number): string => String(number).padStart(64, '0');
const ends = (record: NodeRecord): number[] => record.certificates.map(({ issuedAt }) => issuedAt);

describe('nodes/record-changes', () => {
  it('puts token, pool, key and addresses of a first certificate on record', () => {
    const record = after(issued(1, 'pool', { vouched: ['10.0.0.1'] }));
    expect(record.token).to.deep.equal({ id: 'abcdef', pool: 'workers', key: 'key-1', usedAt: 1, seenAt: undefined });
    expect(record).to.deep.include({ addresses: ['10.0.0.1'], adopted: false });
    expect(record.certificates).to.deep.equal([
      { fingerprint: print(1), notBefore: 1, notAfter: 1 + DAY, issuedAt: 1, issuer: 'ca' },
    ]);
    expect(after(issued(1, 'token')).token?.pool).to.equal(undefined);
  });

  it('notes that the node was let in by a release, while that was in force', () => {
    const released = (until: number): NodeRecord => ({ ...emptyRecord(NODE), release: { until } });
    expect(withClientCertificate(released(2), issued(1, 'token')).token?.released).to.equal(true);
    expect(withClientCertificate(released(1), issued(1, 'token')).token).to.not.have.property('released');
  });

  it('keeps the two newest certificates, newest first', () => {
    expect(ends(after(issued(1, 'token'), issued(2, 'node'), issued(3, 'node')))).to.deep.equal([3, 2]);
  });

  it('keeps the certificate that the newest was asked for with, however old: replies get lost', () => {
    const again = (number: number): IssuedRequest => issued(number, 'node', { presented: print(1) });
    const record = after(issued(1, 'token'), again(2), again(3), again(4));
    expect(ends(record)).to.deep.equal([4, 3, 1]);
    expect(ends(withClientCertificate(record, issued(5, 'node', { presented: print(4) })))).to.deep.equal([5, 4]);
  });

  for (const [what, username, group, own] of [
    ['the node itself', `system:node:${NODE}`, '', true],
    ['another node', 'system:node:worker-2', '', false],
    ['a token for the node', 'system:bootstrap:abcdef', 'system:bootstrappers:node:worker-1', true],
    ['a token for another', 'system:bootstrap:abcdef', 'system:bootstrappers:node:worker-2', false],
    ['a token of a pool', 'system:bootstrap:abcdef', 'system:bootstrappers:pool:workers', true],
    ['a token without a binding', 'system:bootstrap:abcdef', 'system:bootstrappers:kubeadm', true],
    ['an admin', 'jane', '', false],
  ] as const) {
    it(`takes a certificate that was asked for by ${what} ${own ? 'for' : 'not for'} the node's own`, () => {
      expect(isOwnRequest(NODE, { username, groups: [group] })).to.equal(own);
    });
  }

  it('comes to the same in whatever order, and how often, it is told', () => {
    const all = [issued(1, 'token'), issued(2, 'node'), issued(3, 'node')];
    const [first, second, third] = all as [IssuedRequest, IssuedRequest, IssuedRequest];
    const orders = [all, [third, second, first], [second, first, third], [first, first, second, third, first, third]];
    for (const order of orders) {
      expect(ends(after(...order))).to.deep.equal([3, 2]);
    }
    expect(after(first, second)).to.deep.equal(after(second, first));
  });

  it('is the very same record when it was told before', () => {
    const record = after(issued(1, 'token'), issued(2, 'node'));
    expect(withClientCertificate(record, issued(1, 'token'))).to.equal(record);
    expect(withClientCertificate(record, issued(2, 'node'))).to.equal(record);
    const later = after(issued(1, 'token'), issued(2, 'node'), issued(3, 'node'));
    expect(withClientCertificate(later, issued(1, 'token'))).to.equal(later);
  });

  it('adopts a node whose first record is a renewal, until it bootstraps anew', () => {
    expect(after(issued(1, 'node')).adopted).to.equal(true);
    expect(after(issued(1, 'node'), issued(2, 'node')).adopted).to.equal(true);
    expect(after(issued(1, 'token'), issued(2, 'node')).adopted).to.equal(false);
    expect(after(issued(1, 'node'), issued(2, 'token')).adopted).to.equal(false);
  });

  it('remembers when the node was seen with what it got for its token, once', () => {
    const record = after(issued(1, 'token'));
    const seen = withSight(record, print(1), 5);
    expect(seen.token?.seenAt).to.equal(5);
    expect(withSight(seen, print(1), 6)).to.equal(seen);
    expect(withSight(record, print(2), 5)).to.equal(record);
    expect(withSight(after(issued(1, 'node')), print(1), 5).token).to.equal(undefined);
  });

  it('does not take the certificate from before for that of the new token', () => {
    const again = after(issued(1, 'node'), issued(2, 'token'));
    expect(withSight(again, print(1), 5)).to.equal(again);
    expect(withSight(again, print(2), 5).token?.seenAt).to.equal(5);
  });

  it('keeps what was seen when the CSR of the first certificate is told again after a restart', () => {
    const seen = withSight(after(issued(1, 'token'), issued(2, 'node'), issued(3, 'node')), print(3), 9);
    expect(withClientCertificate(seen, issued(1, 'token'))).to.equal(seen);
  });

  it('counts a second use of the token by the same node as a new one', () => {
    const seen = withSight(after(issued(1, 'token')), print(1), 5);
    expect(withClientCertificate(seen, issued(7, 'token')).token).to.include({
      usedAt: 7,
      key: 'key-7',
      seenAt: undefined,
    });
  });

  it('remembers the addresses of the serving certificate that lasts longest', () => {
    const serving = (number: number, address: string): IssuedRequest => {
      const request = issued(number, 'node');
      return { ...request, certificate: { ...request.certificate, addresses: [address] } };
    };
    const record = withServingCertificate(emptyRecord(NODE), serving(2, '10.0.0.2'));
    expect(record.serving).to.deep.equal({ notBefore: 2, notAfter: 2 + DAY, issuer: 'ca', addresses: ['10.0.0.2'] });
    expect(withServingCertificate(record, serving(1, '10.0.0.1'))).to.equal(record);
    expect(withServingCertificate(record, serving(3, '10.0.0.3')).serving?.addresses).to.deep.equal(['10.0.0.3']);
  });
});
