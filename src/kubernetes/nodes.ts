import type { NodeObject } from '../ports.ts';
import type { ListWatch } from '../runtime/informer.ts';
import { listWatch } from './list-watch.ts';
import type { Transport } from './transport.ts';
import { readMeta } from './wire.ts';

/** A Node is 10 to 50 kB, of which a few hundred bytes are wanted; heartbeats do not change the metadata. */
const METADATA_ONLY = {
  list: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
  watch: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
};

/** The Nodes of the cluster, their metadata alone. */
export function nodeListWatch(transport: Transport): ListWatch<NodeObject> {
  return listWatch<NodeObject>({
    transport,
    resource: 'nodes',
    path: '/api/v1/nodes',
    selectors: {},
    accept: METADATA_ONLY,
    read: (object) => {
      const { name, uid, createdAt, beingDeleted } = readMeta(object);
      return { name, uid, createdAt, beingDeleted };
    },
    keyOf: (node) => node.name,
    identityOf: (node) => node.uid,
  });
}
