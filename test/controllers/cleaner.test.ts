import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { RemoteError } from '../../src/errors.ts';
import { type Csr, SERVING_SIGNER } from '../../src/ports.ts';
import { certificateUntil } from '../policy/good-request.ts';
import { remoteError } from '../support/memory-ports.ts';
import { inHand } from '../support/in-hand.ts';
import { HOUR, never, nodeUser, WINDOWS, World } from './world.ts';

describe('controllers/cleaner', () => {
  let world: World;
  beforeEach(async () => {
    world = await World.make();
  });
  const removed = (): string[] => world.calls.made.filter((call) => call.startsWith('remove'));
  /** So many whose time is just over. */
  async function haveDenied(count: number): Promise<void> {
    for (let made = 0; made < count; made += 1) world.approveByHand(world.addCsr(), 'Denied');
    await world.clock.advance(WINDOWS.denied + 1);
  }

  it('keeps an issued CSR until its certificate is on record', async () => {
    const csr = world.csrs.store({ ...world.approveByHand(world.addCsr()), issued: true });
    world.unrecorded.add(csr.name);
    await world.clock.advance(WINDOWS.issued + 1);
    expect(await world.cleaner.sweep(never)).to.equal(0);
    world.unrecorded.clear();
    expect(await world.cleaner.sweep(never)).to.equal(1);
  });

  const states: readonly (readonly [string, number, () => Csr])[] = [
    ['issued', WINDOWS.issued, () => world.csrs.store({ ...world.approveByHand(world.addCsr()), issued: true })],
    ['denied', WINDOWS.denied, () => world.approveByHand(world.addCsr(), 'Denied')],
    ['failed', WINDOWS.failed, () => world.approveByHand(world.approveByHand(world.addCsr()), 'Failed')],
    ['approvedUnissued', WINDOWS.approvedUnissued, () => world.approveByHand(world.addCsr())],
    ['pending', WINDOWS.pending, () => world.addCsr()],
  ];
  for (const [state, window, make] of states) {
    it(`keeps a CSR that is ${state} to the end of its window and removes it after that`, async () => {
      const csr = make();
      await world.clock.advance(window);
      expect(await world.cleaner.sweep(never)).to.equal(0);
      await world.clock.advance(1);
      expect(await world.cleaner.sweep(never)).to.equal(1);
      expect(world.csrs.stored(csr.name)).to.equal(undefined);
      expect(world.reports.counted).to.deep.equal([`removedCsr ${state}`]);
    });
  }

  it('removes an issued CSR whose certificate has expired before its window ends', async () => {
    const csr = world.csrs.store({
      ...world.approveByHand(world.addCsr()),
      issued: true,
      certificate: certificateUntil(world.clock.now() + 60_000),
    });
    await world.clock.advance(60_001);
    await world.cleaner.sweep(never);
    expect(world.csrs.stored(csr.name)).to.equal(undefined);
    expect(world.reports.counted).to.deep.equal(['removedCsr expiredCertificate']);
  });

  it('counts a superseded one apart, and keeps the newest', async () => {
    const older = world.addCsr();
    await world.clock.advance(1_000);
    const newest = world.addCsr();
    await world.clock.advance(WINDOWS.superseded + 1);
    expect(await world.cleaner.sweep(never)).to.equal(1);
    expect(world.reports.counted).to.deep.equal(['removedCsr superseded']);
    expect(world.csrs.stored(older.name)).to.equal(undefined);
    expect(world.csrs.stored(newest.name)).not.to.equal(undefined);
  });

  it('counts an approved one as superseded by a later one that waits for its certificate, too', async () => {
    const older = world.approveByHand(world.addCsr());
    await world.clock.advance(1_000);
    const newest = world.approveByHand(world.addCsr());
    await world.clock.advance(WINDOWS.superseded + 1);
    expect(await world.cleaner.sweep(never)).to.equal(1);
    expect(world.reports.counted).to.deep.equal(['removedCsr superseded']);
    expect([older, newest].map(({ name }) => world.csrs.stored(name) === undefined)).to.deep.equal([true, false]);
  });

  it('counts one as superseded whose node got its certificate for a later one', async () => {
    const older = world.addCsr();
    await world.clock.advance(WINDOWS.superseded);
    const certificate = { ...certificateUntil(world.clock.now() + 24 * HOUR), commonName: 'system:node:worker-1' };
    world.csrs.store({ ...world.approveByHand(world.addCsr()), issued: true, certificate });
    await world.clock.advance(1);
    expect(await world.cleaner.sweep(never)).to.equal(1);
    expect(world.reports.counted).to.deep.equal(['removedCsr superseded']);
    expect(world.csrs.stored(older.name)).to.equal(undefined);
  });

  it('takes neither another requester, nor another name, nor another signer for a newer one', async () => {
    world.addRenewal();
    await world.clock.advance(1_000);
    world.addRenewal({ requester: nodeUser('worker-2') });
    world.addRenewal({}, { commonName: 'system:node:other' });
    world.addServing();
    await world.clock.advance(WINDOWS.superseded + 1);
    expect(world.cleaner.due()).to.deep.equal([]);
  });

  it('removes every superseded one of two thousand of one node in one pass', async () => {
    const first = world.addCsr();
    for (let number = 0; number < 2_000; number += 1) {
      world.csrs.store({
        ...first,
        name: `many-${number}`,
        uid: `many-${number}`,
        createdAt: first.createdAt + number * 10,
      });
    }
    await world.clock.advance(20_000 + WINDOWS.superseded);
    expect(world.cleaner.due()).to.have.length(2_000);
  });

  it('begins no more deletions in a second than it may', async () => {
    world = await World.make({ perSecond: 10 });
    await haveDenied(100);
    const sweep = world.cleaner.sweep(never);
    await world.clock.advance(1_000);
    expect(removed().length).to.be.within(10, 11);
    await world.clock.advance(10_000);
    expect(await sweep).to.equal(100);
  });

  it('lets what is being signed go first', async () => {
    await haveDenied(10);
    const signed = inHand(world.foreground);
    const sweep = world.cleaner.sweep(never);
    await world.clock.advance(20);
    expect(removed()).to.deep.equal([]);
    signed();
    await world.clock.advance(0);
    expect(await sweep).to.equal(10);
  });

  it('goes on at forty a second while signing never ceases', async () => {
    await haveDenied(100);
    inHand(world.foreground);
    const stop = new AbortController();
    const sweep = world.cleaner.sweep(stop.signal);
    await world.clock.advance(1_000);
    stop.abort();
    expect(await sweep).to.equal(40);
  });

  it('begins no more in a second than it may after it has let others go first', async () => {
    world = await World.make({ perSecond: 10 });
    await haveDenied(100);
    const signed = inHand(world.foreground);
    const sweep = world.cleaner.sweep(never);
    await world.clock.advance(1_000);
    expect(removed().length).to.be.within(9, 10);
    signed();
    const before = removed().length;
    await world.clock.advance(1_000);
    expect(removed().length - before).to.be.within(10, 11);
    await world.clock.advance(10_000);
    expect(await sweep).to.equal(100);
  });

  it('looks for what goes first when its turn has come, not before', async () => {
    world = await World.make({ perSecond: 10 });
    await haveDenied(2);
    const sweep = world.cleaner.sweep(never);
    await world.clock.advance(40);
    const signed = inHand(world.foreground);
    await world.clock.advance(60);
    expect(removed()).to.have.length(1);
    signed();
    await world.clock.advance(0);
    expect(await sweep).to.equal(2);
  });

  it('ends at once when it is stopped, or its copy grows old, while it lets others go first', async () => {
    await haveDenied(10);
    inHand(world.foreground);
    const stop = new AbortController();
    const stopped = world.cleaner.sweep(stop.signal);
    await world.clock.advance(5);
    stop.abort();
    expect(await stopped).to.equal(0);
    const old = world.cleaner.sweep(never);
    await world.clock.advance(5);
    world.csrs.view.isFresh = false;
    await world.clock.advance(100);
    expect(await old).to.equal(0);
    expect(removed()).to.deep.equal([]);
  });

  it('keeps nobody waiting in a dry run', async () => {
    world = await World.make({ dryRun: true, perSecond: 1 });
    await haveDenied(10);
    inHand(world.foreground);
    expect(await world.cleaner.sweep(never)).to.equal(0);
    expect(world.reports.lines.filter((line) => line.includes('dry run'))).to.have.length(10);
  });

  it('does not warn of what it lets go of at its stop', async () => {
    await haveDenied(1);
    const stop = new AbortController();
    world.csrs.remove = () => {
      stop.abort();
      return Promise.reject(new Error('let go of'));
    };
    expect(await world.cleaner.sweep(stop.signal)).to.equal(0);
    expect(world.reports.lines.filter((line) => line.startsWith('warn'))).to.deep.equal([]);
  });

  it('ends a pass at once when it is stopped', async () => {
    world = await World.make({ perSecond: 10 });
    await haveDenied(100);
    const stop = new AbortController();
    const sweep = world.cleaner.sweep(stop.signal);
    await world.clock.advance(1_000);
    stop.abort();
    expect(await sweep)
      .to.equal(removed().length)
      .and.to.be.below(12);
  });

  it('in a dry run names what would go, and removes nothing', async () => {
    world = await World.make({ dryRun: true });
    const csr = world.approveByHand(world.addCsr(), 'Denied');
    await world.clock.advance(2 * HOUR);
    expect(await world.cleaner.sweep(never)).to.equal(0);
    expect(removed()).to.deep.equal([]);
    expect(world.reports.lines.join('\n')).to.contain(csr.name).and.to.contain('dry run');
    expect(world.reports.counted).to.deep.equal([]);
  });

  it('goes on when one cannot be removed, and names that one', async () => {
    const made = [1, 2, 3].map(() => world.approveByHand(world.addCsr(), 'Denied'));
    world.calls.fail('remove', remoteError('Forbidden'));
    await world.clock.advance(2 * HOUR);
    expect(await world.cleaner.sweep(never)).to.equal(2);
    expect(world.reports.lines.filter((line) => line.startsWith('warn'))).to.have.length(1);
    expect(await world.cleaner.sweep(never)).to.equal(1);
    expect(made.map(({ name }) => world.csrs.stored(name))).to.deep.equal([undefined, undefined, undefined]);
  });

  it('rests for as long as the API server asks for, a minute at most', async () => {
    for (const [asked, rest] of [
      [5_000, 5_000],
      [3_600_000, 60_000],
    ] as const) {
      world = await World.make({ perSecond: 10 });
      await haveDenied(5);
      const busy = new RemoteError('kubernetes', 'TooManyRequests', 'busy', { retryAfterMs: asked });
      world.calls.fail('remove', busy);
      const sweep = world.cleaner.sweep(never);
      await world.clock.advance(rest - 1);
      // One whose turn had come already has it.
      expect(removed().length, `asked for ${asked} ms`).to.be.at.most(2);
      await world.clock.advance(1_000);
      expect(await sweep).to.equal(4);
    }
  });

  it('leaves one that changed meanwhile to the next pass, without a word', async () => {
    const csr = world.approveByHand(world.addCsr(), 'Denied');
    world.calls.before('remove', () => void world.csrs.store({ ...csr, labels: { touched: 'yes' } }));
    await world.clock.advance(2 * HOUR);
    expect(await world.cleaner.sweep(never)).to.equal(0);
    expect(world.csrs.stored(csr.name)).not.to.equal(undefined);
    expect(world.reports.lines.filter((line) => line.startsWith('warn'))).to.deep.equal([]);
    expect(await world.cleaner.sweep(never)).to.equal(1);
  });

  it('says nothing about one that is gone already', async () => {
    const csr = world.approveByHand(world.addCsr(), 'Denied');
    await world.clock.advance(2 * HOUR);
    world.csrs.view.hold();
    world.csrs.delete(csr.name);
    expect(await world.cleaner.sweep(never)).to.equal(0);
    expect(world.reports.lines.filter((line) => line.startsWith('warn'))).to.deep.equal([]);
  });

  it('removes nothing while its copy is stale', async () => {
    world.approveByHand(world.addCsr(), 'Denied');
    await world.clock.advance(2 * HOUR);
    world.csrs.view.isFresh = false;
    expect(await world.cleaner.sweep(never)).to.equal(0);
    expect(removed()).to.deep.equal([]);
  });

  it('ends its pass when its copy grows old in the middle, for all that are at work', async () => {
    world = await World.make({ perSecond: 10 });
    await haveDenied(100);
    const sweep = world.cleaner.sweep(never);
    await world.clock.advance(1_000);
    world.csrs.view.isFresh = false;
    await world.clock.advance(150);
    world.csrs.view.isFresh = true;
    await world.clock.advance(10_000);
    expect(await sweep)
      .to.equal(removed().length)
      .and.to.be.below(12);
  });

  it('has as many removals under way as it may, and no more', async () => {
    await haveDenied(10);
    const answer = Promise.withResolvers<void>();
    let begun = 0;
    world.csrs.remove = () => {
      begun += 1;
      return answer.promise;
    };
    const sweep = world.cleaner.sweep(never);
    await world.clock.advance(1_000);
    expect(begun).to.equal(4);
    answer.resolve();
    expect(await sweep).to.equal(10);
  });

  it('leaves one that is being deleted already', async () => {
    world.csrs.store({ ...world.approveByHand(world.addCsr(), 'Denied'), beingDeleted: true });
    await world.clock.advance(2 * HOUR);
    expect(world.cleaner.due()).to.deep.equal([]);
  });

  it('begins no more removals once it is stopped', async () => {
    for (let number = 0; number < 50; number += 1) world.approveByHand(world.addCsr(), 'Denied');
    await world.clock.advance(2 * HOUR);
    const stop = new AbortController();
    world.calls.before('remove', () => stop.abort());
    await world.cleaner.sweep(stop.signal);
    expect(removed().length).to.be.at.most(4);
  });

  it('removes those of a foreign signer, which is never read', async () => {
    world.addCsr({ signerName: 'example.com/other', request: Buffer.from('garbage') });
    world.addCsr({ signerName: SERVING_SIGNER, request: Buffer.from('garbage') });
    await world.clock.advance(25 * HOUR);
    expect(await world.cleaner.sweep(never)).to.equal(2);
  });
});
