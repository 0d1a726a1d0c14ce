import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { PUBLISHING_MS } from '../../src/controllers/token-desk.ts';
import { RefusedError, RemoteError } from '../../src/errors.ts';
import { formatToken } from '../../src/tokens/bootstrap-token.ts';
import type { TokenRecord } from '../../src/tokens/token-secret.ts';
import { remoteError } from '../support/memory-ports.ts';
import { HOUR, NODE, NODE_PATH, POOL, POOL_PATH, TokenWorld } from './token-world.ts';
import { failureOf, never } from './world.ts';

const request = { binding: NODE, lifetimeMs: HOUR };

describe('controllers/token-desk', () => {
  let world: TokenWorld;
  beforeEach(() => {
    world = new TokenWorld();
  });

  describe('issue', () => {
    it('writes the Secret, then Vault, then takes the mark off', async () => {
      const { token, record, vaultPath } = await world.desk.issue(request, never);
      expect(world.writes()).to.deep.equal([
        `announce ${NODE_PATH}`,
        `create token ${token.id}`,
        `publish ${NODE_PATH}`,
        `mark token ${token.id}`,
      ]);
      expect(vaultPath).to.equal(NODE_PATH);
      expect(record).to.deep.include({ id: token.id, binding: NODE, expiresAt: world.clock.now() + HOUR, ours: true });
      expect(world.publications.fetched(NODE_PATH)).to.equal(formatToken(token));
      expect(world.secrets.record(token.id)).to.include({ publishingUntil: undefined, vaultPath: NODE_PATH });
      expect(world.reports.counted).to.deep.equal(['minted node']);
    });

    it('logs the ID of a token and nothing of its secret', async () => {
      const { token } = await world.desk.issue(request, never);
      expect(world.reports.lines.join('\n')).to.contain(token.id).and.not.to.contain(token.secret);
    });

    it('marks the Secret as being published for two minutes before anybody can fetch it', async () => {
      let mark: number | undefined;
      const begun = world.clock.now();
      world.calls.before('publish', () => {
        mark = world.secrets.record(world.secrets.ids()[0] ?? '')?.publishingUntil;
      });
      await world.desk.issue(request, never);
      expect(mark).to.equal(begun + PUBLISHING_MS);
    });

    it('refuses a second token for a node while the first is usable, and names it', async () => {
      const { token } = await world.desk.issue(request, never);
      world.writes();
      const error = await failureOf(world.desk.issue(request, never));
      expect(error).to.be.instanceOf(RefusedError).and.to.include({ code: 'AlreadyExists' });
      expect((error as Error).message)
        .to.contain(token.id)
        .and.to.contain('revoke');
      expect(world.writes()).to.deep.equal([]);
      await world.clock.advance(HOUR);
      await world.desk.issue(request, never);
    });

    it('takes nodes that differ by a dot and a dash for two', async () => {
      await world.desk.issue({ ...request, binding: { kind: 'node', node: 'a.b' } }, never);
      await world.desk.issue({ ...request, binding: { kind: 'node', node: 'a-b' } }, never);
      expect(world.secrets.ids()).to.have.length(2);
    });

    it('issues a second token for a pool, over the first', async () => {
      const first = await world.desk.issue({ binding: POOL, lifetimeMs: HOUR }, never);
      const second = await world.desk.issue({ binding: POOL, lifetimeMs: HOUR }, never);
      expect(world.publications.fetched(POOL_PATH)).to.equal(formatToken(second.token));
      expect(world.secrets.ids()).to.have.members([first.token.id, second.token.id]);
    });

    it('draws again when the ID is taken, three times at most', async () => {
      const taken = Uint8Array.from({ length: 32 }, () => 5);
      world.draws.push(taken);
      const first = await world.desk.issue(request, never);
      const other = { ...request, binding: { kind: 'node', node: 'worker-18' } } as const;
      world.draws.push(taken);
      const second = await world.desk.issue(other, never);
      expect(second.token.id).not.to.equal(first.token.id);
      world.draws.push(taken, taken, taken);
      const third = { ...request, binding: { kind: 'node', node: 'worker-19' } } as const;
      expect(await failureOf(world.desk.issue(third, never))).to.include({ code: 'AlreadyExists' });
    });

    for (const [what, aheadMs, lifetimeMs, message] of [
      ['ahead by more than five minutes', -301_000, HOUR, "this host's clock is 301 s ahead of the API server's"],
      ['behind by more than five minutes', 301_000, HOUR, "this host's clock is 301 s behind the API server's"],
      ['behind by more than half of a short life', 61_000, 120_000, "this host's clock is 61 s behind"],
    ] as const) {
      it(`refuses while the clock of this host is ${what}, and leaves nothing behind`, async () => {
        world.secrets.serverAheadMs = aheadMs;
        const error = await failureOf(world.desk.issue({ binding: NODE, lifetimeMs }, never));
        expect(error).to.include({ code: 'ClockOff' });
        expect((error as Error).message).to.include(message);
        expect(world.secrets.ids()).to.deep.equal([]);
        expect(world.publications.paths()).to.deep.equal([]);
      });
    }

    it('issues while the clock of this host is off by less', async () => {
      world.secrets.serverAheadMs = 299_000;
      await world.desk.issue({ binding: NODE, lifetimeMs: HOUR }, never);
      expect(world.secrets.ids()).to.have.length(1);
    });

    it('takes both back when publishing fails', async () => {
      world.calls.fail('publish', remoteError('Sealed'));
      expect(await failureOf(world.desk.issue(request, never)))
        .to.be.instanceOf(RemoteError)
        .and.to.include({ code: 'Sealed' });
      expect(world.secrets.ids()).to.deep.equal([]);
      expect(world.publications.fetched(NODE_PATH)).to.equal(undefined);
      expect(world.reports.counted).to.deep.equal([]);
    });

    it('takes the Secret back when the token could not be announced', async () => {
      world.calls.fail('announce', remoteError('Sealed'));
      expect(await failureOf(world.desk.issue(request, never))).to.include({ code: 'Sealed' });
      expect(world.secrets.ids()).to.deep.equal([]);
    });

    it('takes back a publication that succeeded without an answer', async () => {
      const publish = world.publications.publish.bind(world.publications);
      world.publications.publish = async (...call) => {
        await publish(...call);
        throw remoteError('Unavailable');
      };
      await failureOf(world.desk.issue(request, never));
      expect(world.publications.paths(), 'before the Secret').to.deep.equal([]);
      expect(world.writes().slice(-2)[0]).to.equal(`forget ${NODE_PATH}`);
      expect(world.secrets.ids()).to.deep.equal([]);
    });

    it('leaves what stood there before a publication that failed half-way', async () => {
      const first = await world.desk.issue({ binding: POOL, lifetimeMs: HOUR }, never);
      // The metadata names the new token, the data is still the old one's.
      const state = world.publications.state.bind(world.publications);
      world.calls.fail('publish', remoteError('Unavailable'));
      world.calls.before('publish', () => {
        world.publications.state = async (path, signal) => ({
          ...(await state(path, signal)),
          tokenId: world.secrets.ids().at(-1),
        });
      });
      await failureOf(world.desk.issue({ binding: POOL, lifetimeMs: HOUR }, never));
      expect(world.publications.fetched(POOL_PATH)).to.equal(formatToken(first.token));
      expect(world.secrets.ids()).to.deep.equal([first.token.id]);
    });

    it('answers AlreadyExists to the one of two that publishes second, whose Secret goes', async () => {
      const results = await Promise.allSettled([world.desk.issue(request, never), world.desk.issue(request, never)]);
      const lost = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
      expect(lost).to.have.length(1);
      expect(lost[0]).to.be.instanceOf(RefusedError).and.to.include({ code: 'AlreadyExists' });
      const [id = ''] = world.secrets.ids();
      expect(world.secrets.ids()).to.have.length(1);
      expect(world.publications.fetched(NODE_PATH)?.startsWith(`${id}.`)).to.equal(true);
    });

    it('is done when only the mark could not be taken off: the token is good, the sweep does the rest', async () => {
      world.calls.fail('mark token', remoteError('Unavailable'));
      const { token } = await world.desk.issue(request, never);
      expect(world.publications.fetched(NODE_PATH)).to.equal(formatToken(token));
      expect(world.reports.counted).to.deep.equal(['minted node']);
      await world.clock.advance(PUBLISHING_MS + 1);
      await world.cleaner.sweep(never);
      expect(world.secrets.record(token.id)).to.include({ publishingUntil: undefined });
    });

    it('leaves nothing to fetch when the token was revoked while it was issued', async () => {
      world.calls.before('mark token', () => world.secrets.delete(world.secrets.ids()[0] ?? ''));
      expect(await failureOf(world.desk.issue(request, never))).to.include({ code: 'NotFound' });
      expect(world.publications.fetched(NODE_PATH)).to.equal(undefined);
    });

    for (const call of ['announce', 'create token', 'publish', 'mark token']) {
      it(`that is aborted at "${call}" leaves only what the sweep finds`, async () => {
        const stop = new AbortController();
        world.calls.before(call, () => stop.abort());
        await world.desk.issue(request, stop.signal).catch(() => {});
        await world.clock.advance(PUBLISHING_MS + 1);
        await world.cleaner.sweep(never);
        const fetched = world.publications.fetched(NODE_PATH);
        expect(world.secrets.ids()).to.deep.equal(fetched === undefined ? [] : [fetched.slice(0, 6)]);
      });
    }

    it('leaves to the sweep what it cannot take back', async () => {
      world.calls.fail('publish', remoteError('Unavailable'));
      world.calls.fail('remove token', remoteError('Unavailable'));
      await failureOf(world.desk.issue(request, never));
      expect(world.secrets.ids()).to.have.length(1);
      await world.clock.advance(PUBLISHING_MS + 1);
      await world.cleaner.sweep(never);
      expect(world.secrets.ids()).to.deep.equal([]);
      expect(world.reports.counted).to.deep.equal(['removedToken half-done']);
    });
  });

  describe('revoke', () => {
    it('withdraws from Vault, then deletes the Secret, and can be repeated', async () => {
      const { record } = await world.desk.issue(request, never);
      world.writes();
      await world.desk.revoke(record, never);
      expect(world.writes()).to.deep.equal([`withdraw ${NODE_PATH}`, `remove token ${record.id}`]);
      expect(world.publications.fetched(NODE_PATH)).to.equal(undefined);
      await world.desk.revoke(record, never);
      expect(world.secrets.ids()).to.deep.equal([]);
    });

    it('keeps the Secret as long as the token can still be fetched', async () => {
      const { record } = await world.desk.issue(request, never);
      world.calls.fail('withdraw', remoteError('Unavailable'));
      await failureOf(world.desk.revoke(record, never));
      expect(world.secrets.ids()).to.deep.equal([record.id]);
    });

    it('of the predecessor in a pool leaves the current token where it is', async () => {
      const first = await world.desk.issue({ binding: POOL, lifetimeMs: HOUR }, never);
      const second = await world.desk.issue({ binding: POOL, lifetimeMs: HOUR }, never);
      await world.desk.revoke(first.record, never);
      expect(world.publications.fetched(POOL_PATH)).to.equal(formatToken(second.token));
      expect(world.secrets.ids()).to.deep.equal([second.token.id]);
    });
  });

  describe('replace', () => {
    it('issues first and answers what is to be revoked then', async () => {
      const first = await world.desk.issue(request, never);
      world.writes();
      const { token, predecessors } = await world.desk.replace(request, never);
      expect(world.writes()).to.deep.equal([
        `announce ${NODE_PATH}`,
        `create token ${token.id}`,
        `publish ${NODE_PATH}`,
        `mark token ${token.id}`,
      ]);
      expect(predecessors.map(({ id }) => id)).to.deep.equal([first.token.id]);
      expect(world.publications.fetched(NODE_PATH)).to.equal(formatToken(token));
      for (const record of predecessors) await world.desk.revoke(record, never);
      expect(world.publications.fetched(NODE_PATH)).to.equal(formatToken(token));
      expect(world.secrets.ids()).to.deep.equal([token.id]);
    });

    for (const call of ['create token', 'publish']) {
      it(`that fails at "${call}" leaves the node its token`, async () => {
        const { token } = await world.desk.issue(request, never);
        world.calls.fail(call, remoteError('Unavailable'));
        await failureOf(world.desk.replace(request, never));
        expect(world.publications.fetched(NODE_PATH)).to.equal(formatToken(token));
        expect(world.secrets.ids()).to.deep.equal([token.id]);
      });
    }

    it('twice at the same time leaves one that works', async () => {
      await world.desk.issue(request, never);
      const replaced = await Promise.allSettled([
        world.desk.replace(request, never),
        world.desk.replace(request, never),
      ]);
      const done = replaced.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      expect(done).to.have.length(1);
      for (const record of done[0]?.predecessors ?? []) await world.desk.revoke(record, never);
      expect(world.secrets.ids()).to.deep.equal([done[0]?.token.id]);
      expect(world.publications.fetched(NODE_PATH)?.slice(0, 6)).to.equal(done[0]?.token.id);
    });
  });

  describe('extend', () => {
    const held = async (): Promise<TokenRecord> => {
      const { token } = await world.desk.issue(request, never);
      world.writes();
      return world.secrets.record(token.id) as TokenRecord;
    };

    it('tells the cluster first, then Vault, and the token stays the same', async () => {
      const record = await held();
      const token = world.publications.fetched(NODE_PATH);
      expect(await world.desk.extend(record, world.clock.now() + 3 * HOUR, never)).to.equal(true);
      expect(world.writes()).to.deep.equal([
        `set expiry ${record.id}`,
        `announce ${NODE_PATH}`,
        `publish ${NODE_PATH}`,
      ]);
      await world.clock.advance(2 * HOUR);
      expect(world.publications.fetched(NODE_PATH)).to.equal(token);
      expect(world.secrets.record(record.id)?.expiresAt).to.equal(world.clock.now() + HOUR);
      await world.clock.advance(HOUR);
      expect(world.publications.fetched(NODE_PATH)).to.equal(undefined);
    });

    it('that makes it shorter tells Vault first', async () => {
      const record = await held();
      await world.desk.extend(record, world.clock.now() + HOUR / 2, never);
      expect(world.writes()).to.deep.equal([
        `announce ${NODE_PATH}`,
        `publish ${NODE_PATH}`,
        `set expiry ${record.id}`,
      ]);
    });

    it('that failed half-way can be repeated', async () => {
      const record = await held();
      const expiresAt = world.clock.now() + 3 * HOUR;
      world.calls.fail('publish', remoteError('Unavailable'));
      await failureOf(world.desk.extend(record, expiresAt, never));
      expect(world.publications.fetched(NODE_PATH)?.slice(0, 6)).to.equal(record.id);
      expect(await world.desk.extend(record, expiresAt, never)).to.equal(true);
    });

    it('of the predecessor in a pool leaves the current token where it is', async () => {
      const first = await world.desk.issue({ binding: POOL, lifetimeMs: HOUR }, never);
      const second = await world.desk.issue({ binding: POOL, lifetimeMs: HOUR }, never);
      const record = world.secrets.record(first.token.id) as TokenRecord;
      expect(await world.desk.extend(record, world.clock.now() + 3 * HOUR, never)).to.equal(false);
      expect(world.publications.fetched(POOL_PATH)).to.equal(formatToken(second.token));
      expect(world.secrets.record(first.token.id)?.expiresAt).to.equal(world.clock.now() + 3 * HOUR);
    });

    it('is refused of one that is over, and of one that is being issued', async () => {
      const record = await held();
      const publishingUntil = world.clock.now() + 1;
      const issuing = await failureOf(world.desk.extend({ ...record, publishingUntil }, 0, never));
      expect(issuing).to.include({ code: 'AlreadyExists' });
      await world.clock.advance(HOUR);
      expect(await failureOf(world.desk.extend(record, world.clock.now() + HOUR, never))).to.include({
        code: 'NotFound',
      });
      expect(world.writes()).to.deep.equal([]);
    });
  });
});
