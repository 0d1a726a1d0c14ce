import { isRemote } from '../errors.ts';
import { canonicalAddress } from '../policy/addresses.ts';
import type { Transport } from './transport.ts';
import { listAt, objectAt, textMapAt, textsAt } from './wire.ts';

const SERVICE_CIDRS = '/apis/networking.k8s.io/v1/servicecidrs';
const ENDPOINT_SLICES = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';

/** The CIDRs that Services get their addresses from; none where the API server has no such objects (before 1.33). */
export async function serviceCidrs(transport: Transport, signal: AbortSignal): Promise<string[]> {
  try {
    const list = objectAt(
      await transport.call({ verb: 'list', resource: 'servicecidrs', path: SERVICE_CIDRS }, signal),
    );
    return listAt(list['items']).flatMap((item) => textsAt(objectAt(objectAt(item)['spec'])['cidrs']));
  } catch (error) {
    if (isRemote(error, 'NotFound')) return [];
    throw error;
  }
}

/** Where the API server is reached, in canonical form: the endpoints of Service `default/kubernetes`. */
export async function apiServerAddresses(transport: Transport, signal: AbortSignal): Promise<string[]> {
  const query = { labelSelector: 'kubernetes.io/service-name=kubernetes' };
  const list = objectAt(
    await transport.call({ verb: 'list', resource: 'endpointslices', path: ENDPOINT_SLICES, query }, signal),
  );
  return listAt(list['items'])
    .flatMap((slice) => listAt(objectAt(slice)['endpoints']))
    .flatMap((endpoint) => textsAt(objectAt(endpoint)['addresses']))
    .flatMap((address) => canonicalAddress(address) ?? []);
}

/** One key of a ConfigMap; undefined when there is no such map or key. */
export async function configMapKey(
  transport: Transport,
  namespace: string,
  name: string,
  key: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const path = `/api/v1/namespaces/${namespace}/configmaps/${encodeURIComponent(name)}`;
    const map = objectAt(await transport.call({ verb: 'get', resource: 'configmaps', path }, signal));
    return textMapAt(map['data'])[key];
  } catch (error) {
    if (isRemote(error, 'NotFound')) return undefined;
    throw error;
  }
}
