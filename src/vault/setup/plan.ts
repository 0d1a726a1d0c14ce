/** What Vault needs for the service and its machines: a list that is shown, compared or written, always in this order. */
import { segmentsOf } from '../path.ts';
import type { SetupItem } from './items.ts';
import { pkiPolicy, type PkiWishes, roleSettings } from './pki.ts';
import {
  adminPolicy,
  type KvPlace,
  nodePolicy,
  type PolicyRule,
  poolPolicy,
  secretIdPolicy,
  servicePolicy,
} from './policies.ts';

/** How the service logs in, as far as Vault has to know of it. */
export type ServiceLogin =
  | { readonly method: 'tokenFile' }
  | { readonly method: 'approle'; readonly mount: string }
  | { readonly method: 'kubernetes' | 'jwt'; readonly mount: string; readonly role: string };

export interface SetupWishes extends KvPlace {
  /** Of the CA key pairs, now and later; none when the service signs with something else. */
  readonly caPaths: readonly string[];
  /** The PKI engines that it signs with, now and later. */
  readonly pki: readonly PkiWishes[];
  readonly login: ServiceLogin;
  /** Pools whose machines fetch the pool's token. */
  readonly pools: readonly string[];
  /** Nodes that get an AppRole role of their own. */
  readonly nodes: readonly string[];
  /** Mount of the AppRole method that machines log in at. */
  readonly machineMount: string;
  /** How long a secret_id of a machine can be used, seconds; 0: for ever. */
  readonly secretIdSeconds: number;
  /** Machines that log in with an identity token of their cloud. */
  readonly jwt: JwtWishes | undefined;
}

export interface JwtWishes {
  readonly mount: string;
  readonly role: string;
  /** The claim that holds the node's name. */
  readonly userClaim: string;
  readonly audience: string;
}

export const SERVICE_POLICY = 'kubelet-bootstrap';
export const ADMIN_POLICY = 'bootstrap-token-admin';
const NODE_POLICY = 'kubelet-bootstrap-node';
const JWT_POLICY = 'kubelet-bootstrap-node-jwt';
const poolPolicyName = (pool: string): string => `kubelet-bootstrap-pool-${pool}`;

/** A login of a machine: enough for one fetch, and a batch token costs Vault no storage. */
const MACHINE_TOKEN = { token_no_default_policy: true, token_type: 'batch', token_ttl: 300 };

/** Everything that is needed, what others build on first. */
export function setupItems(wishes: SetupWishes): SetupItem[] {
  const { login, machineMount, jwt, pki, pools, nodes } = wishes;
  const usesAppRole = pools.length > 0 || nodes.length > 0;
  const auths = new Map<string, string>();
  if (login.method !== 'tokenFile') auths.set(login.mount, login.method);
  if (usesAppRole) auths.set(machineMount, 'approle');
  if (jwt !== undefined) auths.set(jwt.mount, 'jwt');
  const policy = (name: string, rules: readonly PolicyRule[]): SetupItem => ({
    kind: 'policy',
    name,
    aliasOf: undefined,
    rules: () => rules,
  });
  const ownSecretId = login.method === 'approle' ? secretIdPolicy(login.mount, SERVICE_POLICY) : [];
  const ofNode = (name: string, mount: string): SetupItem => ({
    kind: 'policy',
    name,
    aliasOf: mount,
    rules: (accessor) => nodePolicy(wishes, accessor),
  });
  return [
    { kind: 'kv', mount: wishes.mount },
    ...[...auths].map(([mount, type]): SetupItem => ({ kind: 'auth', mount, type })),
    ...pki.flatMap(pkiItems),
    policy(SERVICE_POLICY, servicePolicy(wishes, wishes.caPaths, [...pki.flatMap(pkiPolicy), ...ownSecretId])),
    policy(ADMIN_POLICY, adminPolicy(wishes)),
    ...(usesAppRole ? [ofNode(NODE_POLICY, machineMount)] : []),
    ...(jwt === undefined ? [] : [ofNode(JWT_POLICY, jwt.mount), jwtRole(jwt)]),
    ...serviceRole(login),
    ...pools.flatMap((pool) => [
      policy(poolPolicyName(pool), poolPolicy(wishes, pool)),
      ...appRole(wishes, `pool-${pool}`, poolPolicyName(pool)),
    ]),
    ...nodes.flatMap((node) => appRole(wishes, node, NODE_POLICY)),
  ];
}

/** Only of the PKI engine. */
export function pkiItems(pki: PkiWishes): SetupItem[] {
  const { mount, issuer, roles, longestMs, ca } = pki;
  const longestSeconds = Math.ceil(Math.max(longestMs.client, longestMs.serving) / 1000);
  return [
    { kind: 'pki', mount, longestSeconds },
    { kind: 'issuer', mount, issuer, ca },
    ...[...roles].map(([kind, role]): SetupItem => ({
      kind: 'settings',
      path: [...segmentsOf(mount), 'roles', role],
      settings: roleSettings(kind, pki),
    })),
  ];
}

/** The role_id is the role's name: it is the alias that the policy of a node puts into its path. */
function appRole({ machineMount, secretIdSeconds }: SetupWishes, name: string, policy: string): SetupItem[] {
  const path = ['auth', ...segmentsOf(machineMount), 'role', name];
  const settings = {
    token_policies: [policy],
    ...MACHINE_TOKEN,
    secret_id_ttl: secretIdSeconds,
    secret_id_num_uses: 0,
  };
  return [
    { kind: 'settings', path, settings },
    { kind: 'settings', path: [...path, 'role-id'], settings: { role_id: name } },
  ];
}

function jwtRole({ mount, role, userClaim, audience }: JwtWishes): SetupItem {
  const settings = {
    role_type: 'jwt',
    user_claim: userClaim,
    bound_audiences: [audience],
    token_policies: [JWT_POLICY],
    ...MACHINE_TOKEN,
  };
  return { kind: 'settings', path: ['auth', ...segmentsOf(mount), 'role', role], settings };
}

/** Of a JWT login nothing: which claims the service has, its issuer knows. */
function serviceRole(login: ServiceLogin): SetupItem[] {
  const token = { token_policies: [SERVICE_POLICY], token_ttl: 3_600 };
  switch (login.method) {
    case 'tokenFile':
    case 'jwt':
      return [];
    case 'approle': {
      const path = ['auth', ...segmentsOf(login.mount), 'role', SERVICE_POLICY];
      return [{ kind: 'settings', path, settings: { ...token, token_max_ttl: 86_400 } }];
    }
    case 'kubernetes': {
      const settings = {
        ...token,
        audience: 'vault',
        bound_service_account_names: ['kubelet-bootstrap'],
        bound_service_account_namespaces: ['kube-system'],
      };
      return [{ kind: 'settings', path: ['auth', ...segmentsOf(login.mount), 'role', login.role], settings }];
    }
  }
}
