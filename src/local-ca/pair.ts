import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { messageOf, RefusedError } from '../errors.ts';
import { readAuthorityCertificate } from '../pki/authority-certificate.ts';
import { EXACT } from '../pki/certificate-check.ts';
import { type CertificateBuilder, certificateBuilder, type IssuerAlgorithm } from '../pki/certificate-builder.ts';
import { formatPem } from '../pki/pem.ts';
import { checkStrictDer } from '../pki/strict-der.ts';
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
const CERTIFICATE_BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Reads a CA key pair and holds that it can sign: the key fits the first certificate, which is a CA that may sign
 * certificates and has not expired at `now`; the key is RSA of at least 2048 bits, P-256 or P-384.
 * Throws RefusedError `AuthorityUnusable`; its text never holds any of the key.
 */
export function readPair(texts: PairTexts, now: number): Pair {
  const [certificate, ...others] = readCertificates(texts.certPem);
  if (certificate === undefined) throw unusable('there is no certificate');
  const key = readPrivateKey(texts.keyPem);
  const fields = readAuthorityCertificate(certificate.raw);
  // `ca` means BasicConstraints CA:TRUE, and keyCertSign where there is a KeyUsage.
  if (fields === undefined || !certificate.ca) throw unusable('the certificate is not that of a CA that may sign');
  const subjectProblem = checkStrictDer(fields.subjectDer);
  if (subjectProblem !== undefined) throw unusable(`the subject of the certificate is not DER: ${subjectProblem}`);
  if (!certificate.checkPrivateKey(key)) throw unusable('the key does not fit the certificate');
  const notAfter = certificate.validToDate.getTime();
  if (now >= notAfter) throw unusable(`the certificate expired at ${new Date(notAfter).toISOString()}`);
  const chain = chainOf(certificate, others);
  const algorithm = algorithmOf(key);
  return {
    authority: {
      subjectDer: fields.subjectDer,
      subjectKeyId: fields.subjectKeyId,
      notBefore: certificate.validFromDate.getTime(),
      notAfter,
      certificatePem: pemOf(chain.length === 0 ? [certificate] : chain),
      latitude: EXACT,
    },
    key,
    algorithm,
    builder: certificateBuilder({ ...fields, algorithm }),
    chainPem: pemOf(chain),
  };
}

function readCertificates(text: string): X509Certificate[] {
  try {
    return (text.match(CERTIFICATE_BLOCK) ?? []).map((block) => new X509Certificate(block));
  } catch (error) {
    throw new RefusedError('AuthorityUnusable', `the certificate cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
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

/** From the signing certificate up to, and without, the root; empty when the signing one is itself a root. */
function chainOf(signing: X509Certificate, others: readonly X509Certificate[]): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let current: X509Certificate | undefined = signing;
  while (current !== undefined && !isIssuedBy(current, current) && chain.length <= others.length) {
    const below: X509Certificate = current;
    chain.push(below);
    current = others.find((other) => isIssuedBy(below, other));
  }
  return chain;
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function pemOf(certificates: readonly X509Certificate[]): string {
  return certificates.map((certificate) => formatPem('CERTIFICATE', certificate.raw)).join('');
}

function unusable(message: string): RefusedError {
  return new RefusedError('AuthorityUnusable', message);
}
