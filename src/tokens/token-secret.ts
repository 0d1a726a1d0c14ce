import { type BootstrapToken, isTokenId } from './bootstrap-token.ts';
import { type Binding, describeBinding, groupOfBinding, readBinding } from './binding.ts';

/** Where bootstrap tokens live, and how their Secrets are typed and named (kubernetes.io, "Bootstrap Tokens"). */
export const TOKEN_NAMESPACE = 'kube-system';
export const TOKEN_SECRET_TYPE = 'bootstrap.kubernetes.io/token';
const NAME_PREFIX = 'bootstrap-token-';

export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
export const MANAGED_BY = 'kubelet-bootstrap';
/** Until this time the token may still be on its way into Vault; gone once it is there (DESIGN D11). */
export const PUBLISHING_UNTIL = 'kubelet-bootstrap/publishing-until';
/** The Vault path that the token is published at, below the configured mount and prefix. */
export const VAULT_PATH = 'kubelet-bootstrap/vault-path';
export const ISSUED_AT = 'kubelet-bootstrap/issued-at';
/** How many nodes the token is good for (DESIGN D8); any number without it. */
export const USES = 'kubelet-bootstrap/uses';
/** Issued to replace a node that is alive (DESIGN D9). */
export const REPLACES_LIVE = 'kubelet-bootstrap/replaces-live-node';
/** Issued by the service itself to a node whose certificate ended unrenewed. */
export const REENTRY = 'kubelet-bootstrap/re-entry';
/** When somebody reported it stolen, right before it is revoked: for the service, which counts such reports. */
export const REPORTED_STOLEN = 'kubelet-bootstrap/reported-stolen';
/** Addresses that were vouched for when it was issued, separated by commas (DESIGN D10). */
export const ADDRESSES = 'kubelet-bootstrap/addresses';

/** A bootstrap token's Secret without the secret part: all that the service keeps of it in memory. */
export interface TokenRecord {
  readonly id: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly description: string;
  readonly groups: readonly string[];
  readonly binding: Binding | undefined;
  /** When the API server stops accepting it, in ms since the epoch; undefined = never; 0 = unreadable, so expired. */
  readonly expiresAt: number | undefined;
  /** Its usages and groups let it log in: one group that the API server refuses is enough to prevent it. */
  readonly authenticates: boolean;
  readonly beingDeleted: boolean;
  /** Made by this service, so its clean-up is ours. */
  readonly ours: boolean;
  readonly publishingUntil: number | undefined;
  readonly vaultPath: string | undefined;
  readonly issuedAt: number | undefined;
  readonly uses: number | undefined;
  readonly replacesLive: boolean;
  readonly reentry: boolean;
  readonly reportedStolen: boolean;
  readonly addresses: readonly string[];
}

/** The parts of a Secret that a token is made of; `data` values are plain text, not base64. */
export interface TokenSecretParts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string>>;
}

export interface NewToken {
  readonly token: BootstrapToken;
  readonly binding: Binding;
  readonly expiresAt: number;
  readonly issuedAt: number;
  readonly publishingUntil: number;
  readonly vaultPath: string;
  readonly description: string | undefined;
  readonly uses?: number | undefined;
  readonly replacesLive?: boolean | undefined;
  readonly reentry?: boolean | undefined;
  readonly addresses?: readonly string[] | undefined;
}

/** `bootstrap-token-<id>`. */
export function secretNameOfToken(id: string): string {
  return NAME_PREFIX + id;
}

/** The id of the token whose Secret has this name; undefined where that is the name of no token. */
export function tokenIdOfSecretName(name: string): string | undefined {
  const id = name.startsWith(NAME_PREFIX) ? name.slice(NAME_PREFIX.length) : '';
  return isTokenId(id) ? id : undefined;
}

/** What the path below the mount and prefix is: `nodes/<node>` or `pools/<pool>` (DESIGN D11). */
export function vaultPathOfBinding(binding: Binding): string {
  return binding.kind === 'node' ? `nodes/${binding.node}` : `pools/${binding.pool}`;
}

/** Those of these tokens that are for this node or pool, whoever made them. */
export function tokensOf(binding: Binding, tokens: readonly TokenRecord[]): TokenRecord[] {
  const group = groupOfBinding(binding);
  return tokens.filter(({ groups }) => groups.includes(group));
}

/** The Secret of a new token: it may log in and do nothing else (no `signing`), and carries exactly one binding group. */
export function secretOfToken(fresh: NewToken): TokenSecretParts {
  return {
    name: secretNameOfToken(fresh.token.id),
    labels: { [MANAGED_BY_LABEL]: MANAGED_BY },
    annotations: {
      [PUBLISHING_UNTIL]: formatTime(fresh.publishingUntil),
      [VAULT_PATH]: fresh.vaultPath,
      [ISSUED_AT]: formatTime(fresh.issuedAt),
      ...(fresh.uses === undefined ? {} : { [USES]: String(fresh.uses) }),
      ...(fresh.replacesLive === true ? { [REPLACES_LIVE]: 'true' } : {}),
      ...(fresh.reentry === true ? { [REENTRY]: 'true' } : {}),
      ...(fresh.addresses === undefined || fresh.addresses.length === 0
        ? {}
        : { [ADDRESSES]: fresh.addresses.join(',') }),
    },
    data: {
      'token-id': fresh.token.id,
      'token-secret': fresh.token.secret,
      expiration: formatTime(fresh.expiresAt),
      'usage-bootstrap-authentication': 'true',
      'auth-extra-groups': groupOfBinding(fresh.binding),
      description: fresh.description ?? `kubelet bootstrap token for ${describeBinding(fresh.binding)}`,
    },
  };
}

/** What a Secret in the cluster carries besides `TokenSecretParts`. */
export interface StoredSecret extends TokenSecretParts {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly beingDeleted: boolean;
}

/** What upstream takes for a group of a token (`bootstraputil.ValidateBootstrapGroupName`). */
const EXTRA_GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/**
 * Reads a token's Secret as the API server's authenticator would (upstream
 * `plugin/pkg/auth/authenticator/token/bootstrap`); undefined when name and token ID do not fit each other.
 * The secret part is left behind.
 */
export function readTokenSecret(secret: StoredSecret): TokenRecord | undefined {
  // By its name: one that was edited until it is no token any more has to replace what is remembered of it.
  const id = tokenIdOfSecretName(secret.name);
  if (id === undefined) return undefined;
  const extra = secret.data['auth-extra-groups'] ?? '';
  const groups = extra === '' ? [] : extra.split(',');
  const reading = readBinding(groups);
  const expiration = secret.data['expiration'];
  return {
    id,
    uid: secret.uid,
    resourceVersion: secret.resourceVersion,
    description: secret.data['description'] ?? '',
    groups,
    binding: reading.kind === 'bound' ? reading.binding : undefined,
    expiresAt: expiration === undefined || expiration === '' ? undefined : (parseTime(expiration) ?? 0),
    authenticates:
      secret.data['token-id'] === id &&
      secret.data['usage-bootstrap-authentication'] === 'true' &&
      groups.every((group) => EXTRA_GROUP.test(group)),
    beingDeleted: secret.beingDeleted,
    ours: secret.labels[MANAGED_BY_LABEL] === MANAGED_BY,
    publishingUntil: parseTime(secret.annotations[PUBLISHING_UNTIL]),
    vaultPath: secret.annotations[VAULT_PATH],
    issuedAt: parseTime(secret.annotations[ISSUED_AT]),
    uses: readUses(secret.annotations[USES]),
    replacesLive: secret.annotations[REPLACES_LIVE] === 'true',
    reentry: secret.annotations[REENTRY] === 'true',
    reportedStolen: secret.annotations[REPORTED_STOLEN] !== undefined,
    addresses: (secret.annotations[ADDRESSES] ?? '').split(',').filter((address) => address !== ''),
  };
}

/** One that was edited into something else counts as used up. */
function readUses(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return /^[1-9][0-9]{0,5}$/.test(text) ? Number(text) : 0;
}

/** RFC 3339 in UTC with whole seconds. */
export function formatTime(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}

const RFC3339 = /^(\d{4}-\d{2}-\d{2})T([01]\d|2[0-3]):\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** Milliseconds since the epoch of an RFC 3339 time; undefined for anything else, such as the 30th of February. */
export function parseTime(text: string | undefined): number | undefined {
  const day = RFC3339.exec(text ?? '')?.[1];
  if (text === undefined || day === undefined) return undefined;
  const [ms, midnight] = [Date.parse(text), Date.parse(day)];
  // Date.parse takes days up to 31 for any month and goes on into the next.
  return Number.isNaN(ms) || formatTime(midnight).slice(0, 10) !== day ? undefined : ms;
}
