/** Which node, or which pool of nodes, a bootstrap token is for (DESIGN D1). */
export type Binding =
  | { readonly kind: 'node'; readonly node: string }
  | { readonly kind: 'pool'; readonly pool: string };

export const BOOTSTRAPPERS_GROUP = 'system:bootstrappers';
const NODE_GROUP = 'system:bootstrappers:node:';
const POOL_GROUP = 'system:bootstrappers:pool:';

/** The API server refuses the login of a token with a longer group suffix, or with any other character in it. */
const LONGEST_NODE_NAME = 251;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const POOL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** True for a lower-case RFC 1123 subdomain of at most 251 characters: a node name that a token can be bound to. */
export function isNodeName(name: string): boolean {
  return name.length <= LONGEST_NODE_NAME && DNS_SUBDOMAIN.test(name);
}

/** True for a lower-case RFC 1123 label. */
export function isPoolName(name: string): boolean {
  return POOL.test(name);
}

/**
 * The one group that carries the binding: `system:bootstrappers:node:<name>` with each `.` of the name as `:` (a node
 * name has no colon, so this is one-to-one), or `system:bootstrappers:pool:<pool>`.
 * The name must have passed `isNodeName` or `isPoolName`: one bad group kills the login of the whole token.
 */
export function groupOfBinding(binding: Binding): string {
  return binding.kind === 'node' ? NODE_GROUP + binding.node.replaceAll('.', ':') : POOL_GROUP + binding.pool;
}

/** What the groups of a requester say about its binding. More than one binding group is `ambiguous`. */
export type BindingReading =
  | { readonly kind: 'bound'; readonly binding: Binding }
  | { readonly kind: 'none' }
  | { readonly kind: 'ambiguous'; readonly groups: readonly string[] }
  | { readonly kind: 'malformed'; readonly group: string };

/** Reads the binding back from the groups that the API server put into a CSR. */
export function readBinding(groups: readonly string[]): BindingReading {
  const binding = groups.filter((group) => group.startsWith(NODE_GROUP) || group.startsWith(POOL_GROUP));
  const [group] = binding;
  if (group === undefined) return { kind: 'none' };
  if (binding.length > 1) return { kind: 'ambiguous', groups: binding };
  if (group.startsWith(POOL_GROUP)) {
    const pool = group.slice(POOL_GROUP.length);
    return isPoolName(pool) ? { kind: 'bound', binding: { kind: 'pool', pool } } : { kind: 'malformed', group };
  }
  const suffix = group.slice(NODE_GROUP.length);
  const node = suffix.replaceAll(':', '.');
  return isNodeName(node) && !suffix.includes('.')
    ? { kind: 'bound', binding: { kind: 'node', node } }
    : { kind: 'malformed', group };
}

/** `node worker-17` or `pool workers`, for people. */
export function describeBinding(binding: Binding): string {
  return binding.kind === 'node' ? `node ${binding.node}` : `pool ${binding.pool}`;
}
