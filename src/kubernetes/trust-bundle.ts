import { isRemote } from '../errors.ts';
import type { TrustBundle } from '../ports/ca.ts';
import { MANAGED_BY, MANAGED_BY_LABEL } from '../tokens/token-secret.ts';
import { configMapKey } from './cluster-addresses.ts';
import type { Transport } from './transport.ts';

const RESOURCE = 'configmaps';
/** The ConfigMap with the CAs to trust, and its key. */
export const TRUST_MAP = 'kubelet-bootstrap-cas';
export const TRUST_KEY = 'ca.crt';

/** The bundle in its ConfigMap of this namespace. */
export function trustBundle(transport: Transport, namespace: string): TrustBundle {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  return {
    read: (signal) => configMapKey(transport, namespace, TRUST_MAP, TRUST_KEY, signal),
    write: async (pem, signal) => {
      const data = { [TRUST_KEY]: pem };
      const change = { verb: 'patch', resource: RESOURCE, path: `${path}/${TRUST_MAP}` } as const;
      const contentType = 'application/merge-patch+json';
      try {
        await transport.call({ ...change, contentType, body: { data } }, signal);
      } catch (error) {
        if (!isRemote(error, 'NotFound')) throw error;
        const metadata = { name: TRUST_MAP, labels: { [MANAGED_BY_LABEL]: MANAGED_BY } };
        const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
        await transport.call({ verb: 'create', resource: RESOURCE, path, body }, signal);
      }
    },
  };
}
