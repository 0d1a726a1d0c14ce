/** Reads for `doctor`: what tells of the state of a cluster. Nothing here writes. */
import type { ControllerManager } from '../doctor/observations.ts';
import type { Rbac, RbacBinding, RbacRole, RbacRule, RbacSubject } from '../doctor/rbac.ts';
import { isRemote } from '../errors.ts';
import { listAll } from './list-watch.ts';
import type { ApiRequest, Transport } from './transport.ts';
import { listAt, objectAt, readMeta, textAt, textMapAt, textsAt, timeAt } from './wire.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const SYSTEM = '/namespaces/kube-system';
/** How kubeadm and kOps mark the pods of kube-controller-manager. */
const CONTROLLER_MANAGER_LABELS = ['component=kube-controller-manager', 'k8s-app=kube-controller-manager'];

/** The user that the API server takes us for, and its groups. */
export async function whoAmI(
  transport: Transport,
  signal: AbortSignal,
): Promise<{ readonly username: string; readonly groups: readonly string[] }> {
  const version = 'authentication.k8s.io/v1';
  const resource = 'selfsubjectreviews';
  const body = { apiVersion: version, kind: 'SelfSubjectReview' };
  const request: ApiRequest = { verb: 'create', resource, path: `/apis/${version}/${resource}`, body };
  const status = objectAt(objectAt(await transport.call(request, signal))['status']);
  const { username, groups } = objectAt(status['userInfo']);
  return { username: textAt(username), groups: textsAt(groups) };
}

/** Every role and binding. */
export async function readRbac(transport: Transport, signal: AbortSignal): Promise<Rbac> {
  const all = <T>(resource: string, read: (object: unknown) => T): Promise<T[]> =>
    listAll({ transport, resource, path: `${RBAC}/${resource}`, selectors: {}, read }, signal);
  const [clusterRoles, roles, clusterBindings, bindings] = await Promise.all([
    all('clusterroles', readRole),
    all('roles', readRole),
    all('clusterrolebindings', readBinding),
    all('rolebindings', readBinding),
  ]);
  return { roles: [...clusterRoles, ...roles], bindings: [...clusterBindings, ...bindings] };
}

function readRole(object: unknown): RbacRole {
  const rules = listAt(objectAt(object)['rules']).map((rule): RbacRule => {
    const { verbs, apiGroups, resources, resourceNames } = objectAt(rule);
    return {
      verbs: textsAt(verbs),
      apiGroups: textsAt(apiGroups),
      resources: textsAt(resources),
      resourceNames: textsAt(resourceNames),
    };
  });
  return { ...placeOf(object), rules };
}

function readBinding(object: unknown): RbacBinding {
  const { roleRef, subjects } = objectAt(object);
  return {
    ...placeOf(object),
    roleKind: textAt(objectAt(roleRef)['kind']),
    roleName: textAt(objectAt(roleRef)['name']),
    subjects: listAt(subjects).map((subject): RbacSubject => {
      const { kind, name, namespace } = objectAt(subject);
      return { kind: textAt(kind), name: textAt(name), namespace: textAt(namespace) };
    }),
  };
}

function placeOf(object: unknown): { name: string; namespace: string } {
  return { name: readMeta(object).name, namespace: textAt(objectAt(objectAt(object)['metadata'])['namespace']) };
}

/** Its leader lease, and the command lines of its pods; either may be missing. */
export async function readControllerManager(transport: Transport, signal: AbortSignal): Promise<ControllerManager> {
  const path = `/apis/coordination.k8s.io/v1${SYSTEM}/leases/kube-controller-manager`;
  const [lease, ...commands] = await Promise.all([
    found(transport.call({ verb: 'get', resource: 'leases', path }, signal)),
    ...CONTROLLER_MANAGER_LABELS.map((labelSelector) => {
      const selectors = { labelSelector };
      return listAll(
        { transport, resource: 'pods', path: `/api/v1${SYSTEM}/pods`, selectors, read: readCommand },
        signal,
      );
    }),
  ]);
  return { renewedAt: timeAt(objectAt(objectAt(lease)['spec'])['renewTime']), commands: commands.flat() };
}

function readCommand(object: unknown): string[] | undefined {
  const words = listAt(objectAt(objectAt(object)['spec'])['containers']).flatMap((container) => {
    const { command, args } = objectAt(container);
    return [...textsAt(command), ...textsAt(args)];
  });
  return words.length === 0 ? undefined : words;
}

/** PEM of the CAs that the API server trusts client certificates of; '' where it trusts none. */
export async function readClientCas(transport: Transport, signal: AbortSignal): Promise<string> {
  const path = `/api/v1${SYSTEM}/configmaps/extension-apiserver-authentication`;
  const map = objectAt(await transport.call({ verb: 'get', resource: 'configmaps', path }, signal));
  return textMapAt(map['data'])['client-ca-file'] ?? '';
}

async function found(call: Promise<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    if (isRemote(error, 'NotFound')) return undefined;
    throw error;
  }
}
