import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { AlgorithmIdentifier, SubjectPublicKeyInfo } from '@peculiar/asn1-x509';
import { messageOf } from '../errors.ts';
import { OID } from './oids.ts';
import type { KeyKind, Report } from './kubelet-csr.ts';

/** A public key that passed the list. */
export interface ReadKey {
  readonly kind: KeyKind;
  readonly object: KeyObject;
}

const SMALLEST_RSA = 2048;
const LARGEST_RSA = 8192;
/** Go, so the API server too, reads no larger exponent. */
const LARGEST_EXPONENT = 2n ** 31n - 1n;

const NULL_DER = '0500';
const UNCOMPRESSED = 0x04;

/** Curves by the DER of their namedCurve parameters: a curve that is spelled out is not among them. */
const CURVES: Readonly<Record<string, { readonly curve: 'P-256' | 'P-384' | 'P-521'; readonly bytes: number }>> = {
  '06082a8648ce3d030107': { curve: 'P-256', bytes: 32 },
  '06052b81040022': { curve: 'P-384', bytes: 48 },
  '06052b81040023': { curve: 'P-521', bytes: 66 },
};

interface SignatureAlgorithm {
  readonly type: KeyKind['type'];
  readonly hash: string | null;
  /** DER of the parameters in hex; '' when there are none. */
  readonly parameters: string;
}

const SIGNATURE_ALGORITHMS: Readonly<Record<string, SignatureAlgorithm>> = {
  [OID.ecdsaWithSha256]: { type: 'ec', hash: 'sha256', parameters: '' },
  [OID.ecdsaWithSha384]: { type: 'ec', hash: 'sha384', parameters: '' },
  [OID.ecdsaWithSha512]: { type: 'ec', hash: 'sha512', parameters: '' },
  [OID.sha256WithRsa]: { type: 'rsa', hash: 'sha256', parameters: NULL_DER },
  [OID.sha384WithRsa]: { type: 'rsa', hash: 'sha384', parameters: NULL_DER },
  [OID.sha512WithRsa]: { type: 'rsa', hash: 'sha512', parameters: NULL_DER },
  [OID.ed25519]: { type: 'ed25519', hash: null, parameters: '' },
};

/**
 * Reads the public key: RSA of 2048 to 8192 bits with an odd exponent of at least 3, a point on P-256, P-384 or P-521
 * in uncompressed form, or Ed25519.
 */
export function readKey(info: SubjectPublicKeyInfo, der: Uint8Array, report: Report): ReadKey | undefined {
  const kind = kindOf(info);
  const key = typeof kind === 'string' ? kind : importKey(kind, der);
  if (typeof key !== 'string') return key;
  report('KeyNotAllowed', key);
  return undefined;
}

/** Holds that the requester has the private key: what it signed verifies under the key that was read. */
export function checkSignature(
  key: ReadKey,
  algorithm: AlgorithmIdentifier,
  signed: Uint8Array,
  signature: Uint8Array,
  report: Report,
): void {
  const known = SIGNATURE_ALGORITHMS[algorithm.algorithm];
  if (known === undefined || known.parameters !== parametersOf(algorithm)) {
    report('SignatureAlgorithmNotAllowed', `the signature algorithm is ${describe(algorithm)}`);
    return;
  }
  if (known.type !== key.kind.type) {
    const message = `the signature algorithm ${algorithm.algorithm} does not fit a key of type ${key.kind.type}`;
    report('SignatureAlgorithmNotAllowed', message);
    return;
  }
  const problem = verifySignature(known.hash, signed, key.object, signature);
  if (problem !== undefined) report('SignatureInvalid', problem);
}

function kindOf(info: SubjectPublicKeyInfo): KeyKind | string {
  const parameters = parametersOf(info.algorithm);
  const key = new Uint8Array(info.subjectPublicKey);
  switch (info.algorithm.algorithm) {
    case OID.rsaEncryption:
      return parameters === NULL_DER ? { type: 'rsa', bits: 0 } : 'the RSA key does not have NULL parameters';
    case OID.ed25519:
      return parameters === '' ? { type: 'ed25519' } : 'the Ed25519 key has parameters';
    case OID.ecPublicKey: {
      const named = CURVES[parameters];
      if (named === undefined)
        return `the curve of the key is none of P-256, P-384, P-521: ${describe(info.algorithm)}`;
      if (key[0] !== UNCOMPRESSED || key.length !== 1 + 2 * named.bytes) {
        return `the point of the ${named.curve} key is not in uncompressed form`;
      }
      return { type: 'ec', curve: named.curve };
    }
    default:
      return `the key algorithm is ${describe(info.algorithm)}`;
  }
}

/** The key as node:crypto reads it; it must write back the same bytes, so that no other reader sees another key. */
function importKey(kind: KeyKind, der: Uint8Array): ReadKey | string {
  try {
    const object = createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
    const same = Buffer.compare(object.export({ format: 'der', type: 'spki' }), der) === 0;
    if (!same) return 'the key is not in its canonical form';
    return kind.type === 'rsa' ? checkRsa(object) : { kind, object };
  } catch (error) {
    return `the key cannot be read: ${messageOf(error)}`;
  }
}

function checkRsa(object: KeyObject): ReadKey | string {
  const { modulusLength: bits = 0, publicExponent = 0n } = object.asymmetricKeyDetails ?? {};
  if (bits < SMALLEST_RSA || bits > LARGEST_RSA) {
    return `the RSA key has ${bits} bits, not ${SMALLEST_RSA} to ${LARGEST_RSA}`;
  }
  if (publicExponent < 3n || publicExponent > LARGEST_EXPONENT || publicExponent % 2n === 0n) {
    return `the RSA key has the exponent 0x${publicExponent.toString(16).slice(0, 20)}`;
  }
  return { kind: { type: 'rsa', bits }, object };
}

function verifySignature(
  hash: string | null,
  signed: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
): string | undefined {
  try {
    return verify(hash, signed, key, signature) ? undefined : 'the request is not signed with the key that it holds';
  } catch (error) {
    return `the signature cannot be verified: ${messageOf(error)}`;
  }
}

function parametersOf(algorithm: AlgorithmIdentifier): string {
  const { parameters } = algorithm;
  if (parameters === null) return NULL_DER;
  return parameters === undefined ? '' : Buffer.from(parameters).toString('hex');
}

function describe(algorithm: AlgorithmIdentifier): string {
  const parameters = parametersOf(algorithm);
  const shown = parameters.length > 40 ? `${parameters.slice(0, 40)}…` : parameters;
  return algorithm.algorithm + (shown === '' ? '' : ` with parameters ${shown}`);
}
