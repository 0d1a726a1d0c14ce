import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { mock } from 'node:test';
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { placeOf } from '../../src/controllers/place.ts';
import type { Csr } from '../../src/ports.ts';
import type { CsrParts } from '../support/csr-builder.ts';
import { certificateUntil } from '../policy/good-request.ts';
import { remoteError } from '../support/memory-ports.ts';
import { bootstrapUser, never, nodeUser, tokenParts, World } from './world.ts';

const APPROVED = {
  type: 'Approved',
  status: 'True',
  reason: '',
  message: '',
  lastUpdateTime: undefined,
  lastTransitionTime: undefined,
};

describe('controllers/pending-requests', () => {
  let world: World;
  beforeEach(async () => {
    world = await World.make();
  });
  const newerThan = (csr: Csr): string[] =>
    world.pending.newerThan(world.pending.view(csr)).map(({ csr: { name } }) => name);

  it('knows the later requests of the same requester, signer and name, newest first', async () => {
    const made: Csr[] = [];
    for (let number = 0; number < 3; number += 1) {
      made.push(world.addCsr());
      await world.clock.advance(1_000);
    }
    const [first, second, third] = made.map((csr) => newerThan(csr));
    expect(first).to.deep.equal(['csr-3', 'csr-2']);
    expect(second).to.deep.equal(['csr-3']);
    expect(third).to.deep.equal([]);
  });

  it('has the newest eight of each requester looked at when the node changes', async () => {
    const made: Csr[] = [];
    for (let number = 0; number < 10; number += 1) {
      made.push(world.addCsr());
      await world.clock.advance(1_000);
    }
    const other = world.addCsr({ requester: bootstrapUser(undefined, 'ghijkl') });
    const newest = made.slice(-8).map(({ name }) => name);
    expect(world.pending.ofNode('worker-1')).to.have.members([...newest, other.name]);
    for (const csr of [...made, other]) world.csrs.store({ ...csr, issued: true });
    expect(world.pending.ofNode('worker-1')).to.deep.equal([]);
  });

  it('takes none of the same second for newer: neither would be approved', () => {
    const twins = [world.addCsr(), world.addCsr()];
    expect(twins.map((csr) => newerThan(csr))).to.deep.equal([[], []]);
  });

  const strangers: readonly (readonly [string, Partial<Csr>, CsrParts])[] = [
    ['of another requester', { requester: bootstrapUser(undefined, 'ghijkl') }, {}],
    ['for another name', {}, { commonName: 'system:node:worker-2' }],
    ['of the serving signer', { signerName: 'kubernetes.io/kubelet-serving' }, {}],
    ['that is denied', { conditions: [{ ...APPROVED, type: 'Denied' }] }, {}],
  ];
  for (const [row, parts, request] of strangers) {
    it(`does not take a later one ${row} for a newer one`, async () => {
      const csr = world.addCsr();
      await world.clock.advance(1_000);
      world.addCsr(parts, request);
      expect(newerThan(csr)).to.deep.equal([]);
    });
  }

  it('takes one that is approved for a newer one until it is settled', async () => {
    const csr = world.addCsr();
    await world.clock.advance(1_000);
    const approved = world.approveByHand(world.addCsr());
    expect(newerThan(csr)).to.deep.equal([approved.name]);
    world.csrs.store({ ...approved, issued: true });
    expect(newerThan(csr)).to.deep.equal([]);
  });

  describe('of one that has its certificate', () => {
    const MINUTE = 60_000;
    const issue = (csr: Csr, commonName = 'system:node:worker-1'): Csr =>
      world.csrs.store({
        ...csr,
        issued: true,
        certificate: { ...certificateUntil(world.clock.now() + MINUTE), commonName },
      });
    const issuedAfter = (csr: Csr): string | undefined => world.pending.issuedAfter(world.pending.view(csr));

    it('knows the last, until that is gone', async () => {
      const csr = world.addCsr();
      await world.clock.advance(2 * MINUTE);
      const [second, third] = [world.addCsr(), world.addCsr()];
      issue(second);
      expect(issuedAfter(csr)).to.equal('csr-2');
      issue(third);
      expect(issuedAfter(csr)).to.equal('csr-3');
      world.csrs.delete('csr-2');
      expect(issuedAfter(csr)).to.equal('csr-3');
      world.csrs.delete('csr-3');
      expect(issuedAfter(csr)).to.equal(undefined);
    });

    it('takes none for newer that clocks of API servers a minute apart would have made so', async () => {
      const csr = world.addCsr();
      await world.clock.advance(MINUTE);
      issue(world.addCsr());
      expect(issuedAfter(csr)).to.equal(undefined);
      await world.clock.advance(1_000);
      issue(world.addCsr());
      expect(issuedAfter(csr)).to.equal('csr-3');
    });

    for (const [row, parts, commonName] of [
      ['another requester', { requester: bootstrapUser(undefined, 'ghijkl') }, undefined],
      ['another name', {}, 'system:node:worker-2'],
      ['the serving signer', { signerName: 'kubernetes.io/kubelet-serving' }, undefined],
    ] as const) {
      it(`knows nothing of one of ${row}`, async () => {
        const csr = world.addCsr();
        await world.clock.advance(2 * MINUTE);
        issue(world.addCsr(parts), commonName);
        expect(issuedAfter(csr)).to.equal(undefined);
      });
    }
  });

  it('reads a request once, and shows every later version of its CSR', () => {
    const csr = world.addCsr();
    const before = world.pending.view(csr);
    const approved = world.approveByHand(csr);
    const after = world.pending.view(approved);
    expect(after.reading()).to.equal(before.reading());
    expect(after.csr).to.equal(approved);
  });

  it('has nothing of a request verified before it is decided on, and then once', async () => {
    const verified = mock.method(crypto, 'verify');
    // The modules under test see the function that counts.
    syncBuiltinESMExports();
    try {
      const csr = world.addCsr();
      const view = world.pending.view(csr);
      expect([placeOf(view).flow, view.nodeName]).to.deep.equal(['system:node:worker-1', 'worker-1']);
      expect([newerThan(csr), world.cleaner.due()]).to.deep.equal([[], []]);
      expect(verified.mock.callCount()).to.equal(0);
      for (let look = 0; look < 2; look += 1) await world.decider.decide(world.pending.view(csr), never);
      expect(verified.mock.callCount()).to.equal(1);
    } finally {
      verified.mock.restore();
      syncBuiltinESMExports();
    }
  });

  it('keeps nothing of one that goes while it is decided on', async () => {
    const csr = world.addCsr();
    const decided = world.approver.reconcile(csr.name, never);
    world.csrs.delete(csr.name);
    await decided;
    expect(world.pending.ofRequester('system:bootstrap:abcdef')).to.deep.equal([]);
  });

  it('keeps nothing of what is gone or settled', () => {
    const made = [1, 2, 3, 4].map(() => world.addCsr());
    expect(world.pending.ofRequester('system:bootstrap:abcdef')).to.have.length(4);
    world.csrs.delete('csr-1');
    world.approveByHand(made[1] ?? world.addCsr(), 'Denied');
    world.csrs.store({ ...(made[2] ?? world.addCsr()), issued: true });
    expect(world.pending.ofRequester('system:bootstrap:abcdef')).to.deep.equal(['csr-4']);
    world.csrs.delete('csr-4');
    expect(world.pending.ofRequester('system:bootstrap:abcdef')).to.deep.equal([]);
  });

  it('tells a CSR from another of the same name that came after it', () => {
    const first = world.addCsr();
    world.csrs.delete(first.name);
    const second = world.addCsr({ name: first.name }, { commonName: 'system:node:worker-2' });
    expect(world.pending.view(second).nodeName).to.equal('worker-2');
    world.pending.gone(first);
    expect(world.pending.ofRequester('system:bootstrap:abcdef')).to.deep.equal([first.name]);
  });
});

describe('controllers/decider', () => {
  let world: World;
  beforeEach(async () => {
    world = await World.make();
  });
  async function codesOf(csr: Csr): Promise<string[]> {
    const { verdict } = await world.decider.decide(world.pending.view(csr), never);
    return verdict.kind === 'approve' ? ['approve'] : verdict.violations.map(({ code }) => code);
  }

  it('lets only a newer request supersede that passes every check itself', async () => {
    const older = world.addCsr();
    await world.clock.advance(1_000);
    const wrong = world.addCsr({ usages: ['client auth'] });
    expect(await codesOf(older)).to.deep.equal(['approve']);
    await world.clock.advance(1_000);
    const right = world.addCsr();
    expect(await codesOf(older)).to.deep.equal(['Superseded']);
    expect(await codesOf(wrong)).to.deep.equal(['UsagesNotExact', 'Superseded']);
    expect(await codesOf(right)).to.deep.equal(['approve']);
  });

  it('lets a request that is superseded itself supersede nothing that the newest does not', async () => {
    for (let number = 0; number < 5; number += 1) {
      world.addCsr();
      await world.clock.advance(1_000);
    }
    const first = world.csrs.stored('csr-1');
    const { verdict } = await world.decider.decide(world.pending.view(first ?? world.addCsr()), never);
    expect(verdict.kind === 'wait' ? verdict.violations[0]?.message : '').to.match(/^"csr-5" is newer/);
  });

  it('approves none of the many that piled up before the one that the node got its certificate for', async () => {
    world.access.granted.clear();
    const piled: Csr[] = [];
    for (let number = 0; number < 4; number += 1) {
      piled.push(world.addCsr());
      await world.clock.advance(15 * 60_000);
    }
    const [first, second, third, last] = piled;
    if (first === undefined || second === undefined || third === undefined || last === undefined) throw new Error();
    world.access.granted.add('nodeclient system:bootstrappers');
    await world.clock.advance(60_000);
    await world.approver.reconcile(last.name, never);
    await world.signer.reconcile(last.name, never);
    expect(world.issued).to.deep.equal([last.name]);
    for (const csr of [first, second, third]) expect(await codesOf(csr), csr.name).to.deep.equal(['Superseded']);
  });

  it('judges the last of a thousand requests that all fail in no time', async () => {
    world.access.granted.clear();
    const first = world.addCsr();
    for (let number = 0; number < 1_000; number += 1) {
      await world.clock.advance(1_000);
      world.addCsr();
    }
    expect(await codesOf(first)).to.deep.equal(['AccessNotGranted']);
  });

  it('asks only for the facts that the path needs', async () => {
    await codesOf(world.addServing());
    expect(world.calls.made).to.deep.equal([]);
    world.tokens.view.isFresh = false;
    expect(await codesOf(world.addRenewal())).to.deep.equal(['approve']);
    expect(world.calls.made).to.have.length(1);
  });

  for (const [row, spoil, code] of [
    ['no Secret', (): void => world.tokens.delete('abcdef'), 'TokenNotFound'],
    ['a stale watch', (): void => void (world.tokens.view.isFresh = false), 'FactUnavailable'],
    ['an expired token', (): void => void world.tokens.store(tokenParts('abcdef', { expiresAt: 0 })), 'TokenExpired'],
    [
      'an access review without an answer',
      (): void => world.calls.fail('review', remoteError('Forbidden')),
      'FactUnavailable',
    ],
  ] as const) {
    it(`makes ${code} of ${row}`, async () => {
      spoil();
      expect(await codesOf(world.addCsr())).to.deep.equal([code]);
    });
  }
});

describe('controllers/place', () => {
  let world: World;
  beforeEach(async () => {
    world = await World.make();
  });

  for (const [row, make, expected] of [
    ['a first certificate', () => world.addCsr(), { class: 'bootstrap', weight: 4 }],
    ['a renewal', () => world.addRenewal(), { class: 'renewal', weight: 2 }],
    ['a serving certificate', () => world.addServing(), { class: 'serving', weight: 1 }],
    [
      'anybody else',
      () => world.addCsr({ requester: { ...nodeUser(), username: 'mallory' } }),
      { class: 'other', weight: 1 },
    ],
  ] as const) {
    it(`gives ${row} the class ${expected.class} with weight ${expected.weight}`, () => {
      expect(placeOf(world.pending.view(make()))).to.include(expected);
    });
  }

  it('gives one requester and name one flow, and every other another', () => {
    const flow = (csr: Csr): string => {
      const place = placeOf(world.pending.view(csr));
      return `${place.user} ${place.flow}`;
    };
    const one = flow(world.addCsr());
    expect(flow(world.addCsr())).to.equal(one);
    expect(flow(world.addCsr({}, { commonName: 'system:node:worker-2' }))).not.to.equal(one);
    expect(flow(world.addCsr({ requester: bootstrapUser(undefined, 'ghijkl') }))).not.to.equal(one);
  });

  it('has a place for what is gone', () => {
    expect(placeOf(undefined)).to.deep.equal({ class: 'other', weight: 1, user: '', flow: '' });
  });
});
