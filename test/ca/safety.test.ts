import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  againstCancelling,
  againstFinishing,
  againstPreparing,
  againstSigning,
  type Objection,
  safeFrom,
} from '../../src/ca/safety.ts';
import { DAY, NEW, NOW, OLD, type Scene, standing, UNKNOWN, UNTRUSTED } from './rotation-scene.ts';

const codes = (objections: readonly Objection[]): string[] => objections.map(({ code }) => code);
type Rows = readonly (readonly [string, Scene, readonly string[]])[];

describe('ca/safety', () => {
  const FINISHING: Rows = [
    ['nobody holds a certificate of the previous CA', {}, []],
    ['everybody holds one of the new', { held: [{ issuer: NEW }] }, []],
    ['certificates of some other CA are nobody’s concern here', { held: [{ issuer: 'cc' }] }, []],
    ['a node holds one of the previous CA', { held: [{}] }, ['StillHeld']],
    [
      'a replaced one has not ended: perhaps the node never got the new one',
      { held: [{ replaced: true }] },
      ['StillHeld'],
    ],
    ['a serving certificate counts as well', { held: [{ usage: 'serving' }] }, ['StillHeld']],
    ['a certificate may be of either CA', { held: [{ issuer: '' }] }, ['IssuerNotKnown']],
    ['a CA without a key identifier', { old: { keyId: '' }, held: [{ issuer: '' }] }, ['StillHeld']],
    ['a record cannot be read', { unreadable: ['worker-9'] }, ['RecordUnreadable']],
    ['a Node has no certificate on record', { unrecorded: ['worker-8'] }, ['NodeNotOnRecord']],
    ['the new CA is not trusted', { fresh: UNTRUSTED }, ['SigningNotTrusted']],
    ['who is trusted is not known', { fresh: UNKNOWN }, ['TrustNotKnown']],
    ['the API server distrusts the previous one already', { old: UNTRUSTED }, []],
    ['the same key under another name', { fresh: { keyId: OLD }, held: [{}] }, ['KeyUnderOtherName']],
    ['the same name and key: what was signed stays good', { old: { isSameAsSigning: true }, held: [{}] }, []],
    ['the next one does not sign yet', { stage: 'next' }, ['NoPrevious']],
    ['there is no rotation', { stage: 'alone' }, ['NoPrevious']],
    ['the previous one cannot be read', { unusable: [{ role: 'previous', why: 'gone' }] }, ['PreviousNotReadable']],
    ['the one that signs cannot be used', { unusable: [{ role: 'signing', why: 'gone' }] }, ['NextNotUsable']],
    [
      'everything at once',
      { fresh: UNTRUSTED, held: [{}, { issuer: '' }], unreadable: ['a'], unrecorded: ['b'] },
      ['SigningNotTrusted', 'StillHeld', 'IssuerNotKnown', 'RecordUnreadable', 'NodeNotOnRecord'],
    ],
  ];
  for (const [name, scene, expected] of FINISHING) {
    it(`${expected.length === 0 ? 'lets' : 'does not let'} the previous CA be dropped: ${name}`, () => {
      expect(codes(againstFinishing(standing(scene)))).to.deep.equal(expected);
    });
  }

  const SIGNING: Rows = [
    ['the API server trusts it', { stage: 'next' }, []],
    ['it has a time already, which may be another', { stage: 'next', from: NOW + DAY }, []],
    ['the API server does not trust it', { stage: 'next', fresh: UNTRUSTED }, ['NextNotTrusted']],
    ['whether it does is not known', { stage: 'next', fresh: UNKNOWN }, ['TrustNotKnown']],
    ['it is not valid yet', { stage: 'next', fresh: { notBefore: NOW + 1 } }, ['NextNotValidThen']],
    ['it is over by then', { stage: 'next', fresh: { notAfter: NOW } }, ['NextNotValidThen']],
    ['the one that signs has ended before', { stage: 'next', old: { notAfter: NOW - 1 } }, []],
    ['it cannot be used', { stage: 'next', unusable: [{ role: 'next', why: 'no fit' }] }, ['NextNotUsable']],
    ['there is none', { stage: 'alone' }, ['NoNext']],
    ['it signs already', { stage: 'begun' }, ['NoNext']],
  ];
  for (const [name, scene, expected] of SIGNING) {
    it(`${expected.length === 0 ? 'lets' : 'does not let'} the next CA sign: ${name}`, () => {
      expect(codes(againstSigning(standing(scene), NOW))).to.deep.equal(expected);
    });
  }

  it('does not let the next CA sign so late that nothing can be signed in between', () => {
    const scene = standing({ stage: 'next', old: { notAfter: NOW + DAY } });
    expect(codes(againstSigning(scene, NOW + DAY))).to.deep.equal([]);
    expect(codes(againstSigning(scene, NOW + DAY + 1))).to.deep.equal(['SigningEndsBefore']);
  });

  const CANCELLING: Rows = [
    ['the next one has not signed', { stage: 'next' }, []],
    ['the next one cannot be used anyhow', { stage: 'next', unusable: [{ role: 'next', why: 'no fit' }] }, []],
    ['it signs, and nobody has a certificate of it', {}, []],
    ['it signs, and somebody has', { held: [{ issuer: NEW }] }, ['StillHeld']],
    ['the one to go back to is not trusted any more', { old: UNTRUSTED }, ['SigningNotTrusted']],
    ['the one to go back to is not there', { unusable: [{ role: 'previous', why: 'x' }] }, ['PreviousNotReadable']],
    ['there is nothing to cancel', { stage: 'alone' }, ['NoNext']],
  ];
  for (const [name, scene, expected] of CANCELLING) {
    it(`${expected.length === 0 ? 'lets' : 'does not let'} the rotation be cancelled: ${name}`, () => {
      expect(codes(againstCancelling(standing(scene)))).to.deep.equal(expected);
    });
  }

  it('lets a rotation begin only where there is none', () => {
    expect(codes(againstPreparing(standing({ stage: 'alone' })))).to.deep.equal([]);
    for (const stage of ['next', 'begun'] as const) {
      expect(codes(againstPreparing(standing({ stage })))).to.deep.equal(['NextIsThere']);
    }
  });

  it('says from when on it is safe, as far as it is a matter of time', () => {
    const held = [{ notAfter: NOW + 5 }, { notAfter: NOW + 9, issuer: '' }, { notAfter: NOW + 99, issuer: NEW }];
    expect(safeFrom(standing({}))).to.equal(NOW);
    expect(safeFrom(standing({ held }))).to.equal(NOW + 9);
    expect(safeFrom(standing({ held, unreadable: ['worker-9'] }))).to.equal(undefined);
    expect(safeFrom(standing({ stage: 'next', held }))).to.equal(undefined);
  });

  it('names who holds certificates, and how many of them have newer ones', () => {
    const held = ['d', 'c', 'b', 'a'].map((node) => ({ node, replaced: node > 'b' }));
    const [objection] = againstFinishing(standing({ held }));
    expect(objection?.message).to.equal(
      '4 nodes hold certificates (a, b, c and 1 more), 2 of them replaced by newer ones, ' +
        `the last until 2026-06-02T00:00:00.000Z, of "CN=aa" (${OLD.slice(0, 16)})`,
    );
  });
});
