/** The policies of `manifests/vault/`, for any mount and prefix. */

/** What a policy allows at one path. */
export interface PolicyRule {
  readonly path: string;
  readonly capabilities: readonly string[];
  /** What of a request it lets through, as HCL has it in the block; everything without it. */
  readonly parameters?: string;
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

/** The service's. `caPaths`: of the CA key pairs below the mount, as far as it signs with such; `more`: what it needs besides. */
export function servicePolicy(
  place: KvPlace,
  caPaths: readonly string[],
  more: readonly PolicyRule[] = [],
): PolicyRule[] {
  return [
    ...tokensBelow(place, place.prefix),
    ...caPaths.map((path) => rule(`${place.mount}/data/${path}`, 'read')),
    ...more,
    rule('auth/token/renew-self', 'update'),
    rule(OWN_TOKEN, 'read'),
  ];
}

/** With which a login by AppRole can find out when its secret_id ends. */
export function secretIdPolicy(mount: string, role: string): PolicyRule[] {
  return [rule(`auth/${mount}/role/${role}/secret-id/lookup`, 'update')];
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
      ({ path, capabilities, parameters }) =>
        `path ${quoted(path)} {\n  capabilities = [${capabilities.map(quoted).join(', ')}]\n${indented(parameters)}}\n`,
    )
    .join('\n');
}

const indented = (text = ''): string => text.replaceAll(/^.+$\n?/gm, (line) => `  ${line.trimEnd()}\n`);

const BLOCK =
  /^path\s+"([^"\\]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]\s*((?:(?:allowed_parameters\s*=\s*\{[^{}]*\}|required_parameters\s*=\s*\[[^\]]*\])\s*)*)\}\s*/;

/** Reads what `formatPolicy` writes, with comments; undefined for anything else that a policy may hold. */
export function parsePolicy(text: string): PolicyRule[] | undefined {
  const rules: PolicyRule[] = [];
  let rest = text.replaceAll(/^\s*(?:#|\/\/).*$/gm, '').trim();
  while (rest !== '') {
    const [block, path = '', listed = '', parameters = ''] = BLOCK.exec(rest) ?? [];
    if (block === undefined) return undefined;
    const capabilities = [...listed.matchAll(/"([a-z]+)"/g)].map(([, capability = '']) => capability);
    const lines = parameters.trim().replaceAll(/^ {2}/gm, '');
    rules.push({ path, capabilities, ...(lines === '' ? {} : { parameters: lines }) });
    rest = rest.slice(block.length);
  }
  return rules;
}

/** What `actual` allows otherwise than `wanted`, a line for each path. */
export function policyDifferences(wanted: readonly PolicyRule[], actual: readonly PolicyRule[]): string[] {
  const allowed = (rules: readonly PolicyRule[], path: string): string =>
    rules
      .filter((each) => each.path === path)
      .map(({ capabilities, parameters }) =>
        [capabilities.toSorted().join(', '), ...(parameters?.match(/\S+/g) ?? [])].join(' '),
      )
      .join(' and ');
  const paths = new Set([...wanted, ...actual].map(({ path }) => path));
  return [...paths].flatMap((path) => {
    const [want, is] = [allowed(wanted, path), allowed(actual, path)];
    return want === is ? [] : [`${path} allows ${is || 'nothing'}, wanted ${want || 'nothing'}`];
  });
}
