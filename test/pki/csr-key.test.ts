import { describe } from 'mocha';
import { der, objectIdentifier, sequence, unsignedInteger } from '../../src/pki/der-writer.ts';
import { OID } from '../../src/pki/oids.ts';
import { testKey } from '../support/csr-builder.ts';
import { refuses } from './refused-rows.ts';

const RSA_ALGORITHM = sequence(objectIdentifier(OID.rsaEncryption), der(0x05));
const EC_ALGORITHM = sequence(objectIdentifier(OID.ecPublicKey), objectIdentifier(OID.p256));
const spki = (algorithm: Uint8Array, key: Uint8Array): Uint8Array =>
  sequence(algorithm, der(0x03, Uint8Array.of(0), key));
const rsaKey = (modulusBits: number, exponent: Uint8Array): Uint8Array => {
  const modulus = Buffer.alloc(modulusBits / 8, 0xff);
  return spki(RSA_ALGORITHM, sequence(unsignedInteger(modulus), unsignedInteger(exponent)));
};
const point = (first: number): Buffer => {
  const der = testKey('P-256').publicKey.export({ type: 'spki', format: 'der' });
  return Buffer.concat([Uint8Array.of(first), der.subarray(-64)]);
};
const compressed = Buffer.concat([Uint8Array.of(2 + ((point(4).at(-1) ?? 0) & 1)), point(4).subarray(1, 33)]);
const offCurve = Buffer.from(point(4));
offCurve.writeUInt8((offCurve.at(-1) ?? 0) ^ 1, 64);

describe('pki/csr-key', () => {
  refuses([
    ['an RSA key of 1024 bits', 'KeyNotAllowed', { key: 'RSA-1024' }, /1024 bits/],
    ['an RSA key of 2040 bits', 'KeyNotAllowed', { key: 'RSA-2040' }, /2040 bits/],
    ['an RSA key of 8200 bits', 'KeyNotAllowed', { publicKeyDer: rsaKey(8200, Uint8Array.of(1, 0, 1)) }, /8200 bits/],
    ['the exponent 1', 'KeyNotAllowed', { publicKeyDer: rsaKey(2048, Uint8Array.of(1)) }, /exponent 0x1/],
    ['an even exponent', 'KeyNotAllowed', { publicKeyDer: rsaKey(2048, Uint8Array.of(4)) }, /exponent 0x4/],
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
        publicKeyDer: spki(
          sequence(objectIdentifier(OID.rsaEncryption)),
          sequence(unsignedInteger(Buffer.alloc(256, 0xff)), unsignedInteger(Uint8Array.of(3))),
        ),
      },
      /NULL/,
    ],
    ['an RSA-PSS key', 'KeyNotAllowed', { key: 'RSA-PSS' }, /1\.1\.10/],
    [
      'bytes after the RSA key',
      'KeyNotAllowed',
      {
        publicKeyDer: spki(
          RSA_ALGORITHM,
          Buffer.concat([
            sequence(unsignedInteger(Buffer.alloc(256, 0xff)), unsignedInteger(Uint8Array.of(3))),
            Uint8Array.of(0),
          ]),
        ),
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
        publicKeyDer: spki(
          sequence(objectIdentifier(OID.ecPublicKey), sequence(unsignedInteger(Uint8Array.of(1)))),
          point(4),
        ),
      },
      /curve/,
    ],
    [
      'an Ed25519 key with parameters',
      'KeyNotAllowed',
      { publicKeyDer: spki(sequence(objectIdentifier(OID.ed25519), der(0x05)), new Uint8Array(32)) },
      /Ed25519 key has parameters/,
    ],
    [
      'an Ed25519 key of 31 bytes',
      'KeyNotAllowed',
      { publicKeyDer: spki(sequence(objectIdentifier(OID.ed25519)), new Uint8Array(31)) },
      /cannot be read/,
    ],
    ['ECDSA with SHA-1', 'SignatureAlgorithmNotAllowed', { hash: 'sha1' }, /10045\.4\.1/],
    ['RSA with SHA-1', 'SignatureAlgorithmNotAllowed', { key: 'RSA-2048', hash: 'sha1' }, /1\.1\.5/],
    [
      'ECDSA with parameters',
      'SignatureAlgorithmNotAllowed',
      { signatureAlgorithmDer: sequence(objectIdentifier(OID.ecdsaWithSha256), der(0x05)) },
      /parameters 0500/,
    ],
    [
      'RSA without NULL',
      'SignatureAlgorithmNotAllowed',
      { key: 'RSA-2048', signatureAlgorithmDer: sequence(objectIdentifier(OID.sha256WithRsa)) },
      /1\.1\.11/,
    ],
    [
      'the signature algorithm of another kind of key',
      'SignatureAlgorithmNotAllowed',
      { signatureAlgorithmDer: sequence(objectIdentifier(OID.sha256WithRsa), der(0x05)) },
      /does not fit/,
    ],
    ['the signature of another key', 'SignatureInvalid', { signer: testKey('P-256', 1) }, /not signed/],
    ['an empty signature', 'SignatureInvalid', { signature: new Uint8Array() }, /signature|signed/],
    [
      'another hash than was signed with',
      'SignatureInvalid',
      { signatureAlgorithmDer: sequence(objectIdentifier(OID.ecdsaWithSha384)) },
      /not signed/,
    ],
    [
      'a signature without a private key, by exponent and padding',
      'KeyNotAllowed',
      {
        publicKeyDer: rsaKey(2048, Uint8Array.of(1)),
        signature: Buffer.alloc(256, 1),
        signatureAlgorithmDer: sequence(objectIdentifier(OID.sha256WithRsa), der(0x05)),
      },
      /exponent/,
    ],
  ]);
});
