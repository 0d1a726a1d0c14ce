import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { type BatchEnd, type BatchOptions, issueBatch } from '../../src/controllers/token-batch.ts';
import type { NodeRequest } from '../../src/controllers/token-desk.ts';
import { secretOfToken } from '../../src/tokens/token-secret.ts';
import { remoteError } from '../support/memory-ports.ts';
import { HOUR, TokenWorld } from './token-world.ts';
import { never } from './world.ts';

const NODES = ['a', 'b', 'c'];

describe('controllers/token-batch', () => {
  let world: TokenWorld;
  beforeEach(() => {
    world = new TokenWorld();
  });

  const requestFor = (node: string): NodeRequest => ({ binding: { kind: 'node', node }, lifetimeMs: HOUR });
  async function batch(
    nodes: readonly string[],
    change: Partial<BatchOptions> = {},
    interrupted: AbortSignal = never,
  ): Promise<BatchEnd> {
    const options: BatchOptions = {
      desk: world.desk,
      concurrency: 2,
      known: await world.secrets.list(never),
      published: new Set(await world.publications.list('nodes', never)),
      renewedAt: () => Promise.resolve(undefined),
      replace: false,
      dryRun: false,
      onOutcome: () => {},
      ...change,
    };
    return issueBatch(nodes.map(requestFor), options, interrupted);
  }
  const beforePublishing = (wanted: string, step: () => void): void => {
    const publish = world.publications.publish.bind(world.publications);
    world.publications.publish = async (path, ...rest) => {
      if (path === wanted) step();
      await publish(path, ...rest);
    };
  };
  const kinds = ({ outcomes }: BatchEnd): Record<string, string> =>
    Object.fromEntries([...outcomes].map(([node, { kind }]) => [node, kind]));
  const fetched = (): (string | undefined)[] => NODES.map((node) => world.publications.fetched(`nodes/${node}`));

  it('issues to every node, and run again it writes nothing', async () => {
    expect(kinds(await batch(NODES))).to.deep.equal({ a: 'issued', b: 'issued', c: 'issued' });
    const first = fetched();
    expect(first).not.to.include(undefined);
    world.writes();
    expect(kinds(await batch(NODES))).to.deep.equal({ a: 'kept', b: 'kept', c: 'kept' });
    expect(world.writes()).to.deep.equal([]);
    expect(fetched()).to.deep.equal(first);
  });

  it('lists the tokens of the cluster no more than it was given them', async () => {
    const known = await world.secrets.list(never);
    world.calls.made.length = 0;
    await batch(NODES, { known });
    expect(world.calls.made.filter((call) => call.startsWith('list tokens')).length).to.equal(1);
  });

  for (const [what, published] of [
    ['the list was read', undefined],
    ['both lists were read', new Set<string>()],
  ] as const) {
    it(`keeps a token that was issued after ${what}`, async () => {
      const known = await world.secrets.list(never);
      await world.desk.issue(requestFor('a'), never);
      expect(kinds(await batch(NODES, { known, published }))).to.deep.equal({ a: 'kept', b: 'issued', c: 'issued' });
    });
  }

  it('issues anew where a token is over, revoked, or cannot be fetched, which then goes', async () => {
    await batch(NODES);
    const [a = '', b = '', c = ''] = fetched();
    world.secrets.delete(a.slice(0, 6));
    await world.publications.withdraw('nodes/b', never);
    expect(kinds(await batch(NODES))).to.deep.equal({ a: 'issued', b: 'issued', c: 'kept' });
    expect(world.secrets.ids()).to.have.length(3).and.not.include(b.slice(0, 6));
    expect(fetched()[2]).to.equal(c);
    await world.clock.advance(HOUR);
    expect(kinds(await batch(NODES))).to.deep.equal({ a: 'issued', b: 'issued', c: 'issued' });
  });

  for (const [call, kind] of [
    ['publish', 'issued'],
    ['mark token', 'kept'],
  ] as const) {
    it(`finishes what a kill before "${call}" left`, async () => {
      world.calls.fail(call, remoteError('Unavailable'));
      world.calls.fail('remove token', remoteError('Unavailable'));
      await batch(['a']);
      expect(world.secrets.record(world.secrets.ids()[0] ?? '')?.publishingUntil).not.to.equal(undefined);
      expect(kinds(await batch(['a']))).to.deep.equal({ a: kind });
      const [token = ''] = fetched();
      expect(world.secrets.ids()).to.deep.equal([token.slice(0, 6)]);
      expect(world.secrets.record(token.slice(0, 6))?.publishingUntil).to.equal(undefined);
    });
  }

  it('goes on past a node that fails, and answers its error', async () => {
    beforePublishing('nodes/b', () => {
      throw remoteError('Invalid');
    });
    const end = await batch(NODES);
    expect(kinds(end)).to.deep.equal({ a: 'issued', b: 'failed', c: 'issued' });
    expect(end.outcomes.get('b')).to.have.nested.property('error.code', 'Invalid');
    expect(end.gaveUp).to.equal(undefined);
    expect(world.secrets.ids()).to.have.length(2);
  });

  it("does not issue beside somebody else's token for the node", async () => {
    const [binding, token] = [{ kind: 'node', node: 'a' } as const, { id: 'zzzzzz', secret: '0'.repeat(16) }];
    const times = { expiresAt: world.clock.now() + HOUR, issuedAt: 0, publishingUntil: 0 };
    const secret = secretOfToken({ binding, token, ...times, vaultPath: '', description: undefined });
    world.secrets.store({ ...secret, labels: {}, annotations: {} });
    const end = await batch(['a', 'b']);
    expect(kinds(end)).to.deep.equal({ a: 'failed', b: 'issued' });
    expect(end.outcomes.get('a')).to.have.nested.property('error.code', 'AlreadyExists');
    expect(world.secrets.ids()).to.include('zzzzzz');
  });

  it('leaves nodes that are alive as they are, unless they are to be replaced', async () => {
    const renewedAt = (node: string): Promise<number | undefined> => Promise.resolve(node === 'a' ? 7 : undefined);
    expect(kinds(await batch(NODES, { renewedAt }))).to.deep.equal({ a: 'alive', b: 'issued', c: 'issued' });
    const before = fetched();
    expect(kinds(await batch(NODES, { renewedAt, replace: true }))).to.deep.equal({
      a: 'issued',
      b: 'issued',
      c: 'issued',
    });
    expect(fetched()).not.to.include(before[1]);
    expect(world.secrets.ids()).to.have.length(3);
  });

  it('writes nothing in a dry run', async () => {
    await batch(['a']);
    world.writes();
    expect(kinds(await batch(NODES, { dryRun: true }))).to.deep.equal({ a: 'kept', b: 'wanted', c: 'wanted' });
    expect(kinds(await batch(NODES, { dryRun: true, replace: true }))) //
      .to.deep.equal({ a: 'wanted', b: 'wanted', c: 'wanted' });
    expect(world.writes()).to.deep.equal([]);
  });

  it('begins no node once it is interrupted, and brings those that were to their end', async () => {
    const stop = new AbortController();
    const nodes = Array.from({ length: 30 }, (_, index) => `n-${index}`);
    beforePublishing('nodes/n-10', () => stop.abort());
    const end = await batch(nodes, {}, stop.signal);
    expect(end.outcomes.size).to.be.within(11, 12);
    expect([...end.outcomes.values()].every(({ kind }) => kind === 'issued')).to.equal(true);
    expect(world.secrets.ids()).to.have.length(end.outcomes.size);
    expect(world.secrets.ids().every((id) => world.secrets.record(id)?.publishingUntil === undefined)).to.equal(true);
    expect((await batch(nodes)).outcomes.size).to.equal(30);
    expect(world.secrets.ids()).to.have.length(30);
    expect((await batch(nodes, {}, AbortSignal.abort())).outcomes.size).to.equal(0);
  });

  it('gives up when the servers fail one node after the other', async () => {
    const nodes = Array.from({ length: 100 }, (_, index) => `n-${index}`);
    world.publications.publish = () => Promise.reject(remoteError('Sealed'));
    const end = await batch(nodes);
    expect(end.gaveUp).to.include({ code: 'Sealed' });
    expect(end.outcomes.size).to.be.within(32, 34);
  });
});
