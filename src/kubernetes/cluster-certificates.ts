/** Certificates that a cluster shows or keeps besides: the API server's own, its client CAs, and TLS Secrets. */
import { chainReading, readPem, singleReadings } from '../expiry/certificates.ts';
import { ALL, type ObjectReference, type Reading, type Thing } from '../expiry/thing.ts';
import { formatPem } from '../pki/pem.ts';
import type { ExpirySource } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { listAll } from './list-watch.ts';
import type { Transport } from './transport.ts';
import { objectAt, readMeta, textAt, textMapAt } from './wire.ts';

type Now = Pick<Clock, 'now'>;

const CLIENT_CAS = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';
/** Each file of it, and how its row begins. */
const CA_FILES = { 'client-ca-file': '', 'requestheader-client-ca-file': 'front proxy: ' } as const;
/** What stands for the API server where `kubectl describe` shows Events: the Service by which pods reach it. */
const API_SERVER: ObjectReference = { apiVersion: 'v1', kind: 'Service', namespace: 'default', name: 'kubernetes' };

/** What the API server shows in a handshake. */
export function servingCertificate(transport: Transport, clock: Now): ExpirySource {
  const kind = 'api-server';
  return {
    kind,
    name: transport.host,
    read: async (signal) => {
      const chain = await transport.serverCertificates(signal);
      const reading = shownReading(chain, clock.now());
      return [{ kind, name: transport.host, object: API_SERVER, reading }];
    },
  };
}

/** Of a chain in DER, as a handshake brings it. */
export function shownReading(chain: readonly Uint8Array[], now: number): Reading {
  return chainReading(readPem(chain.map((der) => formatPem('CERTIFICATE', der)).join('')), now);
}

/** Every CA whose clients it trusts. */
export function clientCas(transport: Transport, clock: Now): ExpirySource {
  const kind = 'client-ca';
  return {
    kind,
    read: async (signal) => {
      const map = await transport.call({ verb: 'get', resource: 'configmaps', path: CLIENT_CAS }, signal);
      const data = textMapAt(objectAt(map)['data']);
      return Object.entries(CA_FILES).flatMap(([file, words]) =>
        singleReadings(readPem(data[file] ?? ''), clock.now()).map(({ name, reading }): Thing => {
          return { kind, name: words + name, object: API_SERVER, reading };
        }),
      );
    },
  };
}

/** TLS Secrets of one namespace. Their private keys come along, and are not looked at. */
export function tlsSecrets(transport: Transport, namespace: string, clock: Now): ExpirySource {
  const kind = 'tls-secret';
  // The service may not write Events to other namespaces.
  const object = { apiVersion: 'v1', kind: 'Namespace', name: namespace };
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
  const selectors = { fieldSelector: 'type=kubernetes.io/tls' };
  return {
    kind,
    name: `${namespace}/${ALL}`,
    read: async (signal) => {
      const now = clock.now();
      const read = (secret: unknown): Thing => {
        const pem = Buffer.from(textAt(objectAt(objectAt(secret)['data'])['tls.crt']), 'base64').toString('latin1');
        return {
          kind,
          name: `${namespace}/${readMeta(secret).name}`,
          object,
          reading: chainReading(readPem(pem), now),
        };
      };
      return listAll({ transport, resource: 'secrets', path, selectors, read }, signal);
    },
  };
}
