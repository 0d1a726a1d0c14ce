import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

export type TestAuthorityKind = 'P-256' | 'P-384' | 'P-521' | 'RSA-2048' | 'RSA-1024';

export interface TestAuthority {
  readonly certPem: string;
  /** PKCS#8. */
  readonly keyPem: string;
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

export interface TestAuthorityOptions {
  readonly subject?: string | x509.JsonName;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Issues this one; without it the CA signs itself. */
  readonly issuer?: TestAuthority;
  readonly isCa?: boolean;
  /** Without, keyCertSign; `none` for no such extension. */
  readonly keyUsage?: x509.KeyUsageFlags | 'none';
  readonly withSubjectKeyId?: boolean;
  readonly keys?: webcrypto.CryptoKeyPair;
}

const ALGORITHMS = {
  'P-256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'P-384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  'P-521': { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' },
  'RSA-2048': rsa(2048),
  'RSA-1024': rsa(1024),
};

function rsa(modulusLength: number): webcrypto.RsaHashedKeyGenParams {
  return { name: 'RSASSA-PKCS1-v1_5', modulusLength, publicExponent: Uint8Array.of(1, 0, 1), hash: 'SHA-256' };
}

/** A CA key pair, made afresh; valid from a day ago for ten years unless told otherwise. */
export async function testAuthority(
  kind: TestAuthorityKind = 'P-256',
  options: TestAuthorityOptions = {},
): Promise<TestAuthority> {
  const {
    subject = 'CN=test-ca',
    issuer,
    isCa = true,
    withSubjectKeyId = true,
    keyUsage = x509.KeyUsageFlags.keyCertSign,
  } = options;
  const algorithm = ALGORITHMS[kind];
  const keys = options.keys ?? (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']));
  const signingKeys = issuer?.keys ?? keys;
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer: issuer?.certificate.subjectName ?? subject,
    publicKey: keys.publicKey,
    signingKey: signingKeys.privateKey,
    signingAlgorithm: { ...signingKeys.privateKey.algorithm, hash: 'SHA-256' },
    notBefore: options.notBefore ?? new Date(Date.now() - 86_400_000),
    notAfter: options.notAfter ?? new Date(Date.now() + 3650 * 86_400_000),
    extensions: [
      new x509.BasicConstraintsExtension(isCa, undefined, true),
      ...(keyUsage === 'none' ? [] : [new x509.KeyUsagesExtension(keyUsage, true)]),
      ...(withSubjectKeyId ? [await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)] : []),
    ],
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    certPem: `${certificate.toString('pem')}\n`,
    keyPem: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
    certificate,
    keys,
  };
}
