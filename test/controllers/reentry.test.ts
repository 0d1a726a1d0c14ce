import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { Reentry, type ReentryOptions } from '../../src/controllers/reentry.ts';
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import type { NodeObject } from '../../src/ports.ts';
import { remoteError } from '../support/memory-ports.ts';
import { HOUR, NODE_PATH, TokenWorld } from './token-world.ts';

const signal = new AbortController().signal;

describe('Reentry', () => {
  let world: TokenWorld;
  let records: Map<string, NodeRecord>;
  let nodes: Map<string, NodeObject>;
  let fresh: { records: boolean; nodes: boolean };

  beforeEach(() => {
    world = new TokenWorld();
    records = new Map();
    nodes = new Map();
    fresh = { records: true, nodes: true };
  });

  const desk = (options: Partial<ReentryOptions> = {}): Reentry =>
    new Reentry({
      tokens: world.secrets.view,
      records: {
        fresh: () => fresh.records,
        get: (node) => ({ known: true, value: records.get(node) }),
        values: () => records.values(),
      },
      nodes: { fresh: () => fresh.nodes, get: (name) => nodes.get(name) },
      desk: world.desk,
      poolServes: () => true,
      lifetimeMs: 24 * HOUR,
      withinMs: 48 * HOUR,
      mostPerPass: 10,
      concurrency: 1,
      clock: world.clock,
      log: world.reports.log,
      ...options,
    });

  /** A node that is there and has a certificate for ten hours from now on. */
  function known(node: string, change: Partial<NodeRecord> = {}): void {
    const issuedAt = world.clock.now();
    const certificates = [{ fingerprint: '', issuer: '', issuedAt, notAfter: issuedAt + 10 * HOUR }];
    records.set(node, { ...emptyRecord(node), certificates, ...change });
    nodes.set(node, { name: node, uid: node, createdAt: 0, beingDeleted: false });
  }
  const token = (id: string, pool?: string): NodeRecord['token'] => ({ id, pool, key: '', usedAt: 0, seenAt: 0 });

  it('publishes a token for a node whose certificate ended, where the machine looks for it, with its addresses', async () => {
    known('worker-17', { addresses: ['10.0.0.17'] });
    await world.clock.advance(10 * HOUR);
    await desk().pass(signal);
    const [id = ''] = world.secrets.ids();
    const record = world.secrets.record(id);
    expect(record).to.deep.include({ reentry: true, replacesLive: false, addresses: ['10.0.0.17'] });
    expect(record?.binding).to.deep.equal({ kind: 'node', node: 'worker-17' });
    expect(record?.expiresAt).to.equal(world.clock.now() + 24 * HOUR);
    expect(await world.publications.state(NODE_PATH, signal)).to.include({ kind: 'live', tokenId: id });
  });

  it('leaves a node alone that can still renew', async () => {
    known('worker-17');
    await world.clock.advance(9 * HOUR);
    await desk().pass(signal);
    expect(world.secrets.ids()).to.deep.equal([]);
  });

  it('publishes one token while that is usable, and another one after its end', async () => {
    known('worker-17');
    await world.clock.advance(10 * HOUR);
    await desk().pass(signal);
    await desk().pass(signal);
    expect(world.secrets.ids()).to.have.length(1);
    await world.clock.advance(24 * HOUR);
    await desk().pass(signal);
    expect(world.secrets.ids()).to.have.length(2);
  });

  it('leaves a node alone that has a token of an admin', async () => {
    known('worker-17');
    await world.desk.issue({ binding: { kind: 'node', node: 'worker-17' }, lifetimeMs: 24 * HOUR }, signal);
    await world.clock.advance(10 * HOUR);
    await desk().pass(signal);
    expect(world.secrets.ids()).to.have.length(1);
  });

  const needNone: [title: string, set: () => void | Promise<void>][] = [
    ['without a Node object', () => nodes.clear()],
    ['that is banned', () => known('worker-17', { ban: { since: 0, reason: '' } })],
    ['of a pool whose token lets it in', () => known('worker-17', { token: token('aaaaaa', 'workers') })],
    ['that is away for longer than it is waited for', () => world.clock.advance(48 * HOUR)],
  ];
  for (const [title, set] of needNone) {
    it(`needs none for a node ${title}`, async () => {
      known('worker-17');
      await set();
      await world.clock.advance(10 * HOUR);
      await desk().pass(signal);
      expect(world.secrets.ids()).to.deep.equal([]);
    });
  }

  it('publishes one for a node of a pool that is gone', async () => {
    known('worker-17', { token: token('aaaaaa', 'workers') });
    await world.clock.advance(10 * HOUR);
    await desk({ poolServes: () => false }).pass(signal);
    expect(world.secrets.ids()).to.have.length(1);
  });

  it('lets in no more in one pass than it may', async () => {
    for (let index = 0; index < 25; index += 1) known(`worker-${index}`);
    await world.clock.advance(10 * HOUR);
    const reentry = desk();
    await reentry.pass(signal);
    expect(world.secrets.ids()).to.have.length(10);
    await reentry.pass(signal);
    await reentry.pass(signal);
    expect(world.secrets.ids()).to.have.length(25);
  });

  it('withdraws a token that nobody used when the node has renewed after all', async () => {
    known('worker-17');
    await world.clock.advance(10 * HOUR);
    await desk().pass(signal);
    known('worker-17');
    await desk().pass(signal);
    expect(world.secrets.ids()).to.deep.equal([]);
    expect(await world.publications.state(NODE_PATH, signal)).to.include({ kind: 'gone' });
  });

  it('leaves a token that the node used: it may ask again with it', async () => {
    known('worker-17');
    await world.clock.advance(10 * HOUR);
    await desk().pass(signal);
    const [id = ''] = world.secrets.ids();
    known('worker-17', { token: token(id) });
    await desk().pass(signal);
    expect(world.secrets.ids()).to.deep.equal([id]);
  });

  for (const what of ['records', 'nodes'] as const) {
    it(`does nothing while its copy of the ${what} is not up to date`, async () => {
      known('worker-17');
      await world.clock.advance(10 * HOUR);
      fresh[what] = false;
      await desk().pass(signal);
      expect(world.secrets.ids()).to.deep.equal([]);
    });
  }

  it('goes on with the others when one fails, and tries that again in the next pass', async () => {
    known('worker-1');
    known('worker-2');
    await world.clock.advance(10 * HOUR);
    world.calls.fail('publish', remoteError('Unavailable'));
    await desk().pass(signal);
    expect(world.secrets.ids()).to.have.length(1);
    await desk().pass(signal);
    expect(world.secrets.ids()).to.have.length(2);
  });
});
