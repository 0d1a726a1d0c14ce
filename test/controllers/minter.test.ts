import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { remoteError } from '../support/memory-ports.ts';
import { HOUR, POOL, POOL_PATH, TokenWorld } from './token-world.ts';
import { failureOf, never, tokenParts } from './world.ts';

describe('controllers/minter', () => {
  let world: TokenWorld;
  beforeEach(() => {
    world = new TokenWorld();
  });
  const reconcile = (): Promise<number | undefined> => world.minter.reconcile('workers', never);
  const current = (): string => world.publications.fetched(POOL_PATH)?.slice(0, 6) ?? '';

  it('fills an empty pool, and looks again soon', async () => {
    expect(await reconcile()).to.equal(5_000);
    expect(world.secrets.record(current())).to.deep.include({
      binding: POOL,
      expiresAt: world.clock.now() + 10 * HOUR,
    });
    expect(world.reports.counted).to.deep.equal(['minted pool']);
  });

  it('leaves a pool alone that has its token, looking again every 30 s', async () => {
    await reconcile();
    world.writes();
    expect(await reconcile()).to.equal(30_000);
    expect(world.writes()).to.deep.equal([]);
  });

  it('rotates between four tenths of the life and half of it, and leaves the predecessor to its own end', async () => {
    await reconcile();
    const first = current();
    await world.clock.advance(4 * HOUR - 1);
    await reconcile();
    expect(current()).to.equal(first);
    await world.clock.advance(HOUR + 1);
    await reconcile();
    expect(current()).not.to.equal(first);
    expect(world.secrets.ids()).to.include(first);
  });

  it('looks again at the very time of the rotation when that is nearer than 30 s', async () => {
    await reconcile();
    await world.clock.advance(4 * HOUR);
    let wait = await reconcile();
    while (wait === 30_000) {
      await world.clock.advance(wait);
      wait = await reconcile();
    }
    expect(wait).to.be.within(0, 30_000);
  });

  it('mints again when the Secret is deleted', async () => {
    await reconcile();
    await reconcile();
    const first = current();
    world.secrets.delete(first);
    await reconcile();
    expect(current()).not.to.equal(first);
    expect(world.secrets.ids()).to.deep.equal([current()]);
  });

  it('mints again when the Secret is deleted at once, before the pool was looked at again', async () => {
    await reconcile();
    const first = current();
    world.secrets.delete(first);
    await reconcile();
    expect(current()).not.to.equal(first);
  });

  it('mints again when the entry in Vault is deleted', async () => {
    await reconcile();
    const first = current();
    await world.publications.forget(POOL_PATH, never);
    await reconcile();
    expect(current()).not.to.equal('').and.not.to.equal(first);
  });

  it('mints again when somebody published another token in its place', async () => {
    await reconcile();
    world.publications.plant(POOL_PATH, 'zzzzzz', 'zzzzzz.0123456789abcdef');
    await reconcile();
    expect(world.secrets.ids()).to.include(current());
  });

  it('waits while the watch on tokens is stale', async () => {
    world.secrets.view.isFresh = false;
    expect(await failureOf(reconcile())).to.match(/not up to date/);
    expect(world.writes()).to.deep.equal([]);
  });

  it('mints once while the watch lags, and again when the token has not appeared for two minutes', async () => {
    world.secrets.view.hold();
    await reconcile();
    const first = current();
    for (let count = 0; count < 20; count += 1) {
      await world.clock.advance(6_000);
      await reconcile();
    }
    expect(world.secrets.ids()).to.deep.equal([first]);
    await world.clock.advance(6_000);
    await reconcile();
    expect(world.secrets.ids()).to.have.length(2);
  });

  it('takes neither the token of another pool nor one made by hand for its own', async () => {
    world.secrets.store(tokenParts('handed', { binding: POOL }));
    world.publications.plant(POOL_PATH, 'handed', 'handed.0123456789abcdef');
    await reconcile();
    expect(current()).not.to.equal('handed');
  });

  it('counts a failure by pool, throws to be tried again, and fills the pool then', async () => {
    world.calls.fail('publish', remoteError('Sealed'));
    expect(await failureOf(reconcile())).to.include({ code: 'Sealed' });
    expect(world.reports.counted).to.deep.equal(['mintFailed workers']);
    await reconcile();
    expect(world.secrets.ids()).to.deep.equal([current()]);
  });

  it('does nothing for a pool that is not in the config', async () => {
    expect(await world.minter.reconcile('other', never)).to.equal(undefined);
    expect(world.calls.made).to.deep.equal([]);
  });

  it('keeps pools apart, and does not rotate them all at the same time', async () => {
    const pools = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, lifetimeMs: 10 * HOUR, uses: undefined }));
    world = new TokenWorld({ pools });
    for (const { name } of pools) await world.minter.reconcile(name, never);
    await world.clock.advance(4 * HOUR);
    const rotatedAt = new Set<number>();
    for (let minute = 0; minute < 60; minute += 1) {
      for (const { name } of pools) {
        const before = world.publications.fetched(`pools/${name}`);
        await world.minter.reconcile(name, never);
        if (world.publications.fetched(`pools/${name}`) !== before) rotatedAt.add(minute);
      }
      await world.clock.advance(60_000);
    }
    expect(rotatedAt.size).to.be.greaterThan(2);
  });
});
