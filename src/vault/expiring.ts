/** When the login ends: the token of a session, and the secret_id that it came from. */
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { isRemote, RemoteError } from '../errors.ts';
import type { Reading, Thing } from '../expiry/thing.ts';
import type { ExpirySource } from '../ports.ts';
import type { VaultCaller } from './key-value.ts';
import { segmentsOf } from './path.ts';
import { readAs } from './reply.ts';

const tokenSchema = z.object({
  data: z.object({
    creation_time: z.number(),
    creation_ttl: z.number(),
    explicit_max_ttl: z.number().optional(),
    expire_time: z.string().nullish(),
    meta: z.record(z.string(), z.string()).nullish(),
  }),
});
type TokenFacts = z.infer<typeof tokenSchema>['data'];

const secretIdSchema = z.object({
  data: z.object({
    creation_time: z.string(),
    expiration_time: z.string(),
    secret_id_num_uses: z.number(),
    secret_id_ttl: z.number(),
  }),
});

const SECOND_MS = 1_000;
const LOOKUP_SELF = {
  operation: 'lookup',
  method: 'GET',
  path: ['auth', 'token', 'lookup-self'],
  mayBeRefused: true,
} as const;

async function lookUp(caller: VaultCaller, signal: AbortSignal): Promise<TokenFacts> {
  return readAs(tokenSchema, (await caller.call(LOOKUP_SELF, signal)).body, 'lookup-self').data;
}

/**
 * The token of the session. One that nothing replaces (`replaced` false: a token file) also has the end that no renewal
 * moves, where it has one.
 */
export function vaultToken(caller: VaultCaller, name: string, replaced: boolean): ExpirySource {
  const kind = 'vault-token';
  return {
    kind,
    name,
    read: async (signal) => {
      const token = await lookUp(caller, signal);
      const thing = (of: string, reading: Reading): Thing => ({ kind, name: of, object: undefined, reading });
      const own = thing(name, tokenReading(token));
      const maxMs = (token.explicit_max_ttl ?? 0) * SECOND_MS;
      if (replaced || maxMs === 0) return [own];
      const endsAt = token.creation_time * SECOND_MS + maxMs;
      return [
        own,
        thing(`${name}, at most`, { kind: 'ends', endsAt, lifeMs: maxMs, note: 'no renewal moves this end' }),
      ];
    },
  };
}

function tokenReading({ expire_time: expiry, creation_time: made, creation_ttl: ttl }: TokenFacts): Reading {
  if (expiry === undefined || expiry === null) return { kind: 'none', note: 'a token without an end' };
  const endsAt = Date.parse(expiry);
  if (Number.isNaN(endsAt)) return { kind: 'unreadable', note: 'Vault gave no time that can be read' };
  // A periodic token that was renewed has more left than it was made with.
  const lifeMs = ttl > 0 ? ttl * SECOND_MS : endsAt - made * SECOND_MS;
  return { kind: 'ends', endsAt, lifeMs, note: 'renewed by its session' };
}

/** The secret_id of an AppRole login. The policy has to allow the look-up; the role is the one of the session's token. */
export function vaultSecretId(
  caller: VaultCaller,
  { mount, secretIdFile }: { readonly mount: string; readonly secretIdFile: string },
): ExpirySource {
  const kind = 'vault-secret-id';
  return {
    kind,
    read: async (signal) => {
      const role = (await lookUp(caller, signal)).meta?.['role_name'];
      if (role === undefined)
        throw new RemoteError('vault', 'Unreadable', 'the token does not say of which role it is');
      const name = `auth/${mount}/role/${role}`;
      const secretId = (await readFile(secretIdFile, 'utf8')).trim();
      return [{ kind, name, object: undefined, reading: await secretIdReading(caller, mount, role, secretId, signal) }];
    },
  };
}

async function secretIdReading(
  caller: VaultCaller,
  mount: string,
  role: string,
  secretId: string,
  signal: AbortSignal,
): Promise<Reading> {
  const path = ['auth', ...segmentsOf(mount), 'role', role, 'secret-id', 'lookup'];
  const body = { secret_id: secretId };
  let answer: unknown;
  try {
    ({ body: answer } = await caller.call(
      { operation: 'lookup', method: 'POST', path, body, mayBeRefused: true },
      signal,
    ));
  } catch (error) {
    if (!isRemote(error, 'NotFound')) throw error;
    answer = {};
  }
  // A secret_id that is over is no longer known: 204 (OpenBao 2.7.2) or 404.
  if (Object.keys(answer ?? {}).length === 0)
    return { kind: 'unusable', note: 'Vault knows no such secret_id (any more)' };
  const { data } = readAs(secretIdSchema, answer, 'secret-id lookup');
  const uses = data.secret_id_num_uses === 0 ? '' : `${data.secret_id_num_uses} uses left; `;
  const [made, endsAt] = [Date.parse(data.creation_time), Date.parse(data.expiration_time)];
  if (data.secret_id_ttl === 0) return { kind: 'none', note: `${uses}a secret_id without an end` };
  return { kind: 'ends', endsAt, lifeMs: endsAt - made, note: `${uses}logins fail after its end` };
}
