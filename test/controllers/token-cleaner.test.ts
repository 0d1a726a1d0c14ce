import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { PUBLISHING_MS } from '../../src/controllers/token-desk.ts';
import { remoteError } from '../support/memory-ports.ts';
import { HOUR, NODE, NODE_PATH, TokenWorld } from './token-world.ts';
import { secretOfToken } from '../../src/tokens/token-secret.ts';
import { failureOf, never, SECRET_PART, tokenParts } from './world.ts';

const YOUNG = 5 * 60_000;
const DAY = 24 * HOUR;

describe('controllers/token-cleaner', () => {
  let world: TokenWorld;
  beforeEach(() => {
    world = new TokenWorld();
  });
  const issue = async (node: string = NODE.node, lifetimeMs = 3 * DAY): Promise<string> =>
    (await world.desk.issue({ binding: { kind: 'node', node }, lifetimeMs }, never)).token.id;
  async function sweep(): Promise<string[]> {
    world.writes();
    await world.cleaner.sweep(never);
    return world.writes();
  }

  it('leaves a token in force alone, on both sides', async () => {
    await issue();
    await world.clock.advance(DAY);
    expect(await sweep()).to.deep.equal([]);
  });

  it('removes an expired token at its end, and not before', async () => {
    const id = await issue(NODE.node, HOUR);
    await world.clock.advance(HOUR - 1);
    expect(await sweep()).to.deep.equal([]);
    await world.clock.advance(1);
    expect(await sweep()).to.deep.equal([`remove token ${id}`]);
    expect(world.reports.counted.at(-1)).to.equal('removedToken expired');
  });

  it('withdraws an expired token that Vault still holds, before its Secret goes', async () => {
    const id = await issue(NODE.node, HOUR);
    await world.clock.advance(HOUR);
    world.publications.plant(NODE_PATH, id, `${id}.0123456789abcdef`);
    expect(await sweep()).to.deep.equal([`withdraw ${NODE_PATH}`, `remove token ${id}`]);
  });

  it('removes a spent token on both sides, Vault first', async () => {
    const id = await issue();
    world.spent.add(id);
    expect(await sweep()).to.deep.equal([`withdraw ${NODE_PATH}`, `remove token ${id}`]);
    expect(world.reports.counted.at(-1)).to.equal('removedToken spent');
  });

  it('keeps the Secret when Vault does not answer, and goes on with the others', async () => {
    const first = await issue('worker-1', HOUR);
    const second = await issue('worker-2', HOUR);
    await world.clock.advance(HOUR);
    world.calls.fail('state', remoteError('Unavailable'));
    expect(await sweep()).to.deep.equal([`remove token ${second}`]);
    expect(await sweep()).to.deep.equal([`remove token ${first}`]);
  });

  describe('a token that is half done', () => {
    beforeEach(async () => {
      world.calls.fail('publish', remoteError('Unavailable'));
      world.calls.fail('remove token', remoteError('Unavailable'));
      await failureOf(issue());
    });

    it('stays until its publishing must have ended', async () => {
      await world.clock.advance(PUBLISHING_MS - 1_000);
      expect(await sweep()).to.deep.equal([]);
    });

    it('goes after that when it is not in Vault', async () => {
      const [id = ''] = world.secrets.ids();
      await world.clock.advance(PUBLISHING_MS + 1);
      expect(await sweep()).to.deep.equal([`remove token ${id}`]);
      expect(world.reports.counted).to.deep.equal(['removedToken half-done']);
    });

    it('loses its mark after that when it is in Vault', async () => {
      const [id = ''] = world.secrets.ids();
      world.publications.plant(NODE_PATH, id, `${id}.0123456789abcdef`);
      await world.clock.advance(PUBLISHING_MS + 1);
      expect(await sweep()).to.deep.equal([`mark token ${id}`]);
      expect(await sweep()).to.deep.equal([]);
    });

    it('goes, and leaves the entry of the token that took its place', async () => {
      const [id = ''] = world.secrets.ids();
      const winner = world.secrets.store(tokenParts('winner', { binding: NODE }));
      world.publications.plant(NODE_PATH, winner.id, 'winner.0123456789abcdef');
      await world.clock.advance(PUBLISHING_MS + 1);
      expect(await sweep()).to.deep.equal([`remove token ${id}`]);
    });
  });

  describe('an entry in Vault without its Secret', () => {
    it('is withdrawn once it is too old to be of a token that the watch has not shown', async () => {
      const id = await issue();
      world.secrets.delete(id);
      await world.clock.advance(YOUNG - 1);
      expect(await sweep()).to.deep.equal([]);
      await world.clock.advance(1);
      expect(await sweep()).to.deep.equal([`withdraw ${NODE_PATH}`]);
      expect(world.publications.fetched(NODE_PATH)).to.equal(undefined);
    });

    it('stays when the API server knows the Secret and only the watch does not', async () => {
      world.secrets.view.hold();
      await issue();
      await world.clock.advance(YOUNG);
      expect(await sweep()).to.deep.equal([]);
    });

    it('stays when a new token is published there in just that moment', async () => {
      world.secrets.delete(await issue());
      await world.clock.advance(YOUNG);
      world.calls.before(
        'withdraw',
        () => void world.publications.plant(NODE_PATH, 'newone', 'newone.0123456789abcdef'),
      );
      await world.cleaner.sweep(never);
      expect(world.publications.fetched(NODE_PATH)).to.equal('newone.0123456789abcdef');
    });
  });

  describe('a tombstone', () => {
    beforeEach(async () => {
      const id = await issue(NODE.node, HOUR);
      const record = world.secrets.record(id);
      if (record !== undefined) await world.desk.revoke(record, never);
    });

    it('stays for a day after the end of its token, so that machines can tell revoked from never issued', async () => {
      await world.clock.advance(HOUR + DAY - 1);
      expect(await sweep()).to.deep.equal([]);
      await world.clock.advance(1);
      expect(await sweep()).to.deep.equal([`forget ${NODE_PATH}`]);
      expect(world.publications.paths()).to.deep.equal([]);
    });

    it('stays so long also when nobody revoked it, however long its life was', async () => {
      await issue('worker-2', 3 * DAY);
      await world.clock.advance(3 * DAY);
      await sweep();
      expect(world.secrets.ids()).to.deep.equal([]);
      await world.clock.advance(DAY - 1);
      expect(await sweep()).to.deep.equal([]);
      await world.clock.advance(1);
      expect(await sweep()).to.deep.equal(['forget nodes/worker-2']);
    });

    describe('is read again', () => {
      const reads = async (): Promise<number> => {
        world.calls.made.length = 0;
        await world.cleaner.sweep(never);
        return world.calls.made.filter((call) => call.startsWith('state')).length;
      };
      beforeEach(async () => {
        expect(await reads(), 'young').to.equal(1);
        await world.clock.advance(YOUNG);
        expect(await reads()).to.equal(1);
      });

      it('once an hour, and not at every pass', async () => {
        expect(await reads()).to.equal(0);
        await world.clock.advance(HOUR - 1);
        expect(await reads()).to.equal(0);
        await world.clock.advance(1);
        expect(await reads()).to.equal(1);
      });

      it('after a token came there and went without a pass between', async () => {
        world.secrets.delete(await issue());
        expect(await reads(), 'young').to.equal(1);
        await world.clock.advance(YOUNG);
        expect(await sweep()).to.deep.equal([`withdraw ${NODE_PATH}`]);
      });
    });

    it('stays while somebody issues a token there', async () => {
      await world.clock.advance(HOUR + DAY);
      let swept = Promise.resolve();
      world.calls.before('publish', () => {
        swept = world.cleaner.sweep(never);
      });
      const id = await issue();
      await swept;
      expect(world.publications.fetched(NODE_PATH)?.slice(0, 6)).to.equal(id);
    });

    it('stays when somebody has begun to issue a token there since the pass began', async () => {
      await world.clock.advance(HOUR + DAY);
      const now = world.clock.now();
      const begun = secretOfToken({
        token: { id: 'newone', secret: SECRET_PART },
        binding: NODE,
        expiresAt: now + HOUR,
        issuedAt: now,
        publishingUntil: now + PUBLISHING_MS,
        vaultPath: NODE_PATH,
        description: undefined,
      });
      world.calls.before('state', () => void world.secrets.store(begun));
      expect(await sweep()).to.deep.equal([]);
    });
  });

  it('goes on with the other entries when one cannot be read', async () => {
    for (const node of ['worker-1', 'worker-2']) world.secrets.delete(await issue(node));
    await world.clock.advance(YOUNG);
    world.calls.fail('state', remoteError('Forbidden'));
    expect(await sweep()).to.deep.equal(['withdraw nodes/worker-2']);
    expect(await sweep()).to.deep.equal(['withdraw nodes/worker-1']);
  });

  it('never touches the tokens of others, expired or not', async () => {
    world.secrets.store(tokenParts('kubead', { expiresAt: world.clock.now() + HOUR }));
    await world.clock.advance(DAY);
    expect(await sweep()).to.deep.equal([]);
    expect(world.secrets.ids()).to.deep.equal(['kubead']);
  });

  it('does nothing while the watch on tokens is stale', async () => {
    await issue(NODE.node, HOUR);
    await world.clock.advance(DAY);
    world.secrets.view.isFresh = false;
    expect(await sweep()).to.deep.equal([]);
    expect(world.calls.made).to.deep.equal([]);
  });

  it('in a dry run names what would go on both sides, and removes nothing', async () => {
    world = new TokenWorld({ dryRun: true });
    const expired = await issue('worker-1', HOUR);
    world.secrets.delete(await issue('worker-2'));
    await world.clock.advance(HOUR);
    expect(await sweep()).to.deep.equal([]);
    const lines = world.reports.lines.filter((line) => line.includes('dry run')).join('\n');
    expect(lines).to.contain(expired).and.to.contain('nodes/worker-2');
    expect(world.reports.counted.filter((count) => count.startsWith('removed'))).to.deep.equal([]);
  });

  it('ends when it is stopped', async () => {
    for (const node of ['worker-1', 'worker-2', 'worker-3']) await issue(node, HOUR);
    await world.clock.advance(HOUR);
    const stop = new AbortController();
    world.calls.before('remove token', () => stop.abort());
    await world.cleaner.sweep(stop.signal);
    expect(world.secrets.ids()).to.have.length(3);
  });
});
