import { createPrivateKey, type KeyObject } from 'node:crypto';
import { messageOf, RefusedError } from '../errors.ts';
import { EXACT } from '../pki/certificate-check.ts';
import { type CertificateBuilder, certificateBuilder, type IssuerAlgorithm } from '../pki/certificate-builder.ts';
import { readSigningCa } from '../pki/signing-ca.ts';
import { readBundle } from '../pki/trust.ts';
import type { Authority } from '../ports.ts';

/** The texts of a CA key pair. */
export interface PairTexts {
  /** One certificate, or the signing one followed by others; only those that lead from it to its root are used. */
  readonly certPem: string;
  /** PKCS#8, PKCS#1 or SEC 1, not encrypted. */
  readonly keyPem: string;
}

/** A CA key pair whose parts were held against each other. */
export interface Pair {
  readonly authority: Authority;
  readonly key: KeyObject;
  readonly algorithm: IssuerAlgorithm;
  readonly builder: CertificateBuilder;
  /** PEM that follows the leaf: the CA and its intermediates, '' for a root. */
  readonly chainPem: string;
}

const SMALLEST_RSA = 2048;

/**
 * Reads a CA key pair and holds that it can sign: the key fits the first certificate, which is a CA that may sign
 * certificates and has not expired at `now`; the key is RSA of at least 2048 bits, P-256 or P-384.
 * Throws RefusedError `AuthorityUnusable`; its text never holds any of the key.
 */
export function readPair(texts: PairTexts, now: number): Pair {
  const ca = readSigningCa(texts.certPem, now);
  const key = readPrivateKey(texts.keyPem);
  if (!ca.certificate.checkPrivateKey(key)) {
    const later = readBundle(texts.certPem).some((certificate) => certificate.checkPrivateKey(key));
    throw unusable(`the key does not fit ${later ? 'the first certificate, but a later one' : 'the certificate'}`);
  }
  const { fields, notBefore, notAfter, certificatePem, chainPem } = ca;
  const algorithm = algorithmOf(key);
  return {
    authority: { ...fields, notBefore, notAfter, certificatePem, latitude: EXACT },
    key,
    algorithm,
    builder: certificateBuilder({ ...fields, algorithm }),
    chainPem,
  };
}

function readPrivateKey(text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (error) {
    throw new RefusedError('AuthorityUnusable', `the key cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function algorithmOf(key: KeyObject): IssuerAlgorithm {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= SMALLEST_RSA) return 'sha256WithRSAEncryption';
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ecdsa-with-SHA256';
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'secp384r1') return 'ecdsa-with-SHA384';
  const size = namedCurve ?? (modulusLength === 0 ? '' : `${modulusLength} bits`);
  throw unusable(
    `the key is ${key.asymmetricKeyType ?? 'unknown'} ${size}, not RSA of 2048 bits or more, P-256 or P-384`,
  );
}

function unusable(message: string): RefusedError {
  return new RefusedError('AuthorityUnusable', message);
}
