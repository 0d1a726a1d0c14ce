import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Decision } from '../../src/controllers/decider.ts';
import { type ClaimRequest, Seats } from '../../src/controllers/seats.ts';
import type { PoolPolicy } from '../../src/policy/policy-config.ts';
import { review } from '../../src/policy/review.ts';
import type { RequestPath } from '../../src/policy/verdict.ts';
import { type Change, NODE, NOW, pool, POOL_GROUP, recorded, ruleInput } from '../policy/good-request.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { never } from './world.ts';

const POOL: Change = { requester: { groups: ['system:bootstrappers', POOL_GROUP] } };
const USES: Change = {
  ...POOL,
  facts: { claims: { known: true, value: { uses: 50, usedByOthers: 0, othersInPool: 0 } } },
};

function seats(rules: Partial<PoolPolicy>, others: number, claim: 'claimed' | 'usedUp' = 'claimed', released = true) {
  const taken: string[] = [];
  const claimed: ClaimRequest[] = [];
  const reserved: string[] = [];
  const input = ruleInput('bootstrap', { policy: { pools: new Map([['workers', pool('workers', '.*', rules)]]) } });
  const made = new Seats({
    claims: {
      claim: (request) => {
        claimed.push(request);
        return Promise.resolve(claim);
      },
    },
    records: { othersInPool: () => others, reserve: (node, name) => reserved.push(`${name}/${node}`) },
    releases: { take: (node, uid) => taken.push(`${node} ${uid}`) > 0 && released },
    policy: () => input.policy,
    clock: new FakeClock(NOW),
  });
  const take = (change: Change, path: RequestPath = 'bootstrap'): Promise<boolean> => {
    const asked = ruleInput(path, change);
    const decision: Decision = { facts: asked.facts, verdict: review(asked) };
    return made.take(asked.request, decision, never);
  };
  return { take, claimed, reserved, taken };
}

describe('controllers/seats', () => {
  it('claims a use of a token that has a number of them, with node and key', async () => {
    const { take, claimed } = seats({}, 0);
    expect(await take(USES)).to.equal(true);
    expect(claimed).to.have.lengthOf(1);
    expect(claimed[0]).to.include({ tokenId: 'abcdef', uses: 50, node: NODE });
    expect(claimed[0]?.key).to.match(/^[0-9a-f]{64}$/);
  });

  it('has nothing to take for a token of any number of uses, a renewal or a serving certificate', async () => {
    const { take, claimed, reserved } = seats({ maxNodes: 10 }, 0);
    expect(await take({})).to.equal(true);
    expect(await take({}, 'renewal')).to.equal(true);
    expect(await take({}, 'serving')).to.equal(true);
    expect([claimed, reserved]).to.deep.equal([[], []]);
  });

  it('says so when somebody else took the last use', async () => {
    expect(await seats({}, 0, 'usedUp').take(USES)).to.equal(false);
  });

  it('takes the last place of a pool, and none beyond it', async () => {
    const last = seats({ maxNodes: 10 }, 9);
    expect(await last.take(POOL)).to.equal(true);
    expect(last.reserved).to.deep.equal([`workers/${NODE}`]);
    const full = seats({ maxNodes: 10 }, 10);
    expect(await full.take(USES)).to.equal(false);
    expect([full.reserved, full.claimed]).to.deep.equal([[], []]);
  });

  describe('the release of a node', () => {
    const released = { record: { known: true, value: recorded({ release: { until: NOW + 1 } }) } } as const;
    const there = { presence: { known: true, value: { exists: true, renewedAt: NOW, wasLive: false } } } as const;

    it('is taken by the request that it lets through', async () => {
      const { take, taken } = seats({}, 0);
      expect(await take({ facts: { ...released, ...there } })).to.equal(true);
      expect(taken).to.deep.equal([`${NODE} uid-1`]);
    });

    it('stops a request when another has taken it', async () => {
      expect(await seats({}, 0, 'claimed', false).take({ facts: { ...released, ...there } })).to.equal(false);
    });

    for (const [what, change] of [
      ['there is none', { facts: there }],
      ['there is no node', { facts: released }],
      ['the token was issued to replace the node', { facts: { ...released, ...there }, token: { replacesLive: true } }],
    ] as const) {
      it(`is left alone where ${what}`, async () => {
        const { take, taken } = seats({}, 0, 'claimed', false);
        expect(await take(change)).to.equal(true);
        expect(taken).to.deep.equal([]);
      });
    }
  });

  it('reserves nothing in a pool without a limit', async () => {
    const { take, reserved } = seats({}, 10_000);
    expect(await take(POOL)).to.equal(true);
    expect(reserved).to.deep.equal([]);
  });
});
