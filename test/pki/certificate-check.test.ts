import 'reflect-metadata';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { createPrivateKey, sign } from 'node:crypto';
import { readPair } from '../../src/local-ca/pair.ts';
import { checkAgainstPlan, EXACT, type Latitude } from '../../src/pki/certificate-check.ts';
import type { CertificatePlan } from '../../src/pki/certificate-plan.ts';
import { bitString, booleanTrue, der, objectIdentifier, octetString, sequence } from '../../src/pki/der-writer.ts';
import { OID } from '../../src/pki/oids.ts';
import { formatPem } from '../../src/pki/pem.ts';
import { derElements } from '../../src/pki/strict-der.ts';
import { addressBytes, rdn, testAuthority, type TestAuthority, testKey } from '../support/csr-builder.ts';

const publicKeyDer = (number: number): Uint8Array =>
  testKey('P-256', number).publicKey.export({ type: 'spki', format: 'der' });

const plan: CertificatePlan = {
  nodeName: 'worker-1',
  usage: 'serving',
  publicKeyDer: publicKeyDer(0),
  keyEncipherment: false,
  dnsNames: ['worker-1'],
  ipAddresses: [addressBytes('10.0.0.1')],
  notBefore: Date.UTC(2026, 0, 1),
  notAfter: Date.UTC(2026, 0, 2),
};

const SERIAL = Buffer.alloc(16, 7);

function issue(authority: TestAuthority, issued: CertificatePlan, serial: Uint8Array = SERIAL): string {
  const { builder, key } = readPair(authority, 0);
  const toBeSigned = builder.toBeSigned(issued, serial);
  return formatPem('CERTIFICATE', builder.certificate(toBeSigned, sign('sha256', toBeSigned, key)));
}

const parts = (bytes: Uint8Array): Uint8Array[] => (derElements(bytes) ?? []).map((element) => element.raw);
const inside = (bytes: Uint8Array | undefined): Uint8Array[] =>
  parts(derElements(bytes ?? Buffer.of())?.[0]?.content ?? Buffer.of());

/** Issues as planned, then changes the fields of the TBSCertificate, and signs what came out. */
function issueChanged(authority: TestAuthority, change: (fields: Uint8Array[]) => Uint8Array[]): string {
  const { builder } = readPair(authority, 0);
  const toBeSigned = sequence(...change(inside(builder.toBeSigned(plan, SERIAL))));
  const [, algorithm = Buffer.of()] = inside(builder.certificate(toBeSigned, Buffer.of()));
  const signature = sign('sha256', toBeSigned, createPrivateKey(authority.keyPem));
  return formatPem('CERTIFICATE', sequence(toBeSigned, algorithm, bitString(signature)));
}

const withExtensions =
  (change: (extensions: Uint8Array[]) => Uint8Array[]) =>
  (fields: Uint8Array[]): Uint8Array[] => {
    const [list] = inside(fields.at(-1));
    return [...fields.slice(0, -1), der(0xa3, sequence(...change(inside(list))))];
  };
const extension = (id: string, value: Uint8Array, critical = false): Uint8Array =>
  sequence(objectIdentifier(id), ...(critical ? [booleanTrue] : []), octetString(value));
const replaced = (id: string, value: Uint8Array, critical = false): ((fields: Uint8Array[]) => Uint8Array[]) =>
  withExtensions((extensions) =>
    extensions.map((each) =>
      Buffer.from(each).includes(Buffer.from(objectIdentifier(id))) ? extension(id, value, critical) : each,
    ),
  );
const at =
  (index: number, value: Uint8Array) =>
  (fields: Uint8Array[]): Uint8Array[] =>
    fields.map((field, position) => (position === index ? value : field));

const SKI = '2.5.29.14';
const SUBJECT = 5;

describe('pki/certificate-check', () => {
  let authority: TestAuthority;
  let other: TestAuthority;
  before(async () => {
    authority = await testAuthority();
    other = await testAuthority('P-256', { subject: 'CN=other' });
  });

  it('finds nothing in a certificate as planned', () => {
    expect(checkAgainstPlan(issue(authority, plan), plan, authority.certPem)).to.deep.equal([]);
  });

  const PLANS: readonly [string, Partial<CertificatePlan>, RegExp][] = [
    ['another node', { nodeName: 'worker-2' }, /^subject is .*worker-2/],
    ['a node whose name differs after 200 characters', { nodeName: `${'a'.repeat(200)}b` }, /^subject is/],
    ['another key', { publicKeyDer: publicKeyDer(1) }, /^public key/],
    ['another usage', { usage: 'client' }, /extension 2\.5\.29\.37 is/],
    ['key encipherment', { keyEncipherment: true }, /extension 2\.5\.29\.15 is "030205a0"/],
    ['one DNS name more', { dnsNames: ['worker-1', 'x'] }, /extension 2\.5\.29\.17/],
    ['one DNS name fewer', { dnsNames: [] }, /extension 2\.5\.29\.17/],
    ['another address', { ipAddresses: [addressBytes('10.0.0.2')] }, /extension 2\.5\.29\.17/],
    ['the address as a DNS name', { dnsNames: ['worker-1', '10.0.0.1'], ipAddresses: [] }, /extension 2\.5\.29\.17/],
    ['no names at all', { dnsNames: [], ipAddresses: [] }, /there is no extension 2\.5\.29\.17/],
    ['a second less before', { notBefore: plan.notBefore + 1000 }, /^notBefore/],
    ['a second more after', { notAfter: plan.notAfter + 1000 }, /^notAfter/],
  ];
  for (const [name, change, difference] of PLANS) {
    it(`finds a certificate for ${name}, and only that`, () => {
      const planned = name.includes('200') ? { ...plan, nodeName: `${'a'.repeat(200)}c` } : plan;
      const found = checkAgainstPlan(issue(authority, { ...plan, ...change }), planned, authority.certPem);
      expect(found).to.have.length(1);
      expect(found[0]).to.match(difference);
    });
  }

  const OWN_CLOCK: Latitude = { ...EXACT, timesMs: 60_000 };
  const TIMES: readonly (readonly [string, Partial<CertificatePlan>, RegExp | undefined])[] = [
    ['begins a minute later', { notBefore: plan.notBefore + 60_000 }, undefined],
    ['begins a minute earlier', { notBefore: plan.notBefore - 60_000 }, undefined],
    ['ends a minute earlier', { notAfter: plan.notAfter - 60_000 }, undefined],
    ['begins more than a minute later', { notBefore: plan.notBefore + 61_000 }, /^notBefore is .*00:01:01/],
    ['begins more than a minute earlier', { notBefore: plan.notBefore - 61_000 }, /^notBefore is .*23:58:59/],
    ['ends more than a minute earlier', { notAfter: plan.notAfter - 61_000 }, /^notAfter is .*23:58:59/],
    ['ends a second later', { notAfter: plan.notAfter + 1_000 }, /^notAfter is .*00:00:01/],
  ];
  for (const [name, change, difference] of TIMES) {
    it(`${difference === undefined ? 'lets pass' : 'finds'} one by a clock within a minute that ${name}`, () => {
      const found = checkAgainstPlan(issue(authority, { ...plan, ...change }), plan, authority.certPem, OWN_CLOCK);
      expect(found).to.have.length(difference === undefined ? 0 : 1);
      if (difference !== undefined) expect(found[0]).to.match(difference);
    });
  }

  const FIELDS: readonly [string, (fields: Uint8Array[]) => Uint8Array[], RegExp][] = [
    ['version 2', at(0, Buffer.from('a003020101', 'hex')), /^version is "2"/],
    ['the serial number 0', at(1, Buffer.from('020100', 'hex')), /serial number is 00/],
    ['a negative serial number', at(1, Buffer.from('0201ff', 'hex')), /serial number is ff/],
    ['a serial number of 21 octets', at(1, der(0x02, Buffer.alloc(21, 1))), /serial number/],
    ['another issuer', at(3, sequence(rdn(OID.commonName, 'x'))), /^issuer/],
    [
      'an OU besides',
      at(
        SUBJECT,
        sequence(
          rdn(OID.organization, 'system:nodes'),
          rdn(OID.commonName, 'system:node:worker-1'),
          rdn('2.5.4.11', 'x'),
        ),
      ),
      /^subject/,
    ],
    [
      'CN before O',
      at(SUBJECT, sequence(rdn(OID.commonName, 'system:node:worker-1'), rdn(OID.organization, 'system:nodes'))),
      /^subject/,
    ],
    [
      'O system:masters',
      at(SUBJECT, sequence(rdn(OID.organization, 'system:masters'), rdn(OID.commonName, 'system:node:worker-1'))),
      /^subject/,
    ],
    [
      'a subject unique identifier',
      (fields) => [...fields.slice(0, -1), Buffer.from('82020055', 'hex'), ...fields.slice(-1)],
      /unique identifier/,
    ],
    [
      'a field that is not in a certificate',
      (fields) => [...fields, Buffer.from('0500', 'hex')],
      /more than a Certificate/,
    ],
    [
      'CA:TRUE',
      replaced(OID.basicConstraints, Buffer.from('30030101ff', 'hex'), true),
      /extension 2\.5\.29\.19 is "30030101ff"/,
    ],
    [
      'BasicConstraints not critical',
      replaced(OID.basicConstraints, Buffer.from('3000', 'hex')),
      /extension 2\.5\.29\.19 critical/,
    ],
    ['keyCertSign', replaced(OID.keyUsage, Buffer.from('03020284', 'hex'), true), /extension 2\.5\.29\.15/],
    [
      'client auth besides',
      replaced(OID.extKeyUsage, sequence(objectIdentifier(OID.serverAuth), objectIdentifier(OID.clientAuth))),
      /extension 2\.5\.29\.37/,
    ],
    ['another AKI', replaced(OID.authorityKeyIdentifier, Buffer.from('3003800101', 'hex')), /extension 2\.5\.29\.35/],
    ['no AKI', withExtensions((all) => all.filter((_, index) => index !== 3)), /there is no extension 2\.5\.29\.35/],
    [
      'an e-mail address',
      replaced(
        OID.subjectAltName,
        sequence(der(0x82, Buffer.from('worker-1')), der(0x87, Buffer.of(10, 0, 0, 1)), der(0x81, Buffer.from('a@b'))),
      ),
      /extension 2\.5\.29\.17/,
    ],
    [
      'bytes after the names',
      replaced(
        OID.subjectAltName,
        Buffer.concat([sequence(der(0x82, Buffer.from('worker-1')), der(0x87, Buffer.of(10, 0, 0, 1))), Buffer.of(0)]),
      ),
      /not DER/,
    ],
    ['an extension twice', withExtensions((all) => [...all, ...all.slice(-1)]), /17 is there twice/],
    [
      'an extension that nobody planned',
      withExtensions((all) => [...all, extension(SKI, Buffer.of(4, 0))]),
      /2\.5\.29\.14 was not planned/,
    ],
  ];
  for (const [name, change, difference] of FIELDS) {
    it(`finds ${name}, and only that`, () => {
      const found = checkAgainstPlan(issueChanged(authority, change), plan, authority.certPem);
      expect(found).to.have.length(1);
      expect(found[0]).to.match(difference);
    });
  }

  it('lets pass an extension that the backend may add, unless it is critical', () => {
    const add = (critical: boolean): string =>
      issueChanged(
        authority,
        withExtensions((all) => [...all, extension(SKI, Buffer.of(4, 0), critical)]),
      );
    expect(checkAgainstPlan(add(false), plan, authority.certPem, { ...EXACT, extras: [SKI] })).to.deep.equal([]);
    expect(checkAgainstPlan(add(true), plan, authority.certPem, { ...EXACT, extras: [SKI] })).to.deep.equal([
      'extension 2.5.29.14 is critical',
    ]);
  });

  it('finds two signature algorithms that differ', () => {
    const pem = issueChanged(authority, at(2, sequence(objectIdentifier(OID.ecdsaWithSha384))));
    expect(checkAgainstPlan(pem, plan, authority.certPem)[0]).to.equal('the two signature algorithms differ');
  });

  it('finds a certificate of another CA of the same name', async () => {
    const twin = await testAuthority();
    const found = checkAgainstPlan(issue(twin, plan), plan, authority.certPem);
    expect(found).to.have.length(2);
    expect(found.at(-1)).to.match(/signature is not that of the CA/);
  });

  it('finds a certificate that was changed after it was signed', () => {
    const pem = issue(authority, plan);
    const der = Buffer.from(pem.replaceAll(/-----.*-----|\n/g, ''), 'base64');
    der.writeUInt8((der.at(-1) ?? 0) ^ 1, der.length - 1);
    expect(checkAgainstPlan(formatPem('CERTIFICATE', der), plan, authority.certPem)).to.deep.equal([
      'the signature is not that of the CA',
    ]);
  });

  const TEXTS: readonly [string, (good: string) => string, RegExp][] = [
    ['nothing', () => '', /there is no certificate/],
    ['text before the certificate', (good) => `x\n${good}`, /plain PEM/],
    ['text after it', (good) => `${good}x`, /plain PEM/],
    ['a second leaf', (good) => good + good, /not the chain/],
    ['the root after the leaf', (good) => good + authority.certPem, /not the chain/],
    ['an unrelated CA after the leaf', (good) => good + other.certPem, /not the chain/],
    ['the CA before the leaf', (good) => authority.certPem + good, /not the chain/],
    ['garbage', () => formatPem('CERTIFICATE', Buffer.from('garbage')), /not the DER/],
    ['a key', (good) => good.replaceAll('CERTIFICATE', 'PRIVATE KEY'), /label/],
  ];
  for (const [name, change, difference] of TEXTS) {
    it(`finds ${name}`, () => {
      const found = checkAgainstPlan(change(issue(authority, plan)), plan, authority.certPem);
      expect(found.join('; ')).to.match(difference);
    });
  }

  it('lets pass the chain of an intermediate CA behind the leaf', async () => {
    const intermediate = await testAuthority('P-256', { subject: 'CN=intermediate', issuer: authority });
    const pem = issue(intermediate, plan);
    expect(checkAgainstPlan(pem + intermediate.certPem, plan, intermediate.certPem)).to.deep.equal([]);
    expect(checkAgainstPlan(pem, plan, intermediate.certPem)).to.deep.equal([]);
  });

  it('says so when the certificate of the CA is not one', () => {
    expect(checkAgainstPlan(issue(authority, plan), plan, '')).to.deep.equal([
      'the certificate of the CA is not plain PEM',
    ]);
  });
});
