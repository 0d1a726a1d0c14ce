import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { newPair, renewedPair } from '../../src/local-ca/new-pair.ts';
import { readPair } from '../../src/local-ca/pair.ts';
import { checkStrictDer } from '../../src/pki/strict-der.ts';
import { type TestAuthorityKind, testAuthority } from '../support/test-authority.ts';

const NOW = Math.floor(Date.now() / 1000) * 1000;
const TIMES = { notBefore: NOW - 300_000, notAfter: NOW + 3_600_000 };

describe('local-ca/new-pair', () => {
  it('makes a root that can sign, as OpenSSL reads it, too', async () => {
    const texts = await newPair('a new CA', TIMES);
    const { authority, chainPem } = readPair(texts, NOW);
    expect([authority.notBefore, authority.notAfter, chainPem]).to.deep.equal([TIMES.notBefore, TIMES.notAfter, '']);
    const certificate = new X509Certificate(texts.certPem);
    expect([certificate.subject, certificate.ca, certificate.verify(certificate.publicKey)]).to.deep.equal([
      'CN=a new CA',
      true,
      true,
    ]);
    expect(certificate.checkIssued(certificate)).to.equal(true);
    expect(checkStrictDer(certificate.raw)).to.equal(undefined);
    expect(authority.subjectKeyId).to.have.length(20);
  });

  it('never makes the same key twice', async () => {
    const [one, two] = await Promise.all([newPair('a', TIMES), newPair('a', TIMES)]);
    expect(one.keyPem).not.to.equal(two.keyPem);
  });

  for (const kind of ['P-256', 'P-384', 'RSA-2048'] satisfies TestAuthorityKind[]) {
    it(`renews the certificate of a CA with a key on ${kind}: name, key and key identifier stay`, async () => {
      const old = readPair(await testAuthority(kind, { subject: 'C=DE, O=Example, CN=kubernetes' }), NOW);
      const renewed = readPair(await renewedPair(old, TIMES), NOW);
      expect(renewed.authority.subjectDer).to.deep.equal(old.authority.subjectDer);
      expect(renewed.authority.subjectKeyId).to.deep.equal(old.authority.subjectKeyId);
      expect(renewed.authority.notAfter).to.equal(TIMES.notAfter);
      const [before, after] = [old, renewed].map((pair) => new X509Certificate(pair.authority.certificatePem));
      expect(after?.verify(before?.publicKey ?? after.publicKey)).to.equal(true);
    });
  }

  it('renews no intermediate', async () => {
    const root = await testAuthority();
    const below = await testAuthority('P-256', { subject: 'CN=below', issuer: root });
    const pair = readPair({ ...below, certPem: below.certPem + root.certPem }, NOW);
    const renewing = renewedPair(pair, TIMES).then(
      () => 'renewed',
      (error: unknown) => String(error),
    );
    expect(await renewing).to.match(/the CA is an intermediate/);
  });
});
