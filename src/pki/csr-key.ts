import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { messageOf } from '../errors.ts';
import { type Algorithm, derFields, hex, readAlgorithm, TAG, wholeOctets } from './der-reader.ts';
import { OID } from './oids.ts';
import type { KeyKind, Report } from './kubelet-csr.ts';
import { checkStrictDer, type DerElement } from './strict-der.ts';

/** A public key that passed the list. */
export interface ReadKey {
  readonly kind: KeyKind;
  readonly object: KeyObject;
}

const SMALLEST_RSA = 2048;
const LARGEST_RSA = 8192;
/** Go, so the API server too, reads no larger exponent. */
const LARGEST_EXPONENT = 2 ** 31 - 1;

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
 * Reads the public key (SubjectPublicKeyInfo): RSA of 2048 to 8192 bits with an odd exponent of at least 3, a point on
 * P-256, P-384 or P-521 in uncompressed form, or Ed25519. Every byte of it is held here, so no reader sees another key.
 */
export function readKey(info: DerElement, report: Report): ReadKey | undefined {
  const [identifier, bits] = derFields(info, [TAG.sequence, TAG.bitString]) ?? [];
  const algorithm = identifier && readAlgorithm(identifier.content);
  const octets = bits && wholeOctets(bits.content);
  const kind =
    algorithm === undefined || octets === undefined ? 'the key is not algorithm and bits' : kindOf(algorithm, octets);
  const key = typeof kind === 'string' ? kind : importKey(kind, info.raw);
  if (typeof key !== 'string') return key;
  report('KeyNotAllowed', key);
  return undefined;
}

/**
 * Holds that the requester has the private key: what it signed verifies under the key that was read. `identifier` is the
 * content of an AlgorithmIdentifier.
 */
export function checkSignature(
  key: ReadKey,
  identifier: Uint8Array,
  signed: Uint8Array,
  signature: Uint8Array,
  report: Report,
): void {
  const algorithm = readAlgorithm(identifier);
  const known = algorithm && SIGNATURE_ALGORITHMS[algorithm.id];
  if (algorithm === undefined || known?.parameters !== algorithm.parameters) {
    const found = algorithm === undefined ? 'no algorithm' : describe(algorithm);
    report('SignatureAlgorithmNotAllowed', `the signature algorithm is ${found}`);
    return;
  }
  if (known.type !== key.kind.type) {
    const message = `the signature algorithm ${algorithm.id} does not fit a key of type ${key.kind.type}`;
    report('SignatureAlgorithmNotAllowed', message);
    return;
  }
  const problem = verifySignature(known.hash, signed, key.object, signature);
  if (problem !== undefined) report('SignatureInvalid', problem);
}

/** What kind of key these octets are, or why they are none that is allowed. */
function kindOf(algorithm: Algorithm, key: Uint8Array): KeyKind | string {
  const { parameters } = algorithm;
  switch (algorithm.id) {
    case OID.rsaEncryption:
      return parameters === NULL_DER ? readRsa(key) : 'the RSA key does not have NULL parameters';
    case OID.ed25519:
      return parameters === '' ? { type: 'ed25519' } : 'the Ed25519 key has parameters';
    case OID.ecPublicKey: {
      const named = CURVES[parameters];
      if (named === undefined) return `the curve of the key is none of P-256, P-384, P-521: ${describe(algorithm)}`;
      if (key[0] !== UNCOMPRESSED || key.length !== 1 + 2 * named.bytes) {
        return `the point of the ${named.curve} key is not in uncompressed form`;
      }
      return { type: 'ec', curve: named.curve };
    }
    default:
      return `the key algorithm is ${describe(algorithm)}`;
  }
}

/** RSAPublicKey (RFC 8017 §A.1.1). */
function readRsa(key: Uint8Array): KeyKind | string {
  const [list] = (checkStrictDer(key) === undefined ? derFields(key, [TAG.sequence]) : undefined) ?? [];
  const integers = list && derFields(list, [TAG.integer, TAG.integer]);
  const [modulus, exponent] = integers?.map(({ content }) => magnitude(content)) ?? [];
  if (modulus === undefined || exponent === undefined) return 'the RSA key is not modulus and exponent';
  const [first = 0] = modulus;
  const bits = modulus.length * 8 - (Math.clz32(first) - 24);
  if (bits < SMALLEST_RSA || bits > LARGEST_RSA) {
    return `the RSA key has ${bits} bits, not ${SMALLEST_RSA} to ${LARGEST_RSA}`;
  }
  if (((modulus.at(-1) ?? 0) & 1) === 0) return 'the RSA key has an even modulus';
  const value = exponent.length > 4 ? Infinity : Number(`0x${hex(exponent)}`);
  if (value < 3 || value > LARGEST_EXPONENT || value % 2 === 0) {
    return `the RSA key has the exponent 0x${hex(exponent.subarray(0, 10))}`;
  }
  return { type: 'rsa', bits };
}

/** The octets of an INTEGER above zero, the first of them not zero; undefined for others. */
function magnitude(content: Uint8Array): Uint8Array | undefined {
  const [first = 0] = content;
  if (first >= 0x80) return undefined;
  const octets = first === 0 ? content.subarray(1) : content;
  return octets.length === 0 ? undefined : octets;
}

/** The key as node:crypto reads it, which holds a point to be on its curve and an Ed25519 key to have 32 octets. */
function importKey(kind: KeyKind, der: Uint8Array): ReadKey | string {
  try {
    const key = Buffer.from(der.buffer, der.byteOffset, der.byteLength);
    return { kind, object: createPublicKey({ key, format: 'der', type: 'spki' }) };
  } catch (error) {
    return `the key cannot be read: ${messageOf(error)}`;
  }
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

function describe({ id, parameters }: Algorithm): string {
  const shown = parameters.length > 40 ? `${parameters.slice(0, 40)}…` : parameters;
  return id + (shown === '' ? '' : ` with parameters ${shown}`);
}
