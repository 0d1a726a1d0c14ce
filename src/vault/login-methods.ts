import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { RemoteError, isRemote, messageOf } from '../errors.ts';
import type { JsonObject, VaultClient } from './client.ts';
import type { Clock } from '../runtime/clock.ts';
import { segmentsOf } from './path.ts';
import { readAs } from './reply.ts';

export interface Login {
  readonly token: string;
  /** 0: it never ends, or nobody knows. */
  readonly leaseSeconds: number;
  readonly renewable: boolean;
}

/** A way to come by a Vault token. */
export interface LoginMethod {
  /** For messages: no secret in it. */
  readonly name: string;
  /** Throws `Unauthorized` when the credential is missing or refused. */
  login(client: VaultClient, signal: AbortSignal): Promise<Login>;
  /** For a credential that others change: is `token` still the one to use? */
  isCurrent?(token: string): Promise<boolean>;
}

const loginSchema = z.object({
  auth: z.object({ client_token: z.string().min(1), lease_duration: z.number(), renewable: z.boolean() }),
});
const lookupSchema = z.object({ data: z.object({ ttl: z.number(), renewable: z.boolean().optional() }) });

/** What `auth/.../login` and `auth/token/renew-self` answer. */
export function loginOf(body: JsonObject, what: string): Login {
  const { auth } = readAs(loginSchema, body, what);
  return { token: auth.client_token, leaseSeconds: auth.lease_duration, renewable: auth.renewable };
}

/** A token that is at hand, such as an admin's. It is used as it is and never renewed. */
export function givenToken(token: string): LoginMethod {
  const login = { token: checkedToken(token, 'the given Vault token'), leaseSeconds: 0, renewable: false };
  return { name: 'a given token', login: () => Promise.resolve(login) };
}

/** For how long what stood in a token file is taken to stand there. */
const TOKEN_FILE_MS = 1_000;

/**
 * A token that something else, such as Vault Agent, keeps in a file. The file is read again before a call, but not twice
 * in one second, and when the token is refused.
 */
export function tokenFile(path: string, clock: Clock): LoginMethod {
  const name = `token file ${path}`;
  let readAt = -Infinity;
  let last: Promise<string> | undefined;
  const read = (): Promise<string> => {
    readAt = clock.monotonic();
    last = credential(path).then((text) => checkedToken(text, name));
    return last;
  };
  const recent = (): Promise<string> =>
    last === undefined || clock.monotonic() >= readAt + TOKEN_FILE_MS ? read() : last;
  return {
    name,
    // a file that cannot be read for a moment does not take a good token away
    isCurrent: (token) =>
      recent().then(
        (text) => text === token,
        () => true,
      ),
    login: async (client, signal) => {
      const token = await read();
      try {
        const lookup = { operation: 'lookup', method: 'GET', path: ['auth', 'token', 'lookup-self'] } as const;
        const { data } = readAs(lookupSchema, (await client.call(lookup, token, signal)).body, 'lookup-self');
        return { token, leaseSeconds: data.ttl, renewable: data.renewable ?? false };
      } catch (error) {
        // a token without the default policy works all the same; what is wrong with a dead one, its calls will say
        if (isRemote(error, 'Forbidden')) {
          return { token, leaseSeconds: 0, renewable: false };
        }
        throw error;
      }
    },
  };
}

export interface AppRoleOptions {
  /** Below `auth/`: `approle`. */
  readonly mount: string;
  readonly roleIdFile: string;
  readonly secretIdFile: string;
}

/** AppRole; both files are read at every login. */
export function appRole(options: AppRoleOptions): LoginMethod {
  const name = `AppRole at auth/${options.mount}`;
  return {
    name,
    login: async (client, signal) => {
      const body = {
        role_id: await credential(options.roleIdFile),
        secret_id: await credential(options.secretIdFile),
      };
      return loginAt(client, options.mount, name, body, signal);
    },
  };
}

export interface JwtLoginOptions {
  /** Below `auth/`: `kubernetes`, `jwt`. */
  readonly mount: string;
  readonly role: string;
  /** The identity token, such as a projected service account token; read at every login. */
  readonly jwtFile: string;
}

/** Kubernetes auth: Vault asks the API server whether the service account token is good. */
export function kubernetesLogin(options: JwtLoginOptions): LoginMethod {
  return identityLogin(`Kubernetes auth at auth/${options.mount}, role ${options.role}`, options);
}

/** JWT auth: Vault checks the signature with keys that it has or fetches, and asks nobody whether the bearer still exists. */
export function jwtLogin(options: JwtLoginOptions): LoginMethod {
  return identityLogin(`JWT auth at auth/${options.mount}, role ${options.role}`, options);
}

function identityLogin(name: string, options: JwtLoginOptions): LoginMethod {
  return {
    name,
    login: async (client, signal) => {
      const body = { role: options.role, jwt: await credential(options.jwtFile) };
      return loginAt(client, options.mount, name, body, signal);
    },
  };
}

async function loginAt(
  client: VaultClient,
  mount: string,
  name: string,
  body: JsonObject,
  signal: AbortSignal,
): Promise<Login> {
  const path = ['auth', ...segmentsOf(mount), 'login'];
  try {
    const reply = await client.call({ operation: 'login', method: 'POST', path, body }, undefined, signal);
    return loginOf(reply.body, name);
  } catch (error) {
    if (isRemote(error, 'Invalid', 'Forbidden', 'NotFound')) {
      throw refused(`Vault refused the login with ${name}: ${error.message}`, error.status);
    }
    throw error;
  }
}

async function credential(path: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw refused(`cannot read the Vault credential: ${messageOf(error)}`, undefined);
  }
  if (text === '') {
    throw refused(`the Vault credential in ${path} is empty`, undefined);
  }
  return text;
}

/** A token goes into a header; anything else in a token file (a wrapped one is JSON) is refused before it is sent. */
function checkedToken(token: string, where: string): string {
  if (!/^[\w.~+/=-]+$/.test(token)) {
    throw refused(`${where}: this is no Vault token`, undefined);
  }
  return token;
}

function refused(message: string, status: number | undefined): RemoteError {
  return new RemoteError('vault', 'Unauthorized', message, { status });
}
