import { isRemote } from '../errors.ts';
import type { TokenSecrets } from '../ports/tokens.ts';
import type { ListWatch } from '../runtime/informer.ts';
import {
  formatTime,
  PUBLISHING_UNTIL,
  REPORTED_STOLEN,
  readTokenSecret,
  secretNameOfToken,
  tokenIdOfSecretName,
  type StoredSecret,
  TOKEN_NAMESPACE,
  TOKEN_SECRET_TYPE,
  type TokenRecord,
} from '../tokens/token-secret.ts';
import { allPages, listWatch } from './list-watch.ts';
import type { Transport } from './transport.ts';
import { objectAt, readMeta, textMapAt } from './wire.ts';

const PATH = `/api/v1/namespaces/${TOKEN_NAMESPACE}/secrets`;
const RESOURCE = 'secrets';
const SELECTORS = { fieldSelector: `type=${TOKEN_SECRET_TYPE}` };

function readSecret(object: unknown): StoredSecret {
  const data = Object.entries(textMapAt(objectAt(object)['data']));
  return {
    ...readMeta(object),
    data: Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')])),
  };
}

/** The bootstrap tokens of the cluster; their secret part is dropped as soon as it is read. */
export function tokenListWatch(transport: Transport): ListWatch<TokenRecord> {
  return listWatch<TokenRecord>({
    transport,
    resource: RESOURCE,
    path: PATH,
    selectors: SELECTORS,
    read: (object) => readTokenSecret(readSecret(object)),
    keyOf: (token) => token.id,
    keyOfName: tokenIdOfSecretName,
    identityOf: (token) => token.uid,
  });
}

/** Reads and writes of bootstrap-token Secrets. */
export function tokenSecrets(transport: Transport): TokenSecrets {
  const path = (id: string): string => `${PATH}/${secretNameOfToken(id)}`;
  const read = async (id: string, signal: AbortSignal): Promise<StoredSecret | undefined> => {
    try {
      return readSecret(await transport.call({ verb: 'get', resource: RESOURCE, path: path(id) }, signal));
    } catch (error) {
      if (isRemote(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  const patch = async (
    { id, uid }: TokenRecord,
    change: { readonly metadata?: object; readonly stringData?: object },
    signal: AbortSignal,
  ): Promise<void> => {
    const body = { ...change, metadata: { ...change.metadata, uid } };
    const contentType = 'application/merge-patch+json';
    await transport.call({ verb: 'patch', resource: RESOURCE, path: path(id), contentType, body }, signal);
  };
  return {
    list: (signal) => allPages(tokenListWatch(transport), signal),
    get: async (id, signal) => {
      const secret = await read(id, signal);
      return secret === undefined ? undefined : readTokenSecret(secret);
    },
    reveal: async (id, signal) => (await read(id, signal))?.data['token-secret'],
    create: async (secret, signal) => {
      const body = {
        apiVersion: 'v1',
        kind: 'Secret',
        type: TOKEN_SECRET_TYPE,
        metadata: {
          name: secret.name,
          namespace: TOKEN_NAMESPACE,
          labels: secret.labels,
          annotations: secret.annotations,
        },
        stringData: secret.data,
      };
      const created = await transport.call({ verb: 'create', resource: RESOURCE, path: PATH, body }, signal);
      const record = readTokenSecret(readSecret(created));
      if (record === undefined) throw new TypeError(`${secret.name} came back as no bootstrap token`);
      return { record, createdAt: readMeta(created).createdAt };
    },
    markPublished: (record, signal) =>
      patch(record, { metadata: { annotations: { [PUBLISHING_UNTIL]: null } } }, signal),
    markStolen: (record, at, signal) =>
      patch(record, { metadata: { annotations: { [REPORTED_STOLEN]: formatTime(at) } } }, signal),
    setExpiry: (record, expiresAt, signal) =>
      patch(record, { stringData: { expiration: formatTime(expiresAt) } }, signal),
    remove: async (record, signal) => {
      try {
        await transport.call(
          {
            verb: 'delete',
            resource: RESOURCE,
            path: path(record.id),
            body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: record.uid } },
          },
          signal,
        );
      } catch (error) {
        if (!isRemote(error, 'NotFound', 'Conflict')) throw error;
      }
    },
  };
}
