import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import * as x509 from '@peculiar/x509';

export interface FakeAnswer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

const LOGIN: FakeAnswer = { status: 200, body: { auth: { client_token: 's.client-token-0123456789' } } };

/** A good entry, as KV v2 answers it. */
export const ENTRY: FakeAnswer = {
  status: 200,
  body: {
    data: {
      data: {
        token: 'abcdef.0123456789abcdef',
        expires_at: '2999-01-01T00:00:00Z',
        server: 'https://10.0.0.1:6443',
        ca_certificate: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
      },
    },
  },
};

export interface FakeVault {
  readonly address: string;
  /** PEM; trusting it is trusting this server. */
  readonly certificate: string;
  readonly connections: () => number;
  stop(): void;
}

/**
 * A Vault with one entry, for what a real one cannot be made to show: every login succeeds, every read is answered as
 * `read` says for that attempt (counted from 1; undefined: never). `valid`: its certificate, in seconds from now.
 */
export async function startFakeVault(
  read: (attempt: number) => FakeAnswer | undefined,
  onRequest: () => void = () => {},
  valid: readonly [number, number] = [-60, 60],
): Promise<FakeVault> {
  const { certificate, key } = await selfSigned(...valid);
  let attempt = 0;
  let connections = 0;
  const server = createServer({ cert: certificate, key }, (request, response) => {
    onRequest();
    const answer = request.url === '/v1/auth/approle/login' ? LOGIN : read((attempt += 1));
    request.resume().on('end', () => {
      if (answer !== undefined)
        response.writeHead(answer.status, answer.headers).end(JSON.stringify(answer.body ?? {}));
    });
  }).on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    address: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    certificate,
    connections: () => connections,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A self-signed certificate for loopback, and its key, both PEM; the times are seconds from now. */
export async function selfSigned(notBefore: number, notAfter: number): Promise<{ certificate: string; key: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() + notBefore * 1000),
    notAfter: new Date(Date.now() + notAfter * 1000),
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certificate: `${made.toString('pem')}\n`, key: x509.PemConverter.encode(key, 'PRIVATE KEY') };
}
