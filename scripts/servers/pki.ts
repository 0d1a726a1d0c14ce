import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

/** A certificate and its key, both PEM; the key is PKCS#8. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** A CA of one start of the servers. All keys are P-256; certificates live ten years (the CA) or one (the rest). */
export interface LocalCa extends KeyPair {
  /** A serving certificate; each host is a DNS name or an IP address. It is also good as a client certificate (etcd peers). */
  server(commonName: string, hosts: readonly string[]): Promise<KeyPair>;
  /** A client certificate: the API server takes the name as user and the organizations as groups. */
  client(commonName: string, organizations?: readonly string[]): Promise<KeyPair>;
}

/** How the servers are reached: loopback only. */
export const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '::1'] as const;

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** Makes a self-signed CA. */
export async function createCa(commonName: string): Promise<LocalCa> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: new x509.Name([{ CN: [commonName] }]),
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity(3650),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      // OpenBao's PKI only takes an issuer that may sign CRLs.
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const issue = async (
    subject: x509.JsonName,
    usages: x509.ExtendedKeyUsage[],
    hosts: readonly string[],
  ): Promise<KeyPair> => {
    const leaf = await newKeys();
    const names = hosts.map((host) => ({ type: isIP(host) === 0 ? ('dns' as const) : ('ip' as const), value: host }));
    const issued = await x509.X509CertificateGenerator.create({
      subject: new x509.Name(subject),
      issuer: certificate.subjectName,
      publicKey: leaf.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ALGORITHM,
      ...validity(365),
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(usages),
        new x509.BasicConstraintsExtension(false, undefined, true),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
      ],
    });
    return { certificate: `${issued.toString('pem')}\n`, key: await privateKeyPem(leaf.privateKey) };
  };
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: await privateKeyPem(keys.privateKey),
    server: (name, hosts) =>
      issue([{ CN: [name] }], [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth], hosts),
    client: (name, organizations = []) =>
      issue(
        [...organizations.map((organization) => ({ O: [organization] })), { CN: [name] }],
        [x509.ExtendedKeyUsage.clientAuth],
        [],
      ),
  };
}

/** The key pair that service-account tokens are signed and checked with: private PKCS#8 and public SPKI, both PEM. */
export async function createServiceAccountKeys(): Promise<{ readonly publicKey: string; readonly key: string }> {
  const keys = await newKeys();
  const spki = await webcrypto.subtle.exportKey('spki', keys.publicKey);
  return { publicKey: `${x509.PemConverter.encode(spki, 'PUBLIC KEY')}\n`, key: await privateKeyPem(keys.privateKey) };
}

/** Writes NAME.crt and NAME.key (0600) and answers the path of the first. */
export function writePair(dir: string, name: string, pair: KeyPair): string {
  writeFileSync(join(dir, `${name}.key`), pair.key, { mode: 0o600 });
  writeFileSync(join(dir, `${name}.crt`), pair.certificate);
  return join(dir, `${name}.crt`);
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

/** Begins five minutes ago, so that a clock that was set back a little does not matter. */
function validity(days: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - 300_000), notAfter: new Date(now + days * DAY_MS) };
}
