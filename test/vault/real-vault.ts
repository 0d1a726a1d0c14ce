import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before } from 'mocha';
import type { OpenBao } from '../../scripts/servers/openbao.ts';
import type { PublishedToken } from '../../src/ports/tokens.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { VaultSession } from '../../src/vault/auth.ts';
import { type VaultCall, VaultClient, type VaultClientOptions, type VaultReply } from '../../src/vault/client.ts';
import { KeyValue, type VaultCaller } from '../../src/vault/key-value.ts';
import { type LoginMethod, appRole, givenToken } from '../../src/vault/login-methods.ts';
import { VaultTokenPublications } from '../../src/vault/token-publications.ts';
import { requireOpenBao } from '../support/servers.ts';

/** A KV mount and an auth mount of these tests' own: the server is shared. */
export const MOUNT = 'vault-test';
/** KV version 1. */
export const OLD_MOUNT = 'vault-test-old/one';
export const APPROLE = 'vault-test-approle';
export const SECRET_PART = '0123456789abcdef';
export const HOUR = 3_600_000;
export const never = new AbortController().signal;

export function entryOf(id: string): PublishedToken {
  return {
    token: `${id}.${SECRET_PART}`,
    expiresAt: '2030-01-01T00:00:00Z',
    server: 'https://10.0.0.1:6443',
    caCertificate: 'PEM of the cluster CA',
  };
}

/** Both steps of a publication at once. */
class WholePublications extends VaultTokenPublications {
  async issue(
    path: string,
    tokenId: string,
    entry: PublishedToken,
    version: number,
    lifetimeMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    await this.announce(path, tokenId, entry.expiresAt, version, lifetimeMs, signal);
    await this.publish(path, entry, version, lifetimeMs, signal);
  }
}

export function publicationsOf(caller: VaultCaller, mount = MOUNT): WholePublications {
  return new WholePublications(new KeyValue(caller, mount), 'kubelet-bootstrap', systemClock);
}

/** Reads an entry as curl in the fetch script does. */
export function fetched(caller: VaultCaller, path: string): Promise<VaultReply> {
  const segments = [MOUNT, 'data', 'kubelet-bootstrap', ...path.split('/')];
  return caller.call({ operation: 'kv-read', method: 'GET', path: segments, absentIsAnswer: true }, never);
}

/** The shared OpenBao with the mounts above and the policies of manifests/vault, for the suite it is called in. */
export class RealVault {
  readonly #server = requireOpenBao();
  readonly #opened: { readonly session: VaultSession; readonly client: VaultClient }[] = [];
  dir = '';
  /** Of the test that is running. */
  calls: VaultCall[] = [];

  constructor() {
    before(() => this.#setUp());
    after(() => this.#tearDown());
    afterEach(() => {
      this.calls = [];
      for (const { session, client } of this.#opened.splice(0)) {
        session.stop();
        client.close();
      }
    });
  }

  get bao(): OpenBao {
    return this.#server();
  }

  countOf(operation: string): number {
    return this.calls.filter((call) => call.operation === operation).length;
  }

  /** A session as root unless told otherwise. */
  open(method: LoginMethod = givenToken(this.bao.rootToken), options: Partial<VaultClientOptions> = {}): VaultSession {
    const client = new VaultClient({
      address: this.bao.address,
      readCa: () => Promise.resolve(this.bao.ca),
      clock: systemClock,
      onCall: (call) => this.calls.push(call),
      ...options,
    });
    const session = new VaultSession({ client, method, clock: systemClock });
    this.#opened.push({ session, client });
    return session;
  }

  /** Makes a role whose role_id is its name; answers the login with its credentials in files. */
  async roleLogin(role: string, settings: Record<string, unknown>): Promise<LoginMethod> {
    const at = `auth/${APPROLE}/role/${role}`;
    await this.bao.root('POST', at, settings);
    await this.bao.root('POST', `${at}/role-id`, { role_id: role });
    const reply = (await this.bao.root('POST', `${at}/secret-id`, {})) as { data: { secret_id: string } };
    const roleIdFile = join(this.dir, `${role}-role-id`);
    const secretIdFile = join(this.dir, `${role}-secret-id`);
    await writeFile(roleIdFile, `${role}\n`);
    await writeFile(secretIdFile, `${reply.data.secret_id}\n`);
    return appRole({ mount: APPROLE, roleIdFile, secretIdFile });
  }

  async #setUp(): Promise<void> {
    this.dir = await mkdtemp(join(tmpdir(), 'kubelet-bootstrap-vault-'));
    await this.bao.root('POST', `sys/mounts/${MOUNT}`, { type: 'kv', options: { version: '2' } });
    await this.bao.root('POST', `sys/mounts/${OLD_MOUNT}`, { type: 'kv', options: { version: '1' } });
    await this.bao.root('POST', `sys/auth/${APPROLE}`, { type: 'approle' });
    const auths = (await this.bao.root('GET', 'sys/auth')) as { data: Record<string, { accessor: string }> };
    const accessor = auths.data[`${APPROLE}/`]?.accessor ?? '';
    for (const name of ['service', 'admin', 'node']) {
      const text = await readFile(new URL(`../../manifests/vault/${name}.hcl`, import.meta.url), 'utf8');
      const policy = text.replaceAll('"secret/', `"${MOUNT}/`).replaceAll('APPROLE_ACCESSOR', accessor);
      await this.bao.root('POST', `sys/policies/acl/${MOUNT}-${name}`, { policy });
    }
  }

  async #tearDown(): Promise<void> {
    for (const mount of [`sys/auth/${APPROLE}`, `sys/mounts/${MOUNT}`, `sys/mounts/${OLD_MOUNT}`]) {
      await this.bao.root('DELETE', mount);
    }
    await rm(this.dir, { recursive: true });
  }
}
