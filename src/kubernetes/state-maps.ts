import { isRemote, RemoteError } from '../errors.ts';
import { isShard, readClaims, readShard, tokenOfClaimsMap } from '../nodes/record-format.ts';
import type { StateMap, StateMaps } from '../ports.ts';
import type { ListWatch } from '../runtime/informer.ts';
import { MANAGED_BY, MANAGED_BY_LABEL } from '../tokens/token-secret.ts';
import { allPages, listWatch } from './list-watch.ts';
import type { Transport } from './transport.ts';
import { objectAt, readMeta, textMapAt } from './wire.ts';

const RESOURCE = 'configmaps';
/** Marks the ConfigMaps that are ours: the watch sees no other. */
const STATE_LABEL = 'kubelet-bootstrap/state';
const MERGE_PATCH = 'application/merge-patch+json';
/** Where it is not known who owns which key, none is worked out: a sixth of what a patch of 40 keys costs the API server. */
const NO_FIELD_OWNERS = [{}];

function readStateMap(object: unknown): StateMap {
  const { name, uid, resourceVersion, createdAt } = readMeta(object);
  const data = textMapAt(objectAt(object)['data']);
  return {
    name,
    uid,
    resourceVersion,
    createdAt,
    records: isShard(name) ? readShard(data) : new Map(),
    claims: tokenOfClaimsMap(name) === undefined ? new Map() : readClaims(data),
  };
}

function pathOf(namespace: string): string {
  return `/api/v1/namespaces/${namespace}/configmaps`;
}

/** The ConfigMaps with node records and claims, parsed as soon as they are read. */
export function stateMapListWatch(transport: Transport, namespace: string): ListWatch<StateMap> {
  return listWatch<StateMap>({
    transport,
    resource: RESOURCE,
    path: pathOf(namespace),
    selectors: { labelSelector: STATE_LABEL },
    read: readStateMap,
    keyOf: (map) => map.name,
    identityOf: (map) => map.uid,
  });
}

/** Reads and writes them one by one. */
export function stateMaps(transport: Transport, namespace: string): StateMaps {
  const path = pathOf(namespace);
  const at = (name: string): string => `${path}/${encodeURIComponent(name)}`;
  const patch = async (
    name: string,
    data: Readonly<Record<string, string | null>>,
    resourceVersion: string | undefined,
    signal: AbortSignal,
  ): Promise<StateMap> => {
    const body = { data, metadata: { resourceVersion, managedFields: NO_FIELD_OWNERS } };
    return readStateMap(
      await transport.call(
        { verb: 'patch', resource: RESOURCE, path: at(name), contentType: MERGE_PATCH, body },
        signal,
      ),
    );
  };
  const create = async (
    name: string,
    changes: Readonly<Record<string, string | null>>,
    signal: AbortSignal,
  ): Promise<StateMap> => {
    const data = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== null));
    const labels = { [MANAGED_BY_LABEL]: MANAGED_BY, [STATE_LABEL]: isShard(name) ? 'node-records' : 'token-claims' };
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data };
    return readStateMap(await transport.call({ verb: 'create', resource: RESOURCE, path, body }, signal));
  };
  return {
    list: (signal) => allPages(stateMapListWatch(transport, namespace), signal),
    get: async (name, signal) => {
      try {
        return readStateMap(await transport.call({ verb: 'get', resource: RESOURCE, path: at(name) }, signal));
      } catch (error) {
        if (isRemote(error, 'NotFound')) return undefined;
        throw error;
      }
    },
    write: async (name, changes, expected, signal) => {
      if (expected === '') return createOnly(() => create(name, changes, signal));
      try {
        return await patch(name, changes, expected, signal);
      } catch (error) {
        if (!isRemote(error, 'NotFound') || expected !== undefined) throw error;
      }
      try {
        return await create(name, changes, signal);
      } catch (error) {
        if (!isRemote(error, 'AlreadyExists')) throw error;
        return patch(name, changes, undefined, signal);
      }
    },
    remove: async (map, signal) => {
      try {
        const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: map.uid } };
        await transport.call({ verb: 'delete', resource: RESOURCE, path: at(map.name), body }, signal);
      } catch (error) {
        if (!isRemote(error, 'NotFound', 'Conflict')) throw error;
      }
    },
  };
}

/** Somebody else was first: the same to the caller as any other lost race. */
async function createOnly(create: () => Promise<StateMap>): Promise<StateMap> {
  try {
    return await create();
  } catch (error) {
    if (!isRemote(error, 'AlreadyExists')) throw error;
    throw new RemoteError('kubernetes', 'Conflict', error.message, { status: error.status, cause: error });
  }
}
