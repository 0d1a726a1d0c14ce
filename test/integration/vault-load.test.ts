import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import PQueue from 'p-queue';
import { describe, it } from 'mocha';
import { expect } from 'chai';
import { appRole } from '../../src/vault/login-methods.ts';
import { failureOf, until } from '../vault/manual-clock.ts';
import { entryOf, HOUR, MOUNT, never, publicationsOf, RealVault } from '../vault/real-vault.ts';

describe('the Vault adapter on a real OpenBao, for long', function () {
  this.timeout(180_000);
  const vault = new RealVault();

  it('leaves no socket, timer or file behind over 10,000 calls, whatever becomes of them', async () => {
    const session = vault.open();
    const publications = publicationsOf(session);
    await publications.issue('nodes/load', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
    const readAt = (...path: string[]) => ({ operation: 'kv-read', method: 'GET', path }) as const;
    const call = async (index: number): Promise<unknown> => {
      if (index % 10 === 0) return publications.state('nodes/none', never);
      if (index % 10 === 1) return failureOf(session.call(readAt('no-such-mount', 'a'), never));
      if (index % 100 === 2) return failureOf(session.call(readAt(MOUNT, 'data', 'a'), AbortSignal.timeout(1)));
      return session.call(readAt(MOUNT, 'data', 'kubelet-bootstrap', 'nodes', 'load'), never);
    };
    const run = (calls: number): Promise<unknown> =>
      new PQueue({ concurrency: 16 }).addAll(Array.from({ length: calls }, (_, index) => () => call(index)));
    const held = (): Record<string, number> => {
      const counts: Record<string, number> = { files: readdirSync('/proc/self/fd').length };
      for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
      return counts;
    };
    await run(500);
    const before = held();
    await run(10_000);
    await until(() => {
      const now = held();
      return Object.entries(now).every(([kind, number]) => number <= (before[kind] ?? 0) + 16);
    }, 'no more is held than 16 connections make');
    expect(vault.calls.length).to.be.at.least(10_000);
  });

  it('logs in, renews and publishes within a namespace, and is not seen outside of it', async () => {
    const { bao } = vault;
    await bao.root('POST', 'sys/namespaces/vault-test-team', {});
    try {
      const inside = (path: string): string => `vault-test-team/${path}`;
      await bao.root('POST', inside(`sys/mounts/${MOUNT}`), { type: 'kv', options: { version: '2' } });
      await bao.root('POST', inside('sys/auth/approle'), { type: 'approle' });
      const policy = `path "${MOUNT}/*" { capabilities = ["create", "update", "read", "list", "delete"] }`;
      await bao.root('POST', inside('sys/policies/acl/team'), { policy });
      const role = inside('auth/approle/role/service');
      await bao.root('POST', role, { token_policies: 'team', token_ttl: '6s', token_max_ttl: '1m' });
      const roleId = (await bao.root('GET', `${role}/role-id`)) as { data: { role_id: string } };
      const secretId = (await bao.root('POST', `${role}/secret-id`, {})) as { data: { secret_id: string } };
      const [roleIdFile, secretIdFile] = [join(vault.dir, 'team-role'), join(vault.dir, 'team-secret')];
      await writeFile(roleIdFile, roleId.data.role_id);
      await writeFile(secretIdFile, secretId.data.secret_id);
      const session = vault.open(appRole({ mount: 'approle', roleIdFile, secretIdFile }), {
        namespace: 'vault-test-team',
      });
      const publications = publicationsOf(session);
      await publications.issue('nodes/team', 'bbbbbb', entryOf('bbbbbb'), 0, HOUR, never);
      await until(() => vault.countOf('renew') >= 1, 'it has renewed');
      expect(await session.check(never)).to.equal(undefined);
      expect(await publications.state('nodes/team', never)).to.include({ kind: 'live', tokenId: 'bbbbbb' });
      expect(vault.countOf('login')).to.equal(1);
      expect(await publicationsOf(vault.open()).state('nodes/team', never)).to.include({ kind: 'absent' });
    } finally {
      await bao.root('DELETE', 'sys/namespaces/vault-test-team');
    }
  });

  describe('what is set up wrongly is named', () => {
    const rows: [string, () => Promise<unknown>, RegExp][] = [
      ['a mount that is not there', () => publicationsOf(vault.open(), 'nowhere').state('nodes/a', never), /nowhere/],
      [
        'a mount of KV version 1',
        () => publicationsOf(vault.open(), 'vault-test-old/one').state('nodes/a', never),
        /version/,
      ],
      [
        'a role that is not there',
        async () => {
          const files = { roleIdFile: join(vault.dir, 'no-role'), secretIdFile: join(vault.dir, 'no-secret') };
          await writeFile(files.roleIdFile, 'no-such-role');
          await writeFile(files.secretIdFile, '00000000-0000-4000-8000-000000000000');
          return publicationsOf(vault.open(appRole({ mount: 'vault-test-approle', ...files }))).state('nodes/a', never);
        },
        /AppRole at auth\/vault-test-approle.*invalid role or secret ID/,
      ],
      [
        'an auth mount that is not there',
        async () => {
          const files = { roleIdFile: join(vault.dir, 'a-role'), secretIdFile: join(vault.dir, 'a-secret') };
          await writeFile(files.roleIdFile, 'a');
          await writeFile(files.secretIdFile, 'b');
          return publicationsOf(vault.open(appRole({ mount: 'no-auth', ...files }))).state('nodes/a', never);
        },
        /auth\/no-auth/,
      ],
      [
        'an entry that somebody edited by hand',
        async () => {
          await vault.bao.root('POST', `${MOUNT}/data/kubelet-bootstrap/nodes/edited`, { data: { tokn: 'typo' } });
          return publicationsOf(vault.open()).read('nodes/edited', never);
        },
        /nodes\/edited/,
      ],
    ];
    for (const [what, work, message] of rows) {
      it(what, async () => {
        expect(String(await failureOf(work()))).to.match(message);
      });
    }

    it('and odd characters in a path are none: it is the one that was meant', async () => {
      const publications = publicationsOf(vault.open());
      const odd = 'nodes/a b#c?d=e&f%2e%2e+g;h:i@j';
      await publications.issue(odd, 'cccccc', entryOf('cccccc'), 0, HOUR, never);
      expect(await publications.list('nodes', never)).to.include(odd);
      expect(await publications.read(odd, never)).to.include({ token: 'cccccc.0123456789abcdef' });
    });
  });
});
