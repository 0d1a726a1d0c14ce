import { createHash, X509Certificate } from 'node:crypto';

/** What is read of a certificate in the status of a CSR, whoever signed it. */
export interface IssuedCertificate {
  /** SHA-256 of its DER, 64 lower-case hex digits: what the API server puts into `credential-id`. */
  readonly fingerprint: string;
  /** SHA-256 of its SubjectPublicKeyInfo, hex. */
  readonly key: string;
  readonly commonName: string;
  /** Hex, as OpenSSL writes it. */
  readonly serial: string;
  /** ms since the epoch. */
  readonly notAfter: number;
  /** Key identifier of the CA (authorityKeyIdentifier), hex; '' where it names none. */
  readonly issuer: string;
  /** IP addresses of its subjectAltName, as `formatAddress` writes them. */
  readonly addresses: readonly string[];
}

/** Reads the first certificate of a PEM text; undefined when it is unreadable. */
export function summariseCertificate(pem: Uint8Array | string): IssuedCertificate | undefined {
  try {
    const certificate = new X509Certificate(pem);
    const key = certificate.publicKey.export({ type: 'spki', format: 'der' });
    return {
      fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      key: createHash('sha256').update(key).digest('hex'),
      serial: certificate.serialNumber,
      commonName: /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '',
      notAfter: Date.parse(certificate.validTo),
      issuer: '',
      addresses: [...(certificate.subjectAltName ?? '').matchAll(/IP Address:([^,]+)/g)].map(([, ip = '']) =>
        ip.trim().toLowerCase(),
      ),
    };
  } catch {
    return undefined;
  }
}
