import { expect } from 'chai';
import { describe, it } from 'mocha';
import { nextStep, type Step } from '../../src/ca/next-step.ts';
import { DAY, NOW, type Scene, standing, UNKNOWN, UNTRUSTED } from './rotation-scene.ts';

describe('ca/next-step', () => {
  const ROWS: readonly (readonly [string, Scene, Step])[] = [
    ['one CA that lasts', { stage: 'alone' }, 'Rest'],
    ['one that ends within 30 days', { stage: 'alone', old: { notAfter: NOW + 30 * DAY } }, 'Begin'],
    ['one whose copy at the API server ends', { stage: 'alone', old: { trustedUntil: NOW + DAY } }, 'RenewTrust'],
    ['one that the API server does not trust', { stage: 'alone', old: UNTRUSTED }, 'TrustSigning'],
    ['one that cannot be used', { stage: 'alone', unusable: [{ role: 'signing', why: 'x' }] }, 'MendCa'],
    ['one, and nobody knows who is trusted', { stage: 'alone', old: UNKNOWN }, 'SeeTrust'],
    ['a next one that is not trusted', { stage: 'next', fresh: UNTRUSTED }, 'Trust'],
    ['the same with a time', { stage: 'next', from: NOW + DAY, fresh: UNTRUSTED }, 'TrustBeforeTime'],
    ['a next one that is trusted and has no time', { stage: 'next' }, 'SetTime'],
    ['a next one that waits for its time', { stage: 'next', from: NOW + DAY }, 'AwaitTime'],
    ['a next one that cannot be used', { stage: 'next', unusable: [{ role: 'next', why: 'x' }] }, 'MendCa'],
    ['a next one that signs and is not trusted', { fresh: UNTRUSTED }, 'TrustSigning'],
    ['a previous one with certificates out there', { held: [{}] }, 'AwaitNodes'],
    ['a previous one, and a record that cannot be read', { held: [{}], unreadable: ['a'] }, 'LookAtNodes'],
    ['a previous one that is over', { unusable: [{ role: 'previous', why: 'x' }] }, 'LookAtNodes'],
    ['a previous one that nobody needs', {}, 'Finish'],
  ];
  for (const [name, scene, step] of ROWS) {
    it(`${name}: ${step}`, () => {
      expect(nextStep(standing(scene))).to.equal(step);
    });
  }
});
