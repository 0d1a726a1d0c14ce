import 'reflect-metadata';
import { createPrivateKey } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { RefusedError } from '../../src/errors.ts';
import { readPair } from '../../src/local-ca/pair.ts';
import { testAuthority, type TestAuthority, testKey } from '../support/csr-builder.ts';

const NOW = Date.now();
const DAY = 86_400_000;

function refusal(certPem: string, keyPem: string, now = NOW): string {
  try {
    readPair({ certPem, keyPem }, now);
  } catch (error) {
    expect(error).to.be.instanceOf(RefusedError).with.property('code', 'AuthorityUnusable');
    return (error as Error).message;
  }
  return 'accepted';
}

describe('local-ca/pair', () => {
  let good: TestAuthority;
  before(async () => {
    good = await testAuthority();
  });

  it('reads a pair and tells of the CA what a plan needs', async () => {
    const { authority, algorithm, chainPem } = readPair(good, NOW);
    expect(algorithm).to.equal('ecdsa-with-SHA256');
    expect(authority.notBefore).to.equal(good.certificate.notBefore.getTime());
    expect(authority.notAfter).to.equal(good.certificate.notAfter.getTime());
    expect(Buffer.from(authority.subjectDer)).to.deep.equal(Buffer.from(good.certificate.subjectName.toArrayBuffer()));
    expect(Buffer.from(authority.subjectKeyId ?? []).toString('hex')).to.equal(
      good.certificate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId,
    );
    expect(new x509.X509Certificate(authority.certificatePem).serialNumber).to.equal(good.certificate.serialNumber);
    expect(chainPem).to.equal('');
  });

  it('reads keys as PKCS#8, SEC 1 and PKCS#1', async () => {
    const ec = createPrivateKey(good.keyPem);
    expect(
      readPair({ ...good, keyPem: ec.export({ type: 'sec1', format: 'pem' }).toString() }, NOW).algorithm,
    ).to.equal('ecdsa-with-SHA256');
    const rsa = await testAuthority('RSA-2048');
    const pkcs1 = createPrivateKey(rsa.keyPem).export({ type: 'pkcs1', format: 'pem' }).toString();
    expect(readPair({ ...rsa, keyPem: pkcs1 }, NOW).algorithm).to.equal('sha256WithRSAEncryption');
  });

  it('takes a CA without the KeyUsage extension', async () => {
    expect(readPair(await testAuthority('P-384', { keyUsage: 'none' }), NOW).algorithm).to.equal('ecdsa-with-SHA384');
  });

  it('refuses a key that does not fit', async () => {
    expect(refusal(good.certPem, (await testAuthority()).keyPem)).to.equal('the key does not fit the certificate');
  });
  it('refuses a bundle in the wrong order, and says so', async () => {
    const below = await testAuthority('P-256', { subject: 'CN=below', issuer: good });
    expect(refusal(good.certPem + below.certPem, below.keyPem)).to.equal(
      'the key does not fit the first certificate, but a later one',
    );
  });
  it('refuses a certificate that is not of a CA', async () => {
    const leaf = await testAuthority('P-256', { isCa: false });
    expect(refusal(leaf.certPem, leaf.keyPem)).to.match(/not that of a CA that may sign/);
  });
  it('refuses a CA whose name is not DER, with which no certificate could be', async () => {
    const odd = await testAuthority('P-256', { subject: 'CN=ca+OU=x' });
    expect(refusal(odd.certPem, odd.keyPem)).to.match(/subject of the certificate is not DER: SET not in order/);
  });
  it('refuses a CA that may not sign certificates', async () => {
    const crl = await testAuthority('P-256', { keyUsage: x509.KeyUsageFlags.cRLSign });
    expect(refusal(crl.certPem, crl.keyPem)).to.match(/not that of a CA that may sign/);
  });
  it('refuses a CA from the millisecond on in which it expires', async () => {
    const end = Math.floor(NOW / 1000) * 1000 + DAY;
    const short = await testAuthority('P-256', { notAfter: new Date(end) });
    expect(refusal(short.certPem, short.keyPem, end - 1)).to.equal('accepted');
    expect(refusal(short.certPem, short.keyPem, end)).to.equal(
      `the certificate expired at ${new Date(end).toISOString()}`,
    );
  });
  for (const kind of ['RSA-1024', 'P-521'] as const) {
    it(`refuses a CA key of ${kind}`, async () => {
      const weak = await testAuthority(kind);
      expect(refusal(weak.certPem, weak.keyPem)).to.match(/not RSA of 2048 bits or more, P-256 or P-384/);
    });
  }

  const TEXTS: readonly [string, () => [string, string], RegExp][] = [
    ['no certificate', () => ['', good.keyPem], /no certificate/],
    [
      'a certificate of garbage',
      () => [good.certPem.replace(/MII[^\n]*/, 'MIIgarbage'), good.keyPem],
      /certificate cannot be read/,
    ],
    ['no key', () => [good.certPem, ''], /key cannot be read/],
    [
      'a public key',
      () => [good.certPem, testKey('P-256').publicKey.export({ type: 'spki', format: 'pem' }).toString()],
      /key cannot be read/,
    ],
    ['the two the wrong way round', () => [good.keyPem, good.certPem], /no certificate/],
  ];
  for (const [name, texts, message] of TEXTS) {
    it(`refuses ${name}`, () => {
      expect(refusal(...texts())).to.match(message);
    });
  }
  it('never puts any of the key into its refusal', async () => {
    const secret = good.keyPem.split('\n')[1] ?? '';
    const said = refusal(good.certPem, good.keyPem.replace('PRIVATE', 'ODD'));
    expect(said)
      .to.match(/key cannot be read/)
      .and.not.include(secret);
  });

  it('makes the chain of an intermediate: itself and those above it, without the root and without strangers', async () => {
    const upper = await testAuthority('P-256', { subject: 'CN=upper', issuer: good });
    const lower = await testAuthority('RSA-2048', { subject: 'CN=lower', issuer: upper });
    const stranger = await testAuthority('P-256', { subject: 'CN=stranger', issuer: good });
    const certPem = lower.certPem + stranger.certPem + good.certPem + upper.certPem;
    const pair = readPair({ certPem, keyPem: lower.keyPem }, NOW);
    expect(pair.chainPem).to.equal(lower.certPem + upper.certPem);
    expect(pair.authority.certificatePem).to.equal(pair.chainPem);
  });
  it('takes the first of two roots, as in a file of old and new', async () => {
    const old = await testAuthority();
    const pair = readPair({ certPem: good.certPem + old.certPem, keyPem: good.keyPem }, NOW);
    expect(pair.chainPem).to.equal('');
    expect(pair.authority.certificatePem).to.equal(good.certPem);
  });
});
