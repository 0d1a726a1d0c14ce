import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { bitString, der, objectIdentifier, sequence, unsignedInteger } from '../../src/pki/der-writer.ts';
import { OID } from '../../src/pki/oids.ts';
import { buildCsrPem, testKey } from '../support/csr-builder.ts';
import { accepts, read, refuses } from './refused-rows.ts';

const oid = objectIdentifier;
const RSA_ALGORITHM = sequence(oid(OID.rsaEncryption), der(0x05));
const EC_ALGORITHM = sequence(oid(OID.ecPublicKey), oid(OID.p256));
const ED25519_ALGORITHM = sequence(oid(OID.ed25519));
const spki = (algorithm: Uint8Array, key: Uint8Array): Uint8Array =>
  sequence(algorithm, der(0x03, Uint8Array.of(0), key));
const integer = (...octets: number[]): Uint8Array => der(0x02, Uint8Array.from(octets));
/** 2048 bits, odd. */
const MODULUS = unsignedInteger(Buffer.alloc(256, 0xff));
const rsaOf = (...values: Uint8Array[]): Uint8Array => spki(RSA_ALGORITHM, sequence(...values));
/** A modulus of as many ones. */
const rsaKey = (bits: number, exponent: Uint8Array): Uint8Array => {
  const modulus = Buffer.alloc(Math.ceil(bits / 8), 0xff);
  modulus.writeUInt8(0xff >> (modulus.length * 8 - bits), 0);
  return rsaOf(unsignedInteger(modulus), unsignedInteger(exponent));
};
const F4 = Uint8Array.of(1, 0, 1);
const point = (first: number): Buffer => {
  const der = testKey('P-256').publicKey.export({ type: 'spki', format: 'der' });
  return Buffer.concat([Uint8Array.of(first), der.subarray(-64)]);
};
const compressed = Buffer.concat([Uint8Array.of(2 + ((point(4).at(-1) ?? 0) & 1)), point(4).subarray(1, 33)]);
const offCurve = Buffer.from(point(4));
offCurve.writeUInt8((offCurve.at(-1) ?? 0) ^ 1, 64);

describe('pki/csr-key', () => {
  accepts([
    ['the smallest exponent, 3', { key: generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }) }],
    [
      'the largest exponent, 2^31-1',
      { key: generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 2 ** 31 - 1 }) },
    ],
    [
      'an RSA key whose length is no whole number of octets',
      { key: generateKeyPairSync('rsa', { modulusLength: 2050 }) },
    ],
  ]);

  it('takes an RSA key of 8192 bits, the largest, and looks at the signature', () => {
    const { problems } = read(buildCsrPem({ publicKeyDer: rsaKey(8192, F4), signer: testKey('RSA-2048') }));
    expect(problems.map(({ code }) => code)).to.deep.equal(['SignatureInvalid']);
  });

  refuses([
    ['an RSA key of 1024 bits', 'KeyNotAllowed', { key: 'RSA-1024' }, /1024 bits/],
    ['an RSA key of 2040 bits', 'KeyNotAllowed', { key: 'RSA-2040' }, /2040 bits/],
    ['an RSA key of 8200 bits', 'KeyNotAllowed', { publicKeyDer: rsaKey(8200, Uint8Array.of(1, 0, 1)) }, /8200 bits/],
    ['an RSA key of 2047 bits', 'KeyNotAllowed', { publicKeyDer: rsaKey(2047, F4) }, /2047 bits/],
    ['an RSA key of 8193 bits', 'KeyNotAllowed', { publicKeyDer: rsaKey(8193, F4) }, /8193 bits/],
    ['an RSA key of 16384 bits', 'KeyNotAllowed', { publicKeyDer: rsaKey(16_384, F4) }, /16384 bits/],
    ['the exponent 1', 'KeyNotAllowed', { publicKeyDer: rsaKey(2048, Uint8Array.of(1)) }, /exponent 0x01/],
    ['the exponent 2', 'KeyNotAllowed', { publicKeyDer: rsaKey(2048, Uint8Array.of(2)) }, /exponent 0x02/],
    ['an even exponent', 'KeyNotAllowed', { publicKeyDer: rsaKey(2048, Uint8Array.of(1, 0, 0)) }, /exponent 0x010000/],
    ['the exponent 0', 'KeyNotAllowed', { publicKeyDer: rsaOf(MODULUS, integer(0)) }, /not modulus and exponent/],
    ['an exponent below 0', 'KeyNotAllowed', { publicKeyDer: rsaOf(MODULUS, integer(0xfd)) }, /not modulus and/],
    [
      'a modulus below 0',
      'KeyNotAllowed',
      { publicKeyDer: rsaOf(der(0x02, Buffer.alloc(256, 0x81)), integer(3)) },
      /not mod/,
    ],
    ['the modulus 0', 'KeyNotAllowed', { publicKeyDer: rsaOf(integer(0), integer(3)) }, /not modulus and exponent/],
    [
      'an even modulus',
      'KeyNotAllowed',
      { publicKeyDer: rsaOf(unsignedInteger(Buffer.alloc(256, 0xfe)), integer(3)) },
      /even modulus/,
    ],
    ['an RSA key without exponent', 'KeyNotAllowed', { publicKeyDer: rsaOf(MODULUS) }, /not modulus and exponent/],
    [
      'a third value in an RSA key',
      'KeyNotAllowed',
      { publicKeyDer: rsaOf(MODULUS, integer(3), integer(3)) },
      /not mod/,
    ],
    [
      'an exponent with a needless 00',
      'KeyNotAllowed',
      { publicKeyDer: rsaOf(MODULUS, integer(0, 3)) },
      /not modulus and exponent/,
    ],
    [
      'an RSA key in indefinite length',
      'KeyNotAllowed',
      {
        publicKeyDer: spki(
          RSA_ALGORITHM,
          Buffer.concat([Uint8Array.of(0x30, 0x80), MODULUS, integer(3), Uint8Array.of(0, 0)]),
        ),
      },
      /not modulus and exponent/,
    ],
    [
      'an exponent of 2^31',
      'KeyNotAllowed',
      { publicKeyDer: rsaKey(2048, Uint8Array.of(0x80, 0, 0, 1)) },
      /exponent 0x80000001/,
    ],
    [
      'an RSA key without NULL',
      'KeyNotAllowed',
      {
        publicKeyDer: spki(sequence(oid(OID.rsaEncryption)), sequence(MODULUS, integer(3))),
      },
      /NULL/,
    ],
    ['an RSA-PSS key', 'KeyNotAllowed', { key: 'RSA-PSS' }, /1\.1\.10/],
    [
      'bytes after the RSA key',
      'KeyNotAllowed',
      {
        publicKeyDer: spki(RSA_ALGORITHM, Buffer.concat([sequence(MODULUS, integer(3)), Uint8Array.of(0)])),
      },
      /key/,
    ],
    ['a key on secp256k1', 'KeyNotAllowed', { key: 'secp256k1' }, /curve/],
    ['a compressed point', 'KeyNotAllowed', { publicKeyDer: spki(EC_ALGORITHM, compressed) }, /uncompressed/],
    ['a hybrid point', 'KeyNotAllowed', { publicKeyDer: spki(EC_ALGORITHM, point(6)) }, /uncompressed/],
    ['the point at infinity', 'KeyNotAllowed', { publicKeyDer: spki(EC_ALGORITHM, Uint8Array.of(0)) }, /uncompressed/],
    [
      'a point that is not on the curve',
      'KeyNotAllowed',
      { publicKeyDer: spki(EC_ALGORITHM, offCurve) },
      /cannot be read/,
    ],
    [
      'a curve that is spelled out',
      'KeyNotAllowed',
      {
        publicKeyDer: spki(sequence(oid(OID.ecPublicKey), sequence(unsignedInteger(Uint8Array.of(1)))), point(4)),
      },
      /curve/,
    ],
    [
      'an Ed25519 key with parameters',
      'KeyNotAllowed',
      { publicKeyDer: spki(sequence(oid(OID.ed25519), der(0x05)), new Uint8Array(32)) },
      /Ed25519 key has parameters/,
    ],
    [
      'an Ed25519 key of 31 bytes',
      'KeyNotAllowed',
      { publicKeyDer: spki(sequence(oid(OID.ed25519)), new Uint8Array(31)) },
      /cannot be read/,
    ],
    [
      'an Ed25519 key of 33 bytes',
      'KeyNotAllowed',
      { publicKeyDer: spki(ED25519_ALGORITHM, new Uint8Array(33)) },
      /cannot be read/,
    ],
    ['a curve by nothing', 'KeyNotAllowed', { publicKeyDer: spki(sequence(oid(OID.ecPublicKey)), point(4)) }, /curve/],
    [
      'a curve by NULL',
      'KeyNotAllowed',
      { publicKeyDer: spki(sequence(oid(OID.ecPublicKey), der(0x05)), point(4)) },
      /parameters 0500/,
    ],
    [
      'a point of P-256 said to be on P-384',
      'KeyNotAllowed',
      { publicKeyDer: spki(sequence(oid(OID.ecPublicKey), oid(OID.p384)), point(4)) },
      /P-384 key is not in uncompressed/,
    ],
    [
      'a coordinate above the prime',
      'KeyNotAllowed',
      { publicKeyDer: spki(EC_ALGORITHM, Buffer.concat([Uint8Array.of(4), Buffer.alloc(64, 0xff)])) },
      /cannot be read/,
    ],
    ['a key on P-224', 'KeyNotAllowed', { key: generateKeyPairSync('ec', { namedCurve: 'P-224' }) }, /curve/],
    ['an Ed448 key', 'KeyNotAllowed', { publicKeyDer: spki(sequence(oid('1.3.101.113')), point(4)) }, /101\.113/],
    ['an X25519 key', 'KeyNotAllowed', { publicKeyDer: spki(sequence(oid('1.3.101.110')), point(4)) }, /101\.110/],
    [
      'an ML-DSA-65 key',
      'KeyNotAllowed',
      { publicKeyDer: spki(sequence(oid('2.16.840.1.101.3.4.3.18')), point(4)) },
      /2\.16\.840\.1\.101\.3\.4\.3\.18/,
    ],
    [
      'a key that is not whole octets',
      'KeyNotAllowed',
      { publicKeyDer: sequence(EC_ALGORITHM, der(0x03, Uint8Array.of(1), point(4).fill(0, 64))) },
      /not algorithm and bits/,
    ],
    ['a key without bits', 'KeyNotAllowed', { publicKeyDer: sequence(EC_ALGORITHM) }, /not algorithm and bits/],
    [
      'a third value in the key',
      'KeyNotAllowed',
      { publicKeyDer: sequence(EC_ALGORITHM, bitString(point(4)), der(0x05)) },
      /not algorithm and bits/,
    ],
    [
      'a third value in the key algorithm',
      'KeyNotAllowed',
      { publicKeyDer: spki(sequence(oid(OID.ecPublicKey), oid(OID.p256), der(0x05)), point(4)) },
      /not algorithm and bits/,
    ],
    [
      'a key algorithm that is no identifier',
      'KeyNotAllowed',
      { publicKeyDer: spki(sequence(der(0x0c)), point(4)) },
      /not algorithm and bits/,
    ],
    [
      'a signature without a private key, by exponent and padding',
      'KeyNotAllowed',
      {
        publicKeyDer: rsaKey(2048, Uint8Array.of(1)),
        signature: Buffer.alloc(256, 1),
        signatureAlgorithmDer: sequence(oid(OID.sha256WithRsa), der(0x05)),
      },
      /exponent/,
    ],
  ]);
});
