import { isRemote } from '../errors.ts';
import type { NodeLeases } from '../ports.ts';
import { listAll } from './list-watch.ts';
import type { Transport } from './transport.ts';
import { objectAt, readMeta, timeAt } from './wire.ts';

const NODE_LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';

const NODES = '/api/v1/nodes';

/** Whether there is a Node object of that name: for a command, which watches nothing. */
export async function nodeExists(transport: Transport, node: string, signal: AbortSignal): Promise<boolean> {
  try {
    await transport.call({ verb: 'get', resource: 'nodes', path: `${NODES}/${encodeURIComponent(node)}` }, signal);
    return true;
  } catch (error) {
    if (isRemote(error, 'NotFound')) return false;
    throw error;
  }
}

/** When each Lease of a node was last renewed, ms since the epoch: for a command that asks about many nodes. */
export async function allRenewals(transport: Transport, signal: AbortSignal): Promise<Map<string, number>> {
  const read = (object: unknown): [string, number] => [
    readMeta(object).name,
    timeAt(objectAt(objectAt(object)['spec'])['renewTime']) ?? 0,
  ];
  return new Map(await listAll({ transport, resource: 'leases', path: NODE_LEASES, selectors: {}, read }, signal));
}

/** The Leases that kubelets renew every 10 s. They are read one by one: a watch would bring every heartbeat. */
export function nodeLeases(transport: Transport): NodeLeases {
  return {
    renewedAt: async (node, signal) => {
      try {
        const path = `${NODE_LEASES}/${encodeURIComponent(node)}`;
        const lease = objectAt(await transport.call({ verb: 'get', resource: 'leases', path }, signal));
        return timeAt(objectAt(lease['spec'])['renewTime']);
      } catch (error) {
        if (isRemote(error, 'NotFound')) return undefined;
        throw error;
      }
    },
  };
}
