/** Reading RBAC: which rules a subject is given, and what a rule allows (k8s.io/kubernetes, pkg/apis/rbac/v1). */

export interface RbacRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  /** Empty: every name. */
  readonly resourceNames: readonly string[];
}

/** A ClusterRole (no namespace) or a Role. */
export interface RbacRole {
  readonly namespace: string;
  readonly name: string;
  readonly rules: readonly RbacRule[];
}

export interface RbacSubject {
  /** `User`, `Group` or `ServiceAccount`. */
  readonly kind: string;
  readonly name: string;
  /** Of a service account. */
  readonly namespace: string;
}

/** A ClusterRoleBinding (no namespace) or a RoleBinding. */
export interface RbacBinding {
  readonly namespace: string;
  readonly name: string;
  /** `ClusterRole` or `Role`. */
  readonly roleKind: string;
  readonly roleName: string;
  readonly subjects: readonly RbacSubject[];
}

/** Every role and binding of the cluster. */
export interface Rbac {
  readonly roles: readonly RbacRole[];
  readonly bindings: readonly RbacBinding[];
}

/** One rule that a subject has, through one binding. */
export interface Grant {
  /** `user x` or `group x`; a service account is the user that the API server takes it for. */
  readonly subject: string;
  /** Where the rule holds; '' in the whole cluster. */
  readonly namespace: string;
  readonly rule: RbacRule;
  /** `ClusterRoleBinding x`, for people. */
  readonly by: string;
}

/** What a rule is asked for. `names` are alternatives: any of them will do. */
export interface Wanted {
  readonly verbs: readonly string[];
  readonly group: string;
  /** With its subresource: `certificatesigningrequests/approval`. */
  readonly resource: string;
  readonly names?: readonly string[];
}

/** Every rule that somebody has. Bindings of roles that are not there give nothing. */
export function grantsOf({ roles, bindings }: Rbac): Grant[] {
  const rules = new Map(roles.map((role) => [keyOf(role.namespace, role.name), role.rules]));
  return bindings.flatMap((binding) => {
    const key = keyOf(binding.roleKind === 'ClusterRole' ? '' : binding.namespace, binding.roleName);
    const by = `${binding.namespace === '' ? 'Cluster' : ''}RoleBinding ${binding.name}`;
    return binding.subjects.flatMap((subject) =>
      (rules.get(key) ?? []).map((rule) => ({ subject: nameOf(subject), namespace: binding.namespace, rule, by })),
    );
  });
}

const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

function nameOf({ kind, name, namespace }: RbacSubject): string {
  if (kind === 'ServiceAccount') return `user system:serviceaccount:${namespace}:${name}`;
  return `${kind === 'Group' ? 'group' : 'user'} ${name}`;
}

/** Whether the rule allows one of the verbs on the resource; with `names`, on one of these. */
export function allows(rule: RbacRule, { verbs, group, resource, names }: Wanted): boolean {
  const [, subresource] = resource.split('/');
  const resources = ['*', resource, ...(subresource === undefined ? [] : [`*/${subresource}`])];
  return (
    hasOne(rule.verbs, ['*', ...verbs]) &&
    hasOne(rule.apiGroups, ['*', group]) &&
    hasOne(rule.resources, resources) &&
    (rule.resourceNames.length === 0 || names === undefined || hasOne(rule.resourceNames, names))
  );
}

const hasOne = (list: readonly string[], wanted: readonly string[]): boolean =>
  list.some((item) => wanted.includes(item));

/** A subject for people: `service account kube-system/x`, `group x`. */
export function describeSubject(subject: string): string {
  return subject.replace(/^user system:serviceaccount:([^:]+):(.+)$/, 'service account $1/$2');
}

/** `get, list secrets`, for people. */
export function describeRule({ verbs, resources, resourceNames }: RbacRule): string {
  const names = resourceNames.length === 0 ? '' : ` ${resourceNames.join(', ')}`;
  return `${verbs.join(', ')} ${resources.join(', ')}${names}`;
}
