import { createHash, X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { before, describe, it } from 'mocha';
import { certificateBuilder } from '../../src/pki/certificate-builder.ts';
import { type IssuedCertificate, summariseCertificate } from '../../src/pki/certificate-summary.ts';
import {
  bitString,
  booleanTrue,
  der,
  nullValue,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  unsignedInteger,
} from '../../src/pki/der-writer.ts';
import { OID } from '../../src/pki/oids.ts';
import { formatPem } from '../../src/pki/pem.ts';
import { addressBytes, attribute, generalName, rdn, testAuthority, testKey } from '../support/csr-builder.ts';

const END = Date.UTC(2027, 0, 31, 12, 30, 5);
const KEY_ID = Buffer.from('00112233445566778899aabbccddeeff00112233', 'hex');
const NAME = sequence(rdn(OID.organization, 'system:nodes'), rdn(OID.commonName, 'system:node:worker-1'));
const SPKI = testKey('P-256').publicKey.export({ type: 'spki', format: 'der' });
const ALGORITHM = sequence(objectIdentifier(OID.ecdsaWithSha256));

interface Parts {
  readonly version?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly begin?: Uint8Array;
  readonly end?: Uint8Array;
  readonly key?: Uint8Array;
  /** Instead of `[3]` with authorityKeyIdentifier and subjectAltName. */
  readonly rest?: readonly Uint8Array[];
}

const extension = (id: string, value: Uint8Array, ...critical: Uint8Array[]): Uint8Array =>
  sequence(objectIdentifier(id), ...critical, octetString(value));
const extensions = (...list: Uint8Array[]): Uint8Array => der(0xa3, sequence(...list));
const sans = (...names: Uint8Array[]): Uint8Array => extension(OID.subjectAltName, sequence(...names));
const ip = (address: string): Uint8Array => generalName(7, addressBytes(address));

/** A certificate whose signature nobody can verify. */
function certificateDer(parts: Parts = {}): Uint8Array {
  const { version = der(0xa0, unsignedInteger(Uint8Array.of(2))), subject = NAME, key = SPKI } = parts;
  const { begin = time(END - 1000), end = time(END) } = parts;
  const rest = parts.rest ?? [
    extensions(
      extension(OID.basicConstraints, sequence(), booleanTrue),
      extension(OID.authorityKeyIdentifier, sequence(der(0x80, KEY_ID))),
      sans(generalName(2, 'worker-1'), ip('10.1.2.3'), ip('2001:db8::1')),
    ),
  ];
  const serial = unsignedInteger(Uint8Array.of(7));
  const validity = sequence(begin, end);
  const signed = sequence(version, serial, ALGORITHM, NAME, validity, subject, key, ...rest);
  return sequence(signed, ALGORITHM, bitString(Buffer.alloc(70, 1)));
}
const pemOf = (bytes: Uint8Array): string => formatPem('CERTIFICATE', bytes);

/** The same by OpenSSL, which does not tell the issuer's key identifier. */
function byOpenSsl(pem: string): Omit<IssuedCertificate, 'issuer'> {
  const certificate = new X509Certificate(pem);
  const key = certificate.publicKey.export({ type: 'spki', format: 'der' });
  const names = (certificate.subjectAltName ?? '').matchAll(/IP Address:([^,]+)/g);
  return {
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    key: createHash('sha256').update(key).digest('hex'),
    commonName: /^CN=(.*?)(?: \+ .*)?$/m.exec(certificate.subject)?.[1] ?? '',
    serial: certificate.serialNumber,
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
    addresses: [...names].map(([, address = '']) => address.toLowerCase()),
  };
}

describe('pki/certificate-summary', () => {
  const rows: readonly [string, Parts, Partial<IssuedCertificate>][] = [
    [
      'a serving certificate',
      {},
      { issuer: KEY_ID.toString('hex'), addresses: ['10.1.2.3', '2001:db8:0:0:0:0:0:1'], notAfter: END },
    ],
    ['one without extensions', { rest: [] }, { issuer: '', addresses: [] }],
    ['one of version 1', { version: new Uint8Array(), rest: [] }, { commonName: 'system:node:worker-1' }],
    ['one with unique identifiers', { rest: [der(0x81, Uint8Array.of(0, 1)), extensions(sans(ip('10.0.0.1')))] }, {}],
    [
      'an issuer that is named by name and serial number besides',
      {
        rest: [
          extensions(
            extension(
              OID.authorityKeyIdentifier,
              sequence(der(0x80, KEY_ID), der(0xa1, der(0xa4, NAME)), der(0x82, Uint8Array.of(7))),
            ),
          ),
        ],
      },
      { issuer: KEY_ID.toString('hex') },
    ],
    [
      'an issuer that is not named by its key',
      { rest: [extensions(extension(OID.authorityKeyIdentifier, sequence(der(0x82, Uint8Array.of(7)))))] },
      { issuer: '' },
    ],
    ['a beginning in the last century', { begin: der(0x17, Buffer.from('700101000000Z')) }, { notBefore: 0 }],
    ['an end after 2049', { end: time(Date.UTC(2050, 0, 1)) }, { notAfter: Date.UTC(2050, 0, 1) }],
    ['an end in the last century', { end: der(0x17, Buffer.from('700101000000Z')) }, { notAfter: 0 }],
    ['the end of everything', { end: der(0x18, Buffer.from('99991231235959Z')) }, { notAfter: 253_402_300_799_000 }],
    ['an RSA key', { key: testKey('RSA-2048').publicKey.export({ type: 'spki', format: 'der' }) }, {}],
    ['an Ed25519 key', { key: testKey('Ed25519').publicKey.export({ type: 'spki', format: 'der' }) }, {}],
    ['a subject without a common name', { subject: sequence(rdn(OID.organization, 'a')) }, { commonName: '' }],
    ['a common name in UTF-8', { subject: sequence(rdn(OID.commonName, 'knöten')) }, { commonName: 'knöten' }],
    [
      'a common name beside another attribute',
      { subject: sequence(set(Buffer.concat([attribute(OID.commonName, 'a'), attribute(OID.organization, 'b')]))) },
      { commonName: 'a' },
    ],
  ];
  for (const [name, parts, expected] of rows) {
    it(`reads what OpenSSL reads of ${name}`, () => {
      const pem = pemOf(certificateDer(parts));
      const summary = summariseCertificate(pem);
      expect(summary).to.deep.include(byOpenSsl(pem));
      expect(summary).to.deep.include(expected);
    });
  }

  it('takes the last of several common names, as the API server does', () => {
    const subject = sequence(rdn(OID.commonName, 'system:node:a'), rdn(OID.commonName, 'system:node:b'));
    expect(summariseCertificate(pemOf(certificateDer({ subject })))?.commonName).to.equal('system:node:b');
  });

  it('takes an address that is none for none', () => {
    const rest = [extensions(sans(generalName(7, Buffer.alloc(5)), ip('10.0.0.1')))];
    expect(summariseCertificate(pemOf(certificateDer({ rest })))?.addresses).to.deep.equal(['10.0.0.1']);
  });

  describe('of real CAs and our builder', () => {
    const pems: string[] = [];
    before(async () => {
      for (const kind of ['P-256', 'P-384', 'P-521', 'RSA-2048'] as const) {
        pems.push((await testAuthority(kind, { subject: 'C=DE, O=Exämple, CN=test-ca' })).certPem);
      }
      const plan = { nodeName: 'worker-1.example.org', publicKeyDer: SPKI, notBefore: END - 1000, notAfter: END };
      for (const subjectKeyId of [KEY_ID, undefined]) {
        const builder = certificateBuilder({ subjectDer: NAME, subjectKeyId, algorithm: 'sha256WithRSAEncryption' });
        for (const usage of ['client', 'serving'] as const) {
          const [dnsNames, ipAddresses] =
            usage === 'client' ? [[], []] : [['a'], ['10.0.0.1', 'fd00::17'].map(addressBytes)];
          const tbs = builder.toBeSigned(
            { ...plan, usage, keyEncipherment: true, dnsNames, ipAddresses },
            Buffer.alloc(16, 0xff),
          );
          const pem = pemOf(builder.certificate(tbs, Buffer.alloc(256)));
          pems.push(pem);
          expect(summariseCertificate(pem)?.issuer).to.equal(subjectKeyId?.toString('hex') ?? '');
        }
      }
    });

    it('reads what OpenSSL reads', () => {
      expect(pems).to.have.length(8);
      for (const pem of pems) expect(summariseCertificate(pem)).to.deep.include(byOpenSsl(pem));
    });
  });

  describe('PEM', () => {
    const good = pemOf(certificateDer());
    const other = pemOf(certificateDer({ subject: sequence() }));
    for (const [name, text] of [
      ['bytes', Buffer.from(good)],
      ['a chain, of which it is the first', good + other],
      ['text before and after it', `subject=x\n${good}the end`],
      ['lines that end as on Windows', good.replaceAll('\n', '\r\n')],
      ['one long line', good.replaceAll(/([^-])\n(?!-)/g, '$1')],
      ['bytes in the middle of a buffer', Buffer.from(`xxx${good}`).subarray(3)],
    ] as const) {
      it(`is read as ${name}`, () => {
        expect(summariseCertificate(text)?.commonName).to.equal('system:node:worker-1');
      });
    }
  });

  describe('answers undefined for', () => {
    const bytes = certificateDer();
    for (const [name, text] of [
      ['nothing', ''],
      ['text', 'a certificate'],
      ['another label', formatPem('CERTIFICATE REQUEST', bytes)],
      ['a block without an end', pemOf(bytes).split('-----END')[0] ?? ''],
      ['a block that begins within a line', `x${pemOf(bytes)}`],
      ['an empty block', '-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n'],
      ['a byte less', pemOf(bytes.subarray(0, -1))],
      ['a byte more', pemOf(Buffer.concat([bytes, Uint8Array.of(0)]))],
      ['two values', pemOf(Buffer.concat([bytes, nullValue]))],
      ['a value that is no certificate', pemOf(sequence(nullValue))],
      ['an indefinite length', pemOf(Buffer.concat([Uint8Array.of(0x30, 0x80), bytes.subarray(4), Buffer.alloc(2)]))],
      ['a validity without an end', pemOf(certificateDer({ end: new Uint8Array() }))],
      ['a beginning that is no time', pemOf(certificateDer({ begin: nullValue }))],
      ['an end that is no time', pemOf(certificateDer({ end: nullValue }))],
      ['an end without seconds', pemOf(certificateDer({ end: der(0x17, Buffer.from('2701311230Z')) }))],
      ['an end in month 13', pemOf(certificateDer({ end: der(0x17, Buffer.from('271331123000Z')) }))],
      ['a subject that is no sequence', pemOf(certificateDer({ subject: nullValue }))],
      ['a key that is no sequence', pemOf(certificateDer({ key: nullValue }))],
      ['extensions that are none', pemOf(certificateDer({ rest: [der(0xa3, nullValue)] }))],
      ['an extension without a value', pemOf(certificateDer({ rest: [extensions(sequence())] }))],
      [
        'names that are no sequence',
        pemOf(certificateDer({ rest: [extensions(extension(OID.subjectAltName, nullValue))] })),
      ],
    ] as const) {
      it(name, () => expect(summariseCertificate(text)).to.equal(undefined));
    }
  });

  it('never throws, whatever is changed in a certificate', () => {
    const bytes = certificateDer();
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(3), (at, value, more) => {
        const changed = Buffer.from(bytes);
        changed.fill(value, at, Math.min(at + 1 + more, bytes.length));
        summariseCertificate(pemOf(changed));
        summariseCertificate(pemOf(changed.subarray(0, at)));
      }),
    );
    fc.assert(fc.property(fc.uint8Array(), (any) => void summariseCertificate(any)));
    fc.assert(fc.property(fc.uint8Array(), (any) => void summariseCertificate(pemOf(any))));
  });
});
