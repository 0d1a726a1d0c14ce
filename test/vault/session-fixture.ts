import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'mocha';
import { VaultSession } from '../../src/vault/auth.ts';
import { VaultClient, type VaultRequest } from '../../src/vault/client.ts';
import type { LoginMethod } from '../../src/vault/login-methods.ts';
import { AuthServer } from './auth-server.ts';
import { ManualClock } from './manual-clock.ts';

export const never = new AbortController().signal;
export const read: VaultRequest = { operation: 'kv-read', method: 'GET', path: ['secret', 'data', 'a'] };

export interface SessionFixture {
  readonly server: AuthServer;
  readonly clock: ManualClock;
  /** A folder for credentials. */
  readonly dir: string;
  readonly open: (method: LoginMethod) => VaultSession;
}

/** A fresh AuthServer, clock and folder for every test of the suite it is called in. */
export function sessionFixture(): () => SessionFixture {
  let fixture: SessionFixture | undefined;
  const opened: { readonly session: VaultSession; readonly client: VaultClient }[] = [];

  beforeEach(async () => {
    const server = await AuthServer.start();
    const clock = new ManualClock();
    const dir = await mkdtemp(join(tmpdir(), 'vault-auth-'));
    const open = (method: LoginMethod): VaultSession => {
      const client = new VaultClient({ address: server.address, clock, timeoutMs: 20_000 });
      const session = new VaultSession({ client, method, clock, random: () => 0.5 });
      opened.push({ session, client });
      return session;
    };
    fixture = { server, clock, dir, open };
  });
  afterEach(async () => {
    for (const { session, client } of opened.splice(0)) {
      session.stop();
      client.close();
    }
    await fixture?.server.close();
    await rm(fixture?.dir ?? '', { recursive: true });
  });
  return () => {
    if (fixture === undefined) throw new Error('the fixture is only there in hooks and tests');
    return fixture;
  };
}

/** Makes a call; answers the token that it was made with. */
export async function tokenUsed(session: VaultSession): Promise<unknown> {
  const { body } = await session.call(read, never);
  return (body['data'] as { token: unknown }).token;
}
