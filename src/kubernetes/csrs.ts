import type { Condition, Csr, CsrWriter } from '../ports.ts';
import { isRemote } from '../errors.ts';
import type { IssuedCertificate } from '../pki/certificate-summary.ts';
import { LARGEST_REQUEST_BYTES } from '../pki/pkcs10.ts';
import type { ListWatch } from '../runtime/informer.ts';
import { IssuedCertificates } from './issued-certificates.ts';
import { listWatch } from './list-watch.ts';
import { TextPool } from './text-pool.ts';
import type { Transport } from './transport.ts';
import { listAt, objectAt, readMeta, textAt, textsAt, timeAt, type WireObject } from './wire.ts';

const PATH = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const RESOURCE = 'certificatesigningrequests';
/** The answer to a PUT shrinks from 2 kB to 218 bytes; the new resourceVersion is all that is wanted of it. */
const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const NO_BYTES = new Uint8Array();
/** Read as `RequestTooLarge`: stands for what is not kept in memory. */
const TOO_MANY_BYTES = new Uint8Array(LARGEST_REQUEST_BYTES + 1);
const LARGEST_BASE64 = Math.ceil((LARGEST_REQUEST_BYTES + 1) / 3) * 4;
/** Metadata is echoed in every write; a CSR with more than this is never written to. */
const LARGEST_METADATA = 16 * 1024;
const NO_CONDITIONS: readonly Condition[] = Object.freeze([]);
const NO_ADDRESSES: readonly string[] = Object.freeze([]);
const NO_EXTRA: Csr['requester']['extra'] = Object.freeze({});
const NO_METADATA = { labels: {}, annotations: {}, finalizers: [] };

/**
 * Reads a CertificateSigningRequest. Throws RemoteError `Unreadable` when it is none. `keepRequest` keeps the request
 * bytes of a settled one, too: for `explain`, not for the copy in memory.
 */
export function readCsr(
  object: unknown,
  keepRequest = false,
  pool = new TextPool(),
  certificates = new IssuedCertificates(),
): Csr {
  const meta = readMeta(object);
  const spec = objectAt(objectAt(object)['spec']);
  const status = objectAt(objectAt(object)['status']);
  const certificate = textAt(status['certificate']);
  const conditions = readConditions(status['conditions'], pool);
  const settled = certificate !== '' || conditions.some((condition) => condition.type === 'Denied');
  const username = textAt(spec['username']);
  const expirationSeconds = spec['expirationSeconds'];
  const hasLargeMetadata = sizeOf(meta) > LARGEST_METADATA;
  return {
    ...meta,
    ...(hasLargeMetadata ? NO_METADATA : {}),
    hasLargeMetadata,
    signerName: pool.text(textAt(spec['signerName'])),
    requester: {
      username,
      uid: textAt(spec['uid']),
      groups: pool.list(textsAt(spec['groups'])),
      extra: spec['extra'] === undefined ? NO_EXTRA : textListsAt(spec['extra']),
    },
    usages: pool.list(textsAt(spec['usages'])),
    expirationSeconds: typeof expirationSeconds === 'number' ? expirationSeconds : undefined,
    request: settled && !keepRequest ? NO_BYTES : requestAt(spec['request']),
    conditions,
    issued: certificate !== '',
    certificate: certificate === '' ? undefined : slim(certificates.shown(certificate), username, pool),
  };
}

function textListsAt(value: unknown): Record<string, readonly string[]> {
  return Object.fromEntries(Object.entries(objectAt(value)).map(([key, texts]) => [key, textsAt(texts)]));
}

function requestAt(base64: unknown): Uint8Array {
  const text = textAt(base64);
  return text.length > LARGEST_BASE64 ? TOO_MANY_BYTES : Buffer.from(text, 'base64');
}

function sizeOf({ labels, annotations, finalizers }: Pick<Csr, 'labels' | 'annotations' | 'finalizers'>): number {
  const texts = [...Object.entries(labels).flat(), ...Object.entries(annotations).flat(), ...finalizers];
  return texts.reduce((size, text) => size + text.length, 0);
}

/** Thousands that were decided on in the same second say the same. */
function readConditions(wire: unknown, pool: TextPool): readonly Condition[] {
  if (wire === undefined) return NO_CONDITIONS;
  return pool.made(JSON.stringify(wire), () => listAt(wire).map((item) => readCondition(objectAt(item), pool)));
}

/** Without copies of texts that all certificates, or this one and its request, have in common. */
function slim(certificate: IssuedCertificate | undefined, username: string, pool: TextPool): Csr['certificate'] {
  if (certificate === undefined) return undefined;
  const { commonName, issuer, addresses } = certificate;
  return {
    ...certificate,
    commonName: commonName === username ? username : commonName,
    issuer: pool.text(issuer),
    addresses: addresses.length === 0 ? NO_ADDRESSES : addresses,
  };
}

function readCondition(wire: WireObject, pool: TextPool): Condition {
  return {
    type: pool.text(textAt(wire['type'])),
    status: pool.text(textAt(wire['status'])),
    reason: pool.text(textAt(wire['reason'])),
    message: pool.text(textAt(wire['message'])),
    lastUpdateTime: timeAt(wire['lastUpdateTime']),
    lastTransitionTime: timeAt(wire['lastTransitionTime']),
  };
}

/** CSRs of one signer, or of every signer where it is undefined. `certificates` is that of a writer beside it. */
export function csrListWatch(
  transport: Transport,
  signerName: string | undefined,
  certificates = new IssuedCertificates(),
): ListWatch<Csr> {
  const pool = new TextPool();
  return listWatch<Csr>({
    transport,
    resource: RESOURCE,
    path: PATH,
    selectors: signerName === undefined ? {} : { fieldSelector: `spec.signerName=${signerName}` },
    read: (object) => readCsr(object, false, pool, certificates),
    keyOf: (csr) => csr.name,
    identityOf: (csr) => csr.uid,
  });
}

/** Writes to `/approval` and `/status` with PUT: no right to patch is needed, and nobody else's change is lost. */
export function csrWriter(transport: Transport, certificates = new IssuedCertificates()): CsrWriter {
  const put = async (
    csr: Csr,
    subresource: 'approval' | 'status',
    change: { conditions?: readonly Condition[]; certificate?: string },
    signal: AbortSignal,
  ): Promise<Csr> => {
    const conditions = change.conditions ?? csr.conditions;
    const answer = await transport.call(
      {
        verb: 'update',
        resource: `${RESOURCE}/${subresource}`,
        path: `${PATH}/${encodeURIComponent(csr.name)}/${subresource}`,
        accept: METADATA_ONLY,
        body: wireOf(csr, conditions, change.certificate),
      },
      signal,
    );
    return { ...csr, conditions, resourceVersion: readMeta(answer).resourceVersion };
  };
  const condition = (type: string, reason: string, message: string): Condition => ({
    type,
    status: 'True',
    reason,
    message,
    lastUpdateTime: undefined,
    lastTransitionTime: undefined,
  });
  return {
    get: async (name, signal) => {
      try {
        const path = `${PATH}/${encodeURIComponent(name)}`;
        return readCsr(await transport.call({ verb: 'get', resource: RESOURCE, path }, signal), true);
      } catch (error) {
        if (isRemote(error, 'NotFound')) return undefined;
        throw error;
      }
    },
    decide: (csr, type, reason, message, signal) =>
      put(csr, 'approval', { conditions: [...csr.conditions, condition(type, reason, message)] }, signal),
    issue: async (csr, certificatePem, signal) => {
      const certificate = Buffer.from(certificatePem, 'utf8').toString('base64');
      // Before it is written: the watch may be faster than the answer.
      const read = certificates.written(certificate, certificatePem);
      const written = await put(csr, 'status', { certificate }, signal);
      return { ...written, issued: true, certificate: read() };
    },
    fail: (csr, reason, message, signal) =>
      put(csr, 'status', { conditions: [...csr.conditions, condition('Failed', reason, message)] }, signal),
    remove: async (csr, signal) => {
      await transport.call(
        {
          verb: 'delete',
          resource: RESOURCE,
          path: `${PATH}/${encodeURIComponent(csr.name)}`,
          body: {
            apiVersion: 'v1',
            kind: 'DeleteOptions',
            preconditions: { uid: csr.uid, resourceVersion: csr.resourceVersion },
          },
        },
        signal,
      );
    },
  };
}

/** What a PUT has to carry: what is left out of metadata and conditions is wiped, the spec is kept by the server. */
function wireOf(csr: Csr, conditions: readonly Condition[], certificate: string | undefined): unknown {
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: {
      name: csr.name,
      uid: csr.uid,
      resourceVersion: csr.resourceVersion,
      labels: csr.labels,
      annotations: csr.annotations,
      finalizers: csr.finalizers,
    },
    status: {
      conditions: conditions.map((item) => ({
        type: item.type,
        status: item.status,
        reason: item.reason,
        message: item.message,
        ...(item.lastUpdateTime === undefined ? {} : { lastUpdateTime: new Date(item.lastUpdateTime).toISOString() }),
        ...(item.lastTransitionTime === undefined
          ? {}
          : { lastTransitionTime: new Date(item.lastTransitionTime).toISOString() }),
      })),
      ...(certificate === undefined ? {} : { certificate }),
    },
  };
}
