import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { expect } from 'chai';
import { failureOf, until } from '../vault/manual-clock.ts';
import { APPROLE, HOUR, MOUNT, RealVault, entryOf, never, publicationsOf } from '../vault/real-vault.ts';

describe('a Vault session on a real OpenBao', () => {
  const vault = new RealVault();

  it('logs in with AppRole, renews, and logs in anew when the longest lifetime is reached', async () => {
    const session = vault.open(
      await vault.roleLogin('renewing', { token_policies: `${MOUNT}-service`, token_ttl: '3s', token_max_ttl: '5s' }),
    );
    const publications = publicationsOf(session);
    expect(await publications.list('nodes', never)).to.be.an('array');
    await until(() => vault.countOf('renew') >= 1 && vault.countOf('login') >= 2, 'it has renewed and logged in anew');
    // less than a second before the longest lifetime OpenBao grants what is left, or refuses: it counts whole seconds;
    // and on a busy machine the token may be over by the time that the renewal arrives
    const refusals = ['Invalid', 'Forbidden'];
    const failed = vault.calls.filter(({ outcome }) => outcome !== 'ok' && outcome !== 'absent');
    expect(
      failed.filter(({ operation, outcome }) => operation !== 'renew' || !refusals.includes(outcome)),
    ).to.deep.equal([]);
    expect(await publications.list('nodes', never)).to.be.an('array');
  });

  it('replaces a batch token, which cannot be renewed, in time', async () => {
    const settings = { token_policies: `${MOUNT}-service`, token_ttl: '2s', token_type: 'batch' };
    const session = vault.open(await vault.roleLogin('batch', settings));
    await publicationsOf(session).state('nodes/none', never);
    await until(() => vault.countOf('login') >= 2, 'it has logged in anew');
    expect(vault.countOf('renew')).to.equal(0);
  });

  it('logs in anew when its token was revoked, once for all calls', async () => {
    const session = vault.open(
      await vault.roleLogin('revoked', { token_policies: `${MOUNT}-service`, token_ttl: '1h' }),
    );
    const publications = publicationsOf(session);
    await publications.state('nodes/none', never);
    await vault.bao.root('POST', `sys/leases/revoke-prefix/auth/${APPROLE}/login`, {});
    await Promise.all(Array.from({ length: 10 }, () => publications.state('nodes/none', never)));
    expect(vault.countOf('login')).to.equal(2);
  });

  it('says why a login is refused, without the secret ID', async () => {
    const method = await vault.roleLogin('refused', { token_policies: `${MOUNT}-service` });
    const secretIdFile = join(vault.dir, 'refused-secret-id');
    const wrong = 'b6b2c2f0-0000-4000-8000-000000000000';
    await writeFile(secretIdFile, wrong);
    const error = await failureOf(publicationsOf(vault.open(method)).state('nodes/none', never));
    expect(error).to.include({ code: 'Unauthorized', status: 400 });
    expect((error as Error).message)
      .to.contain(`AppRole at auth/${APPROLE}`)
      .and.not.to.contain(wrong);
  });

  it('says that Vault is sealed, and works on by itself when it is not any more', async () => {
    const session = vault.open();
    const publications = publicationsOf(session);
    await publications.issue('nodes/sealed', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
    expect(await session.check(never)).to.equal(undefined);
    await vault.bao.seal();
    expect(await failureOf(publications.state('nodes/sealed', never))).to.include({ code: 'Sealed', status: 503 });
    expect(await session.check(never)).to.equal('Vault is sealed');
    await vault.bao.unseal();
    expect(await session.check(never)).to.equal(undefined);
    expect(await publications.state('nodes/sealed', never)).to.include({ kind: 'live', tokenId: 'aaaaaa' });
  });

  it('says that Vault is not there, and works on by itself when it is again', async () => {
    const session = vault.open();
    const publications = publicationsOf(session);
    expect(await session.check(never)).to.equal(undefined);
    await vault.bao.stop();
    const error = await failureOf(publications.state('nodes/sealed', never));
    expect(error).to.include({ code: 'Unavailable' });
    expect(String(error)).not.to.contain(vault.bao.rootToken);
    expect(await session.check(never)).to.contain('ECONNREFUSED');
    await vault.bao.start();
    await until(async () => (await session.check(never)) === undefined, 'Vault is there again');
    expect(await publications.state('nodes/sealed', never)).to.include({ kind: 'live' });
  });
});
