import { expect } from 'chai';
import { describe, it } from 'mocha';
import { reviewForSigning } from '../../src/policy/review.ts';
import { CLIENT_SIGNER } from '../../src/ports.ts';
import type { RequestPath } from '../../src/policy/verdict.ts';
import { type Change, codesOf, NODE, ruleInput } from './good-request.ts';
import { onRecord } from './node-rows.ts';

const ban = { since: 0, reason: 'stolen' };
const ROWS: readonly (readonly [string, RequestPath, Change, readonly string[]])[] = [
  ['signs a first certificate', 'bootstrap', {}, []],
  ['signs a renewal', 'renewal', {}, []],
  ['signs a serving certificate', 'serving', {}, []],
  ['signs what an admin asked for', 'other', { csr: { signerName: CLIENT_SIGNER } }, []],
  ['signs for a node that the token is not bound to', 'bootstrap', { parts: { commonName: 'system:node:b' } }, []],
  ['signs a serving certificate for whatever address was approved', 'serving', { parts: { ips: ['203.0.113.1'] } }, []],
  [
    'refuses a foreign organisation',
    'bootstrap',
    { parts: { organization: 'system:masters' } },
    ['OrganizationNotSystemNodes'],
  ],
  ['refuses a common name that is no node', 'bootstrap', { parts: { commonName: 'admin' } }, ['CommonNameNotNode']],
  ['refuses a name in a client certificate', 'renewal', { parts: { dns: [NODE] } }, ['SanNotAllowed']],
  ['refuses a serving certificate without a name', 'serving', { parts: { dns: [], ips: [] } }, ['SanMissing']],
  [
    'refuses one usage too many',
    'bootstrap',
    { csr: { usages: ['digital signature', 'client auth', 'cert sign'] } },
    ['UsagesNotExact'],
  ],
  [
    'refuses client auth in a serving certificate',
    'serving',
    { csr: { usages: ['digital signature', 'client auth'] } },
    ['UsagesNotExact'],
  ],
  [
    'refuses a second more than may be asked for',
    'bootstrap',
    { csr: { expirationSeconds: 86_401 } },
    ['DurationTooLong'],
  ],
  ['leaves a node that is banned', 'renewal', { facts: onRecord({ ban }) }, ['NodeBanned']],
  ['leaves a first certificate for it', 'bootstrap', { facts: onRecord({ ban }) }, ['NodeBanned']],
  ['leaves a serving certificate for it', 'serving', { facts: onRecord({ ban }) }, ['NodeBanned']],
  [
    'leaves a node whose record is unknown',
    'renewal',
    { facts: { record: { known: false, why: 'x' } } },
    ['FactUnavailable'],
  ],
  ['leaves what it cannot write to', 'bootstrap', { csr: { hasLargeMetadata: true } }, ['MetadataTooLarge']],
  ['refuses bytes that are no CSR', 'bootstrap', { request: Buffer.from('x') }, ['PemMalformed']],
];

describe('policy/review: where others approve', () => {
  for (const [sentence, path, change, codes] of ROWS) {
    it(sentence, () => {
      const verdict = reviewForSigning(ruleInput(path, change));
      expect(codesOf(verdict)).to.deep.equal(codes);
      expect(verdict.kind).to.equal(codes.length === 0 ? 'approve' : 'wait');
    });
  }
});
