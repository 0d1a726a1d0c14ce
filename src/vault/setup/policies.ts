/** The policies of `manifests/vault/`, for any mount and prefix. */

/** What a policy allows at one path. */
export interface PolicyRule {
  readonly path: string;
  readonly capabilities: readonly string[];
}

export interface KvPlace {
  /** Mount of the KV version 2 engine: `secret`. */
  readonly mount: string;
  /** Below it, for `nodes/` and `pools/`: `kubelet-bootstrap`. */
  readonly prefix: string;
}

const rule = (path: string, ...capabilities: string[]): PolicyRule => ({ path, capabilities });

const OWN_TOKEN = 'auth/token/lookup-self';

function tokensBelow({ mount }: KvPlace, at: string): PolicyRule[] {
  return [
    rule(`${mount}/data/${at}/*`, 'create', 'update', 'read'),
    rule(`${mount}/metadata/${at}/*`, 'create', 'update', 'read', 'list', 'delete'),
    rule(`${mount}/destroy/${at}/*`, 'create', 'update'),
  ];
}

/** The service's. `caPath`: of the CA key pair below the mount, when it signs with that. */
export function servicePolicy(place: KvPlace, caPath: string | undefined): PolicyRule[] {
  return [
    ...tokensBelow(place, place.prefix),
    ...(caPath === undefined ? [] : [rule(`${place.mount}/data/${caPath}`, 'read')]),
    rule('auth/token/renew-self', 'update'),
    rule(OWN_TOKEN, 'read'),
  ];
}

/** An admin's who issues tokens of nodes. */
export function adminPolicy(place: KvPlace): PolicyRule[] {
  return [
    ...tokensBelow(place, `${place.prefix}/nodes`),
    rule(`${place.mount}/metadata/${place.prefix}/pools/*`, 'read', 'list'),
    rule(OWN_TOKEN, 'read'),
  ];
}

/**
 * A machine's that logs in as its node: the template puts the name of its alias at this auth mount into the path, which
 * none but the mount can set. (Metadata of a login would not do: facts of OpenBao 2.7, each login overwrites it.)
 */
export function nodePolicy({ mount, prefix }: KvPlace, accessor: string): PolicyRule[] {
  return [rule(`${mount}/data/${prefix}/nodes/{{identity.entity.aliases.${accessor}.name}}`, 'read')];
}

/** A machine's of one pool. */
export function poolPolicy({ mount, prefix }: KvPlace, pool: string): PolicyRule[] {
  return [rule(`${mount}/data/${prefix}/pools/${pool}`, 'read')];
}

/** As Vault takes it. */
export function formatPolicy(rules: readonly PolicyRule[]): string {
  const quoted = (text: string): string => JSON.stringify(text);
  return rules
    .map(
      ({ path, capabilities }) =>
        `path ${quoted(path)} {\n  capabilities = [${capabilities.map(quoted).join(', ')}]\n}\n`,
    )
    .join('\n');
}

const BLOCK = /^path\s+"([^"\\]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]\s*\}\s*/;

/** Reads what `formatPolicy` writes, with comments; undefined for anything else that a policy may hold. */
export function parsePolicy(text: string): PolicyRule[] | undefined {
  const rules: PolicyRule[] = [];
  let rest = text.replaceAll(/^\s*(?:#|\/\/).*$/gm, '').trim();
  while (rest !== '') {
    const [block, path = '', listed = ''] = BLOCK.exec(rest) ?? [];
    if (block === undefined) return undefined;
    rules.push({ path, capabilities: [...listed.matchAll(/"([a-z]+)"/g)].map(([, capability = '']) => capability) });
    rest = rest.slice(block.length);
  }
  return rules;
}

/** What `actual` allows otherwise than `wanted`, a line for each path. */
export function policyDifferences(wanted: readonly PolicyRule[], actual: readonly PolicyRule[]): string[] {
  const allowed = (rules: readonly PolicyRule[], path: string): string =>
    rules
      .flatMap((each) => (each.path === path ? each.capabilities : []))
      .toSorted()
      .join(', ');
  const paths = new Set([...wanted, ...actual].map(({ path }) => path));
  return [...paths].flatMap((path) => {
    const [want, is] = [allowed(wanted, path), allowed(actual, path)];
    return want === is ? [] : [`${path} allows ${is || 'nothing'}, wanted ${want || 'nothing'}`];
  });
}
