import { describe, it } from 'mocha';
import { expect } from 'chai';
import { RemoteError } from '../../src/errors.ts';
import { VaultCaPair } from '../../src/vault/ca-pair.ts';
import { KeyValue } from '../../src/vault/key-value.ts';
import { failureOf } from '../vault/manual-clock.ts';
import { HOUR, MOUNT, RealVault, entryOf, fetched, never, publicationsOf } from '../vault/real-vault.ts';

describe('the policies of manifests/vault on a real OpenBao', () => {
  const vault = new RealVault();
  const nodeRole = {
    token_policies: `${MOUNT}-node`,
    token_no_default_policy: true,
    token_type: 'batch',
    token_ttl: '5m',
  };
  const statusOf = async (work: Promise<unknown>): Promise<unknown> => {
    const error = await failureOf(work);
    return error instanceof RemoteError ? error.code : error;
  };

  it('service.hcl is enough for publications and for the CA key pair, and for nothing beside them', async () => {
    await vault.bao.root('POST', `${MOUNT}/data/kubernetes/ca`, { data: { cert: 'CERT', key: 'KEY' } });
    const session = vault.open(
      await vault.roleLogin('service', { token_policies: `${MOUNT}-service`, token_no_default_policy: true }),
    );
    const publications = publicationsOf(session);
    await publications.issue('pools/workers', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
    expect(await publications.list('pools', never)).to.include('pools/workers');
    await publications.withdraw('pools/workers', never);
    await publications.forget('pools/workers', never);
    const kv = new KeyValue(session, MOUNT);
    expect(await new VaultCaPair(kv, 'kubernetes/ca').load(never)).to.include({ certPem: 'CERT' });
    expect(await session.check(never)).to.equal(undefined);
    expect(await statusOf(kv.writeData('kubernetes/ca', { cert: '' }, 1, never))).to.equal('Forbidden');
    expect(await statusOf(kv.readData('kubernetes/service-accounts', never))).to.equal('Forbidden');
  });

  it('admin.hcl lets tokens of nodes be issued, listed and revoked, and neither pools nor the CA key be touched', async () => {
    const session = vault.open(
      await vault.roleLogin('admin', { token_policies: `${MOUNT}-admin`, token_no_default_policy: true }),
    );
    const publications = publicationsOf(session);
    await publications.issue('nodes/admins', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
    expect(await publications.list('nodes', never)).to.include('nodes/admins');
    await publications.withdraw('nodes/admins', never);
    await publications.forget('nodes/admins', never);
    expect(await publications.list('pools', never)).to.be.an('array');
    const work = publications.issue('pools/workers', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
    expect(await statusOf(work)).to.equal('Forbidden');
    const kv = new KeyValue(session, MOUNT);
    expect(await statusOf(kv.readData('kubernetes/ca', never))).to.equal('Forbidden');
  });

  it("node.hcl lets a node fetch its own token and not its neighbour's, also after the neighbour logged in", async () => {
    const publications = publicationsOf(vault.open());
    const [own, neighbour] = ['worker-17', 'worker-18.example.internal'];
    for (const name of [own, neighbour]) {
      await publications.issue(`nodes/${name}`, 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
    }
    const sessions = [
      vault.open(await vault.roleLogin(own, nodeRole)),
      vault.open(await vault.roleLogin(neighbour, nodeRole)),
    ];
    for (const round of ['first', 'again']) {
      for (const [index, session] of sessions.entries()) {
        const [mine, others] = index === 0 ? [own, neighbour] : [neighbour, own];
        expect((await fetched(session, `nodes/${mine}`)).found, round).to.equal(true);
        expect(await statusOf(fetched(session, `nodes/${others}`)), round).to.equal('Forbidden');
      }
    }
    const [session] = sessions;
    if (session === undefined) throw new Error('there are two sessions');
    const kv = new KeyValue(session, MOUNT);
    const refused = [
      kv.list('kubelet-bootstrap/nodes', never),
      kv.readMetadata(`kubelet-bootstrap/nodes/${own}`, never),
      kv.writeData(`kubelet-bootstrap/nodes/${own}`, {}, 1, never),
      kv.readData('kubernetes/ca', never),
    ];
    expect(await Promise.all(refused.map(statusOf))).to.deep.equal(Array(4).fill('Forbidden'));
  });

  it('a node tells a token that was revoked from one that is not issued yet', async () => {
    const publications = publicationsOf(vault.open());
    const session = vault.open(await vault.roleLogin('worker-19', nodeRole));
    expect((await fetched(session, 'nodes/worker-19')).body).to.deep.equal({ errors: [] });
    await publications.issue('nodes/worker-19', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
    await publications.withdraw('nodes/worker-19', never);
    expect((await fetched(session, 'nodes/worker-19')).body['data']).to.deep.nested.include({
      'metadata.destroyed': true,
    });
  });
});
