import { describe } from 'mocha';
import { bitString, der, objectIdentifier as oid, sequence } from '../../src/pki/der-writer.ts';
import { OID } from '../../src/pki/oids.ts';
import { derElements } from '../../src/pki/strict-der.ts';
import { testKey } from '../support/csr-builder.ts';
import { accepts, type RefusedRow, refuses } from './refused-rows.ts';

const integer = (value: number): Uint8Array => der(0x02, Uint8Array.of(value));
/** What is left of an ECDSA signature when its two integers are changed. */
const ecdsa =
  (change: (r: Uint8Array, s: Uint8Array) => readonly Uint8Array[]) =>
  (good: Buffer): Uint8Array => {
    const [list] = derElements(good) ?? [];
    const [r, s] = derElements(list?.content ?? good) ?? [];
    if (r === undefined || s === undefined) throw new Error('no ECDSA signature');
    return sequence(...change(r.raw, s.raw));
  };
const padded = (integer: Uint8Array): Uint8Array => der(0x02, Uint8Array.of(0), integer.subarray(2));

/** The neutral element; the second is not reduced. */
const ORDER_1 = [`01${'00'.repeat(31)}`, `ee${'ff'.repeat(30)}7f`].map((octets) =>
  sequence(sequence(oid(OID.ed25519)), bitString(Buffer.from(octets, 'hex'))),
);
/** R = [S]B: made without the private key of a point of order 1, and verified under it by Go, whatever is signed. */
const FORGED = Buffer.from(
  'ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c' +
    'ade1807345ca227a245f01b2d72081541a2d055c48a8288a4e7e4c4bca392808',
  'hex',
);

describe('pki/csr-key: signatures', () => {
  accepts([
    ['ECDSA with SHA-384 on P-256', { hash: 'sha384' }],
    ['ECDSA with SHA-512 on P-256', { hash: 'sha512' }],
    ['ECDSA with SHA-256 on P-384', { key: 'P-384', hash: 'sha256' }],
    ['ECDSA with SHA-256 on P-521', { key: 'P-521', hash: 'sha256' }],
    ['RSA with SHA-384', { key: 'RSA-2048', hash: 'sha384' }],
  ]);

  refuses([
    ['RSA with MD5', 'SignatureAlgorithmNotAllowed', { key: 'RSA-2048', hash: 'md5' }, /113549\.1\.1\.4 /],
    ['RSA with SHA-224', 'SignatureAlgorithmNotAllowed', { key: 'RSA-2048', hash: 'sha224' }, /113549\.1\.1\.14 /],
    ['ECDSA with SHA-224', 'SignatureAlgorithmNotAllowed', { hash: 'sha224' }, /10045\.4\.3\.1$/],
    [
      'RSASSA-PSS',
      'SignatureAlgorithmNotAllowed',
      { key: 'RSA-2048', signatureAlgorithmDer: sequence(oid('1.2.840.113549.1.1.10'), sequence()) },
      /1\.1\.10 with parameters 3000/,
    ],
    [
      'Ed25519 with parameters',
      'SignatureAlgorithmNotAllowed',
      { key: 'Ed25519', signatureAlgorithmDer: sequence(oid(OID.ed25519), der(0x05)) },
      /parameters 0500/,
    ],
    [
      'a signature algorithm that is no identifier',
      'SignatureAlgorithmNotAllowed',
      { signatureAlgorithmDer: sequence(der(0x05)) },
      /no algorithm/,
    ],
    [
      'a third value in the signature algorithm',
      'SignatureAlgorithmNotAllowed',
      { key: 'RSA-2048', signatureAlgorithmDer: sequence(oid(OID.sha256WithRsa), der(0x05), der(0x05)) },
      /no algorithm/,
    ],
    ['ECDSA with SHA-1', 'SignatureAlgorithmNotAllowed', { hash: 'sha1' }, /10045\.4\.1/],
    ['RSA with SHA-1', 'SignatureAlgorithmNotAllowed', { key: 'RSA-2048', hash: 'sha1' }, /1\.1\.5/],
    [
      'ECDSA with parameters',
      'SignatureAlgorithmNotAllowed',
      { signatureAlgorithmDer: sequence(oid(OID.ecdsaWithSha256), der(0x05)) },
      /parameters 0500/,
    ],
    [
      'RSA without NULL',
      'SignatureAlgorithmNotAllowed',
      { key: 'RSA-2048', signatureAlgorithmDer: sequence(oid(OID.sha256WithRsa)) },
      /1\.1\.11/,
    ],
    [
      'the signature algorithm of another kind of key',
      'SignatureAlgorithmNotAllowed',
      { signatureAlgorithmDer: sequence(oid(OID.sha256WithRsa), der(0x05)) },
      /does not fit/,
    ],
    ['the signature of another key', 'SignatureInvalid', { signer: testKey('P-256', 1) }, /not signed/],
    ['the ECDSA signature of zeros', 'SignatureInvalid', { signature: sequence(integer(0), integer(0)) }, /signed/],
    [
      'a third value in an ECDSA signature',
      'SignatureInvalid',
      { signature: ecdsa((r, s) => [r, s, der(0x05)]) },
      /signed|verified/,
    ],
    [
      'an ECDSA signature with a needless 00',
      'SignatureInvalid',
      { signature: ecdsa((r, s) => [padded(r), s]) },
      /signed|verified/,
    ],
    [
      'bytes after an ECDSA signature',
      'SignatureInvalid',
      { signature: (good) => Buffer.concat([good, Uint8Array.of(0)]) },
      /signed|verified/,
    ],
    [
      'an RSA signature with a needless 00',
      'SignatureInvalid',
      { key: 'RSA-2048', signature: (good) => Buffer.concat([Uint8Array.of(0), good]) },
      /signed|verified/,
    ],
    [
      'bytes after an Ed25519 signature',
      'SignatureInvalid',
      { key: 'Ed25519', signature: (good) => Buffer.concat([good, Uint8Array.of(0)]) },
      /signed|verified/,
    ],
    ...ORDER_1.map((publicKeyDer): RefusedRow => [
      `a forged signature of the Ed25519 key ${Buffer.from(publicKeyDer.subarray(-32)).toString('hex', 0, 4)}`,
      'SignatureInvalid',
      { key: 'Ed25519', publicKeyDer, signature: FORGED },
      /not signed/,
    ]),
    ['an empty signature', 'SignatureInvalid', { signature: new Uint8Array() }, /signature|signed/],
    [
      'another hash than was signed with',
      'SignatureInvalid',
      { signatureAlgorithmDer: sequence(oid(OID.ecdsaWithSha384)) },
      /not signed/,
    ],
  ]);
});
