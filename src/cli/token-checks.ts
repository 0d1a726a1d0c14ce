/** What `bootstrap-token verify` looks at. */
import { messageOf } from '../errors.ts';
import type { PublicationState, PublishedToken } from '../ports/tokens.ts';
import { BOOTSTRAPPERS_GROUP, describeBinding } from '../tokens/binding.ts';
import { isUsable } from '../tokens/rotation.ts';
import { formatTime, type TokenRecord } from '../tokens/token-secret.ts';
import { stateOfToken } from './token-output.ts';

/** Who a login with the token was taken for, or why it was refused. */
export type Login =
  | { readonly ok: true; readonly username: string; readonly groups: readonly string[] }
  | { readonly ok: false; readonly why: string };

/** What stands at the token's path in Vault; an entry that cannot be read as one has its error. */
export interface SeenEntry {
  readonly state: PublicationState;
  readonly entry: PublishedToken | undefined;
  readonly unreadable: Error | undefined;
}

export interface SeenToken {
  readonly record: TokenRecord;
  readonly secret: string;
  readonly login: Login;
  /** Undefined for a token that was never published. */
  readonly vault: SeenEntry | undefined;
  /** What nodes are told by the config. */
  readonly cluster: { readonly server: string; readonly caCertificate: string };
  readonly now: number;
}

/** `note`: not as of most tokens, and no fault. Never holds the secret. */
export interface Check {
  readonly check: string;
  readonly result: 'ok' | 'note' | 'failed';
  readonly detail: string;
}

/** Every check, in the order in which one would look: Secret, login, Vault. */
export function checkToken(seen: SeenToken): Check[] {
  return [checkSecret(seen), checkBinding(seen), ...checkLogin(seen), ...checkVault(seen)];
}

const verdict = (check: string, isRight: boolean, right: string, wrong: string): Check =>
  isRight ? { check, result: 'ok', detail: right } : { check, result: 'failed', detail: wrong };

function checkSecret({ record, now }: SeenToken): Check {
  const until = record.expiresAt === undefined ? 'for ever' : `until ${formatTime(record.expiresAt)}`;
  return verdict('Secret', isUsable(record, now), `usable ${until}`, stateOfToken(record, now));
}

function checkBinding({ record: { binding, ours, groups } }: SeenToken): Check {
  if (binding !== undefined) return { check: 'binding', result: 'ok', detail: describeBinding(binding) };
  const detail = `none in its groups ${JSON.stringify(groups)}`;
  return { check: 'binding', result: ours ? 'failed' : 'note', detail };
}

function checkLogin({ record, login }: SeenToken): Check[] {
  if (!login.ok) return [{ check: 'login', result: 'failed', detail: login.why }];
  const wanted = [BOOTSTRAPPERS_GROUP, ...record.groups];
  const missing = wanted.filter((group) => !login.groups.includes(group));
  return [
    verdict('login', login.username === `system:bootstrap:${record.id}`, login.username, `as ${login.username}`),
    verdict('groups', missing.length === 0, wanted.join(', '), `without ${missing.join(', ')}`),
  ];
}

function checkVault({ record, secret, vault, cluster }: SeenToken): Check[] {
  if (vault === undefined) return [{ check: 'Vault', result: 'note', detail: 'not published by this program' }];
  const { state, entry, unreadable } = vault;
  const path = record.vaultPath ?? '';
  if (unreadable !== undefined) return [{ check: 'Vault', result: 'failed', detail: messageOf(unreadable) }];
  if (entry === undefined) {
    return [{ check: 'Vault', result: 'failed', detail: `nothing can be fetched at ${path}` }];
  }
  if (state.tokenId !== record.id) {
    const isPool = record.binding?.kind === 'pool';
    const detail = `token ${state.tokenId ?? '(none)'} can be fetched at ${path} instead`;
    return [{ check: 'Vault', result: isPool ? 'note' : 'failed', detail }];
  }
  const expiresAt = record.expiresAt === undefined ? 'never' : formatTime(record.expiresAt);
  return [
    { check: 'Vault', result: 'ok', detail: `can be fetched at ${path}` },
    verdict('token in Vault', entry.token === `${record.id}.${secret}`, 'as in the Secret', 'not that of the Secret'),
    verdict('end in Vault', entry.expiresAt === expiresAt, entry.expiresAt, `${entry.expiresAt}, Secret ${expiresAt}`),
    verdict('server', entry.server === cluster.server, entry.server, `${entry.server}, config ${cluster.server}`),
    verdict('CA', entry.caCertificate === cluster.caCertificate, 'as in the config', 'not that of the config'),
  ];
}
