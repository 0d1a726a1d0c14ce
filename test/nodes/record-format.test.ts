import { expect } from 'chai';
import { describe, it } from 'mocha';
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import {
  banChange,
  claimsMapOf,
  formatClaim,
  formatRecord,
  isShard,
  readClaims,
  readShard,
  releaseChange,
  shardOf,
  tokenOfClaimsMap,
} from '../../src/nodes/record-format.ts';

const FULL: NodeRecord = {
  node: 'worker-1.example.org',
  token: { id: 'abcdef', pool: 'workers', key: 'b'.repeat(64), usedAt: 1, seenAt: 2 },
  certificates: [
    { fingerprint: 'c'.repeat(64), notBefore: 1, notAfter: 3, issuedAt: 2, issuer: 'd'.repeat(40) },
    { fingerprint: 'e'.repeat(64), notAfter: 2, issuedAt: 1, issuer: '' },
  ],
  serving: { notBefore: 4, notAfter: 5, issuer: 'd'.repeat(40), addresses: ['10.0.0.1', 'fd00:0:0:0:0:0:0:1'] },
  addresses: ['10.0.0.1'],
  adopted: false,
  ban: undefined,
  release: undefined,
};
const KiB = 1024;

function dataOf(...records: readonly NodeRecord[]): Record<string, string> {
  return Object.fromEntries(records.map((record) => [record.node, formatRecord(record)]));
}

describe('nodes/record-format', () => {
  it('reads back what it writes, and nothing of a node that is not there', () => {
    const shard = readShard(dataOf(FULL, emptyRecord('b')));
    expect(shard.get(FULL.node)).to.deep.equal({ known: true, value: FULL });
    expect(shard.get('b')).to.deep.equal({ known: true, value: emptyRecord('b') });
    expect(shard.size).to.equal(2);
  });

  it('keeps bans and releases beside the record, also of a node without one', () => {
    const ban = { since: 7, reason: 'stolen' };
    const marks = { ...banChange('b', ban), ...releaseChange('b', { until: 8 }) } as Record<string, string>;
    const shard = readShard({ ...marks, ...dataOf(FULL) });
    expect(shard.get('b')).to.deep.equal({ known: true, value: { ...emptyRecord('b'), ban, release: { until: 8 } } });
    expect(banChange('b', undefined)).to.deep.equal({ b_b: null });
    expect(releaseChange('b', undefined)).to.deep.equal({ b_r: null });
    expect(formatRecord({ ...FULL, ban, release: { until: 8 } })).to.equal(formatRecord(FULL));
  });

  for (const [what, key, text] of [
    ['no JSON', 'a', '{'],
    ['null', 'a', 'null'],
    ['a certificate without an end', 'a', formatRecord(FULL).replace('"notAfter":3,', '')],
    ['a certificate list that is none', 'a', formatRecord({ ...FULL, certificates: [] }).replace('[]', '{}')],
    ['a token without an ID', 'a', formatRecord(FULL).replace('"id":"abcdef",', '')],
    ['a time that is no number', 'a', formatRecord(FULL).replace('"usedAt":1', '"usedAt":"1"')],
    ['an address that is no text', 'a', formatRecord(FULL).replace('["10.0.0.1"]', '[10]')],
    ['a ban without a time', 'a_b', '{"reason":"x"}'],
    ['a ban that is no JSON', 'a_b', 'yes'],
    ['a release without an end', 'a_r', '{}'],
  ] as const) {
    it(`takes a record for unreadable that is ${what}, and no other`, () => {
      const shard = readShard({ ...dataOf(FULL, emptyRecord('a')), [key]: text });
      expect(shard.get('a')).to.include({ known: false }).and.have.property('why').that.includes('record of a');
      expect(shard.get(FULL.node)).to.include({ known: true });
    });
  }

  it('ignores keys that are of no node', () => {
    expect(readShard({ 'A-1': '{', _b: '{', a_b_c: '{' }).size).to.equal(0);
  });

  it('fits the longest name with its marks into the key of a ConfigMap', () => {
    const node = 'a'.repeat(251);
    for (const change of [banChange(node, undefined), releaseChange(node, undefined)]) {
      expect(Object.keys(change)[0]?.length).to.be.at.most(253);
    }
  });

  it('finds the shard of a node again, and tells shards from claims', () => {
    expect(shardOf('a'))
      .to.equal(shardOf('a'))
      .and.match(/^node-records-[0-3][0-9a-f]$/);
    expect(isShard(shardOf('a'))).to.equal(true);
    expect(isShard(claimsMapOf('abcdef'))).to.equal(false);
    expect(tokenOfClaimsMap(claimsMapOf('abcdef'))).to.equal('abcdef');
    expect(tokenOfClaimsMap(shardOf('a'))).to.equal(undefined);
  });

  it('fits 10,000 nodes with long names and two certificates into its shards', () => {
    const sizes = new Map<string, number>();
    for (let number = 0; number < 10_000; number += 1) {
      const node = `ip-10-${number >> 8}-${number & 255}-worker.eu-central-1.compute.internal.example.com`;
      const size = node.length + formatRecord({ ...FULL, node }).length;
      sizes.set(shardOf(node), (sizes.get(shardOf(node)) ?? 0) + size);
    }
    expect(sizes.size).to.equal(64);
    expect(Math.max(...sizes.values())).to.be.below(256 * KiB);
  });

  it('counts a claim that it cannot read', () => {
    const claims = readClaims({ a: formatClaim({ node: 'a', key: 'k', at: 3 }), b: '{' });
    expect([...claims.values()]).to.deep.equal([
      { node: 'a', key: 'k', at: 3 },
      { node: 'b', key: '', at: 0 },
    ]);
  });
});
