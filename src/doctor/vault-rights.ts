/** What the service's login has to be allowed in Vault (manifests/vault/service.hcl). */
import type { Fact } from '../policy/facts.ts';
import { type Finding, finding, whenKnown } from './finding.ts';
import type { ControllerName } from './service-rights.ts';

/** What is to be asked about one path. */
export interface VaultRight {
  /** As the policy writes it. */
  readonly pattern: string;
  /** A path that the pattern stands for, and with what is needed at it. */
  readonly path: string;
  readonly capabilities: readonly string[];
  /** More than that would be too much: whoever can write here replaces the CA, or has it sign anything. */
  readonly nothingMore: boolean;
}

/** Where the service signs, when it signs with the PKI engine. */
export interface PkiPaths {
  readonly mount: string;
  readonly issuer: string;
  readonly roles: readonly string[];
}

/** With any of these it could have signed what its roles refuse, or change the roles. */
function forbiddenBeside({ mount, issuer, roles }: PkiPaths): string[] {
  return [
    `${mount}/issuer/${issuer}/sign-verbatim`,
    `${mount}/issuer/${issuer}`,
    ...roles.flatMap((role) => [
      `${mount}/issuer/${issuer}/sign-verbatim/${role}`,
      `${mount}/issuer/${issuer}/issue/${role}`,
      `${mount}/roles/${role}`,
    ]),
  ];
}

export interface VaultView {
  /** What keeps Vault from being used; undefined when nothing does. */
  readonly problem: string | undefined;
  /** `service`: the login of the config; `given`: the token of VAULT_TOKEN. */
  readonly login: 'service' | 'given';
  readonly wanted: readonly VaultRight[];
  /** Capabilities of that login by path. */
  readonly capabilities: Fact<ReadonlyMap<string, readonly string[]>>;
}

/** Each path that the policy of the service names, with the config's mount, prefix and CA. */
export function neededVaultRights(config: {
  readonly mount: string;
  readonly prefix: string;
  readonly caPaths: readonly string[];
  readonly pki: readonly PkiPaths[];
  readonly controllers: ReadonlySet<ControllerName>;
}): VaultRight[] {
  const { mount, prefix, caPaths, pki, controllers } = config;
  const below = (part: string, capabilities: readonly string[], names: readonly string[]): VaultRight[] =>
    names.map((name) => ({
      pattern: `${mount}/${part}/${prefix}/*`,
      path: `${mount}/${part}/${prefix}/${name}`,
      capabilities,
      nothingMore: false,
    }));
  const only = (path: string, capability: string | undefined, nothingMore = false): VaultRight => ({
    pattern: path,
    path,
    capabilities: capability === undefined ? [] : [capability],
    nothingMore,
  });
  const entries = ['nodes/kubelet-bootstrap-doctor', 'pools/kubelet-bootstrap-doctor'];
  const tokens = [
    ...below('data', ['create', 'update', 'read'], entries),
    ...below('metadata', ['create', 'update', 'read', 'delete'], entries),
    ...below('metadata', ['list'], ['nodes/', 'pools/']),
    ...below('destroy', ['create', 'update'], entries),
  ];
  return [
    ...(controllers.has('minter') || controllers.has('cleaner') ? tokens : []),
    ...(controllers.has('signer') ? caPaths : []).map((path) => only(`${mount}/data/${path}`, 'read', true)),
    ...(controllers.has('signer') ? pki : []).flatMap((engine) => [
      ...engine.roles.map((role) => only(`${engine.mount}/issuer/${engine.issuer}/sign/${role}`, 'update', true)),
      ...forbiddenBeside(engine).map((path) => only(path, undefined, true)),
    ]),
    only('auth/token/renew-self', 'update'),
    only('auth/token/lookup-self', 'read'),
  ];
}

const MEND = 'Run `kubelet-bootstrap vault setup`, which writes the policy for this config, or write it by hand.';
const GIVEN = 'Fine if VAULT_TOKEN is that of an admin; to check the login of the service, unset it.';

export function checkVault({ problem, login, wanted, capabilities }: VaultView): readonly Finding[] {
  if (problem !== undefined) {
    const mend = 'Unseal it, reach it, or mend the login that `vault` in the config describes.';
    return [finding('VaultUnusable', 'Vault', problem, mend)];
  }
  const who = login === 'given' ? 'VAULT_TOKEN' : "the service's login";
  return whenKnown('vault', 'policy of the Vault login', capabilities, (held) => {
    const at: Held = (path) => held.get(path) ?? [];
    const missing = missingAt(wanted, at).map(({ where, lacks }) => {
      const found = `may not ${lacks.join(', ')} ${where}`;
      return login === 'given'
        ? finding('VaultTokenLacksRight', who, found, GIVEN)
        : finding('VaultRightMissing', who, found, MEND);
    });
    return [...missing, ...(login === 'given' ? [] : tooMuch(wanted, at))];
  });
}

type Held = (path: string) => readonly string[];

/** What is missing by the lines of the policy; of a line that holds in part, the paths where it does not. */
function missingAt(wanted: readonly VaultRight[], at: Held): { where: string; lacks: readonly string[] }[] {
  const lacking = ({ path, capabilities }: VaultRight): readonly string[] =>
    at(path).includes('root') ? [] : capabilities.filter((each) => !at(path).includes(each));
  return [...new Set(wanted.map(({ pattern }) => pattern))].flatMap((pattern) => {
    const line = wanted.filter((each) => each.pattern === pattern);
    const wrong = line.filter((each) => lacking(each).length > 0);
    if (wrong.length === 0) return [];
    const where = wrong.length === line.length ? pattern : wrong.map(({ path }) => path).join(', ');
    return [{ where, lacks: [...new Set(wrong.flatMap(lacking))] }];
  });
}

function tooMuch(wanted: readonly VaultRight[], at: Held): readonly Finding[] {
  if (wanted.some(({ path }) => at(path).includes('root'))) {
    return [finding('VaultRightsTooMany', "the service's login", 'is root', MEND)];
  }
  return wanted.flatMap(({ path, capabilities: needed, nothingMore }) => {
    const surplus = at(path).filter((each) => each === 'sudo' || (nothingMore && !needed.includes(each)));
    const more = surplus.filter((each) => each !== 'deny');
    return more.length === 0
      ? []
      : [finding('VaultRightsTooMany', "the service's login", `may ${more.join(', ')} ${path}`, MEND)];
  });
}
