import { X509Certificate } from 'node:crypto';
import { messageOf, RefusedError } from '../errors.ts';
import { type AuthorityFields, readAuthorityCertificate } from './authority-certificate.ts';
import { CERTIFICATE_BLOCK, formatPem } from './pem.ts';
import { checkStrictDer } from './strict-der.ts';

/** The certificate of a CA that may sign now. */
export interface SigningCa {
  readonly certificate: X509Certificate;
  readonly fields: AuthorityFields;
  /** ms since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** PEM: the certificate, and after it those that lead to its root, without the root. */
  readonly certificatePem: string;
  /** PEM that follows a leaf: the same, and '' for a root. */
  readonly chainPem: string;
}

/**
 * Reads the first certificate of a PEM text, which must be that of a CA that may sign certificates and has not expired
 * at `now`; of the others those that lead to its root are used. Throws RefusedError `AuthorityUnusable`.
 */
export function readSigningCa(certPem: string, now: number): SigningCa {
  const [certificate, ...others] = readCertificates(certPem);
  if (certificate === undefined) throw unusable('there is no certificate');
  const fields = readAuthorityCertificate(certificate.raw);
  // `ca` means BasicConstraints CA:TRUE, and keyCertSign where there is a KeyUsage.
  if (fields === undefined || !certificate.ca) throw unusable('the certificate is not that of a CA that may sign');
  const subjectProblem = checkStrictDer(fields.subjectDer);
  if (subjectProblem !== undefined) throw unusable(`the subject of the certificate is not DER: ${subjectProblem}`);
  const notAfter = certificate.validToDate.getTime();
  if (now >= notAfter) throw unusable(`the certificate expired at ${new Date(notAfter).toISOString()}`);
  const chain = chainOf(certificate, others);
  return {
    certificate,
    fields,
    notBefore: certificate.validFromDate.getTime(),
    notAfter,
    certificatePem: pemOf(chain.length === 0 ? [certificate] : chain),
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

/** Whether one certificate was signed with the key of the other, under its name. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function pemOf(certificates: readonly X509Certificate[]): string {
  return certificates.map((certificate) => formatPem('CERTIFICATE', certificate.raw)).join('');
}

function unusable(message: string): RefusedError {
  return new RefusedError('AuthorityUnusable', message);
}
