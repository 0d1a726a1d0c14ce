import { describe, it } from 'mocha';
import { expect } from 'chai';
import { RemoteError } from '../../src/errors.ts';
import { VaultCaPair } from '../../src/vault/ca-pair.ts';
import { KeyValue, type VaultCaller } from '../../src/vault/key-value.ts';
import { failureOf, until } from '../vault/manual-clock.ts';
import {
  HOUR,
  MOUNT,
  OLD_MOUNT,
  RealVault,
  SECRET_PART,
  entryOf,
  fetched,
  never,
  publicationsOf,
} from '../vault/real-vault.ts';

describe('Vault on a real OpenBao', () => {
  const vault = new RealVault();

  describe('TLS', () => {
    it('is refused without the CA, whatever VAULT_SKIP_VERIFY says', async () => {
      process.env['VAULT_SKIP_VERIFY'] = 'true';
      try {
        const error = await failureOf(
          publicationsOf(vault.open(undefined, { readCa: undefined })).state('nodes/a', never),
        );
        expect(error).to.be.instanceOf(RemoteError).and.to.include({ code: 'Unavailable' });
        expect((error as Error).message).to.match(/certificate/);
      } finally {
        delete process.env['VAULT_SKIP_VERIFY'];
      }
    });
  });

  describe('publications', () => {
    it('tells absent, live and withdrawn apart, and so can the machine', async () => {
      const session = vault.open();
      const publications = publicationsOf(session);
      const path = 'nodes/worker-1.example.internal';
      expect(await publications.state(path, never)).to.deep.equal({
        kind: 'absent',
        version: 0,
        tokenId: undefined,
        updatedAt: undefined,
        endsAt: undefined,
      });
      expect((await fetched(session, path)).body).to.deep.equal({ errors: [] });

      await publications.issue(path, 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
      const live = await publications.state(path, never);
      expect(live).to.include({ kind: 'live', version: 1, tokenId: 'aaaaaa' });
      expect(live.updatedAt).to.be.closeTo(Date.now(), 60_000);
      const reply = await fetched(session, path);
      expect(reply.body['data']).to.deep.nested.include({
        data: {
          token: `aaaaaa.${SECRET_PART}`,
          expires_at: '2030-01-01T00:00:00Z',
          server: 'https://10.0.0.1:6443',
          ca_certificate: 'PEM of the cluster CA',
        },
        'metadata.custom_metadata': {
          'token-id': 'aaaaaa',
          'token-version': '1',
          'expires-at': '2030-01-01T00:00:00Z',
        },
      });

      await publications.withdraw(path, never);
      expect(live.endsAt).to.be.closeTo(Date.now() + HOUR, 60_000);
      expect(await publications.state(path, never)).to.deep.equal({ ...live, kind: 'gone' });
      const tombstone = await fetched(session, path);
      expect(tombstone.found).to.equal(false);
      expect(tombstone.body['data']).to.deep.nested.include({ data: null, 'metadata.destroyed': true });
      await publications.withdraw(path, never);
      expect(vault.countOf('kv-delete')).to.equal(1);
    });

    it('puts the next token in the place of a withdrawn one', async () => {
      const publications = publicationsOf(vault.open());
      await publications.issue('nodes/next', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
      await publications.withdraw('nodes/next', never);
      await publications.issue('nodes/next', 'bbbbbb', entryOf('bbbbbb'), 1, HOUR, never);
      expect(await publications.state('nodes/next', never)).to.include({ kind: 'live', version: 2, tokenId: 'bbbbbb' });
    });

    it('refuses a second writer, and leaves token and token ID of the first', async () => {
      const session = vault.open();
      const publications = publicationsOf(session);
      await publications.issue('nodes/cas', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
      const error = await failureOf(publications.issue('nodes/cas', 'bbbbbb', entryOf('bbbbbb'), 0, HOUR, never));
      expect(error).to.include({ code: 'Conflict' });
      expect(await publications.state('nodes/cas', never)).to.include({ version: 1, tokenId: 'aaaaaa' });
    });

    it('lets exactly one of ten writers at the same instant win, with its own token ID', async () => {
      const session = vault.open();
      const publications = publicationsOf(session);
      const ids = Array.from({ length: 10 }, (_, index) => `race0${index}`);
      const outcomes = await Promise.allSettled(
        ids.map((id) => publications.issue('nodes/race', id, entryOf(id), 0, HOUR, never)),
      );
      const won = ids.filter((_, index) => outcomes[index]?.status === 'fulfilled');
      const lost = outcomes.flatMap((outcome) =>
        outcome.status === 'rejected' ? [outcome.reason as RemoteError] : [],
      );
      expect(won).to.have.length(1);
      expect(lost.map(({ code }) => code)).to.deep.equal(Array(9).fill('Conflict'));
      expect(await publications.state('nodes/race', never)).to.include({ version: 1, tokenId: won[0] });
      const { body } = await fetched(session, 'nodes/race');
      expect(body).to.have.nested.property('data.data.token', `${won[0]}.${SECRET_PART}`);
    });

    it('lets Vault end an entry with its lifetime', async () => {
      const session = vault.open();
      const publications = publicationsOf(session);
      await publications.issue('pools/short', 'aaaaaa', entryOf('aaaaaa'), 0, 1_000, never);
      await until(async () => !(await fetched(session, 'pools/short')).found, 'the entry has expired');
      expect(await publications.state('pools/short', never)).to.include({
        kind: 'gone',
        version: 1,
        tokenId: 'aaaaaa',
      });
      await publications.issue('pools/short', 'bbbbbb', entryOf('bbbbbb'), 1, HOUR, never);
      expect(await publications.state('pools/short', never)).to.include({ kind: 'live', version: 2 });
    });

    it('forgets an entry with its metadata, and one that never was', async () => {
      const publications = publicationsOf(vault.open());
      await publications.issue('nodes/forgotten', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
      await publications.forget('nodes/forgotten', never);
      expect(await publications.state('nodes/forgotten', never)).to.include({ kind: 'absent', version: 0 });
      await publications.forget('nodes/forgotten', never);
      await publications.withdraw('nodes/forgotten', never);
    });

    it('lists the entries of a folder with the folder before them, and nothing for one that is not there', async () => {
      const publications = publicationsOf(vault.open());
      await publications.issue('listed/a', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
      await publications.issue('listed/b/c', 'bbbbbb', entryOf('bbbbbb'), 0, HOUR, never);
      expect(await publications.list('listed', never)).to.deep.equal(['listed/a']);
      expect(await publications.list('empty', never)).to.deep.equal([]);
    });

    const lostAnswer = (session: VaultCaller, sendIt: boolean): VaultCaller => ({
      call: async (request, signal) => {
        const isData = request.method === 'POST' && request.path[1] === 'data';
        const reply = isData && !sendIt ? undefined : await session.call(request, signal);
        if (isData || reply === undefined) {
          throw new RemoteError('vault', 'Unavailable', 'the answer was lost');
        }
        return reply;
      },
    });

    it('takes a write whose answer was lost for done when the token stands there', async () => {
      const session = vault.open();
      await publicationsOf(lostAnswer(session, true)).issue('nodes/lost', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
      expect(await publicationsOf(session).state('nodes/lost', never)).to.include({ kind: 'live', tokenId: 'aaaaaa' });
    });

    it('takes it for failed when it does not', async () => {
      const publications = publicationsOf(lostAnswer(vault.open(), false));
      const work = publications.issue('nodes/unsent', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
      expect(await failureOf(work)).to.include({ code: 'Unavailable', message: 'the answer was lost' });
      expect(await publications.state('nodes/unsent', never)).to.include({ kind: 'gone', version: 0 });
    });

    it('says whose token stands there when the publication of the next one ended after its metadata', async () => {
      const session = vault.open();
      const publications = publicationsOf(session);
      await publications.issue('pools/torn', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never);
      const interrupted = publicationsOf(lostAnswer(session, false));
      const work = interrupted.issue('pools/torn', 'bbbbbb', entryOf('bbbbbb'), 1, HOUR, never);
      expect(await failureOf(work)).to.include({ code: 'Unavailable' });
      expect(await publications.state('pools/torn', never)).to.include({ kind: 'live', version: 1, tokenId: 'aaaaaa' });
    });

    it('writes no token into a mount of KV version 1, or into none', async () => {
      const publish = (mount: string): Promise<unknown> =>
        failureOf(publicationsOf(vault.open(), mount).issue('nodes/a', 'aaaaaa', entryOf('aaaaaa'), 0, HOUR, never));
      const old = await publish(OLD_MOUNT);
      expect(old).to.include({ code: 'Invalid' });
      expect((old as Error).message)
        .to.contain(`${OLD_MOUNT}/ is KV version 1`)
        .and.to.contain('KV version 2 is needed');
      const missing = await publish('nowhere');
      expect(missing).to.include({ code: 'Forbidden' });
      expect((missing as Error).message).to.contain('nothing is mounted at nowhere/');
      expect(vault.countOf('kv-write')).to.equal(0);
    });
  });

  describe('the CA key pair', () => {
    const pair = (session: VaultCaller, path: string): VaultCaPair =>
      new VaultCaPair(new KeyValue(session, MOUNT), path);

    it('is read from its fields cert and key', async () => {
      await vault.bao.root('POST', `${MOUNT}/data/kubernetes/ca`, { data: { cert: 'CERT', key: 'KEY', more: 1 } });
      const read = pair(vault.open(), 'kubernetes/ca');
      const expected = { certPem: 'CERT', keyPem: 'KEY', next: undefined, version: 1, others: { more: 1 } };
      expect(await read.load(never)).to.deep.equal(expected);
      expect(read.describe()).to.equal(`Vault KV ${MOUNT}/kubernetes/ca`);
    });

    it('is refused with the name of the field that is missing, and without the other', async () => {
      await vault.bao.root('POST', `${MOUNT}/data/ca/no-key`, { data: { cert: 'CERT', key: '' } });
      await vault.bao.root('POST', `${MOUNT}/data/ca/no-cert`, { data: { key: 'the secret key', cert: 7 } });
      const noKey = await failureOf(pair(vault.open(), 'ca/no-key').load(never));
      expect(noKey).to.include({ code: 'AuthorityUnusable' });
      expect((noKey as Error).message).to.equal(`Vault KV ${MOUNT}/ca/no-key has no text in its field "key"`);
      const noCert = await failureOf(pair(vault.open(), 'ca/no-cert').load(never));
      expect((noCert as Error).message).to.equal(`Vault KV ${MOUNT}/ca/no-cert has no text in its field "cert"`);
    });

    it('is refused when it was never written, and when it was deleted', async () => {
      const none = await failureOf(pair(vault.open(), 'ca/none').load(never));
      expect(none).to.include({ code: 'AuthorityUnusable' });
      expect((none as Error).message).to.contain('nothing was ever written there');
      await vault.bao.root('POST', `${MOUNT}/data/ca/deleted`, { data: { cert: 'CERT', key: 'KEY' } });
      await vault.bao.root('DELETE', `${MOUNT}/data/ca/deleted`);
      expect(String(await failureOf(pair(vault.open(), 'ca/deleted').load(never)))).to.contain('it was deleted');
    });
  });
});
