import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { RemoteError } from '../../src/errors.ts';
import type { Csr } from '../../src/ports.ts';
import { remoteError } from '../support/memory-ports.ts';
import { bootstrapUser, failureOf, HOUR, never, World } from './world.ts';

const SOON = 30_000;
const LATER = 300_000;

describe('controllers/approver', () => {
  let world: World;
  beforeEach(async () => {
    world = await World.make();
  });
  const decisions = (): string[] => world.calls.made.filter((call) => call.startsWith('decide'));

  describe('approves', () => {
    for (const [row, make, reason] of [
      ['a first certificate', () => world.addCsr(), 'BootstrapApproved'],
      ['a renewal', () => world.addRenewal(), 'RenewalApproved'],
      ['a serving certificate', () => world.addServing(), 'ServingApproved'],
    ] as const) {
      it(`${row} with one write and the reason ${reason}, and hands it on to the signer`, async () => {
        const csr = make();
        expect(await world.approver.reconcile(csr.name, never)).to.equal(undefined);
        expect(decisions()).to.deep.equal([`decide ${csr.name} Approved ${reason}`]);
        expect(world.csrs.conditionsOf(csr.name)).to.deep.equal([`Approved ${reason}`]);
        expect(world.reports.counted).to.deep.equal([`decided approve ${reason}`]);
        expect(world.reports.notices, 'the condition is the record').to.deep.equal([]);
        world.csrs.view.hold();
        await world.signer.reconcile(csr.name, never);
        expect(world.csrs.stored(csr.name)?.issued).to.equal(true);
      });
    }

    it('one of a requester, signer and name in a second: a newer one may supersede the rest by then', async () => {
      const [first, twin, serving] = [world.addRenewal(), world.addRenewal(), world.addServing()];
      expect(await world.approver.reconcile(first.name, never)).to.equal(undefined);
      expect(await world.approver.reconcile(twin.name, never)).to.equal(1_000);
      expect(await world.approver.reconcile(serving.name, never)).to.equal(undefined);
      expect(decisions()).to.have.length(2);
      await world.clock.advance(1_000);
      expect(await world.approver.reconcile(twin.name, never)).to.equal(undefined);
      expect(decisions()).to.have.length(3);
    });

    it('once, however often it is asked while the watch lags', async () => {
      const csr = world.addCsr();
      world.csrs.view.hold();
      for (let count = 0; count < 3; count += 1) {
        await world.approver.reconcile(csr.name, never);
        await world.clock.advance(1_000);
      }
      expect(decisions()).to.have.length(1);
    });
  });

  it('tells of a renewal with another certificate than that on record, and approves it', async () => {
    world.records.set('worker-1', {
      certificates: [{ fingerprint: 'a'.repeat(64), notAfter: world.clock.now() + 1, issuedAt: 0, issuer: '' }],
    });
    await world.approver.reconcile(world.addRenewal().name, never);
    expect(world.reports.counted).to.deep.equal(['decided approve RenewalApproved', 'remarked CredentialConflict']);
    expect(world.reports.notices.map(({ reason }) => reason)).to.deep.equal(['CredentialConflict']);
  });

  describe('that only observes', () => {
    beforeEach(async () => {
      world = await World.make({ observes: true, onViolation: 'deny' });
    });
    const observe = async (csr: Csr): Promise<void> => {
      world.approver.capture(world.pending.view(csr));
      expect(await world.approver.reconcile(csr.name, never)).to.equal(300_000);
    };

    it('says what it would approve, deny and leave waiting, and writes nothing', async () => {
      await observe(world.addCsr());
      await observe(world.addCsr({ usages: [] }));
      await observe(world.addCsr({}, { commonName: 'system:node:worker-2' }));
      expect(world.reports.counted).to.deep.equal([
        'decided approve BootstrapApproved',
        'decided deny UsagesNotExact',
        'decided wait TokenBoundToOtherNode',
      ]);
      expect(world.calls.made.filter((call) => !call.startsWith('review'))).to.deep.equal([]);
    });

    it('judges what somebody else decided on meanwhile, once', async () => {
      const csr = world.addCsr();
      world.approver.capture(world.pending.view(csr));
      world.csrs.store({ ...world.approveByHand(csr), issued: true, request: new Uint8Array() });
      await world.approver.reconcile(csr.name, never);
      expect(await world.approver.reconcile(csr.name, never)).to.equal(undefined);
      expect(world.reports.counted).to.deep.equal(['decided approve BootstrapApproved']);
    });

    it('says the same about a CSR that waits only once', async () => {
      const csr = world.addCsr();
      await observe(csr);
      await observe(csr);
      expect(world.reports.counted).to.deep.equal(['decided approve BootstrapApproved']);
    });
  });

  describe('leaves waiting', () => {
    it('what violates, writes nothing, and tells of every violation in the order of the rules', async () => {
      const csr = world.addCsr({ usages: ['client auth'] }, { commonName: 'system:node:worker-2' });
      expect(await world.approver.reconcile(csr.name, never)).to.equal(LATER);
      expect(decisions()).to.deep.equal([]);
      expect(world.csrs.stored(csr.name)?.conditions).to.deep.equal([]);
      expect(world.reports.counted).to.deep.equal(['decided wait TokenBoundToOtherNode']);
      const [notice] = world.reports.notices;
      expect(notice).to.include({ reason: 'TokenBoundToOtherNode', source: 'system:bootstrap:abcdef' });
      expect(notice?.message).to.match(/^TokenBoundToOtherNode: .*"worker-2".*; UsagesNotExact: /);
    });

    it('what it has reported, in silence until the reason changes', async () => {
      const csr = world.addCsr({}, { commonName: 'system:node:worker-2' });
      for (let count = 0; count < 3; count += 1) await world.approver.reconcile(csr.name, never);
      expect(world.reports.notices).to.have.length(1);
      world.tokens.delete('abcdef');
      await world.approver.reconcile(csr.name, never);
      expect(world.reports.notices).to.have.length(2);
    });

    it('a whole class without its binding with one source, and looks again in 30 s', async () => {
      world.access.granted.clear();
      for (let number = 0; number < 20; number += 1) {
        const node = `worker-${number}`;
        const csr = world.addRenewal(
          { requester: { ...bootstrapUser(), username: `system:node:${node}`, groups: ['system:nodes'] } },
          { commonName: `system:node:${node}` },
        );
        expect(await world.approver.reconcile(csr.name, never)).to.equal(SOON);
      }
      expect(new Set(world.reports.notices.map(({ source, reason }) => `${source} ${reason}`))).to.deep.equal(
        new Set(['class renewal AccessNotGranted']),
      );
      expect(world.reports.notices[0]?.message).to.contain('selfnodeclient');
    });

    it('what it could not ask about, and looks again in 30 s', async () => {
      world.calls.fail('review', remoteError('Forbidden'));
      const csr = world.addCsr();
      expect(await world.approver.reconcile(csr.name, never)).to.equal(SOON);
      expect(world.reports.counted).to.deep.equal(['decided wait FactUnavailable']);
      expect(await world.approver.reconcile(csr.name, never)).to.equal(undefined);
      expect(world.csrs.conditionsOf(csr.name)).to.deep.equal(['Approved BootstrapApproved']);
    });

    it('first certificates while the watch on tokens is stale, and renewals not', async () => {
      world.tokens.view.isFresh = false;
      expect(await world.approver.reconcile(world.addCsr().name, never)).to.equal(SOON);
      expect(await world.approver.reconcile(world.addRenewal().name, never)).to.equal(undefined);
    });

    it('an older request without an Event, as long as a newer one passes every check', async () => {
      const older = world.addCsr();
      await world.clock.advance(60_000);
      world.addCsr();
      expect(await world.approver.reconcile(older.name, never)).to.equal(LATER);
      expect(world.reports.counted).to.deep.equal(['decided wait Superseded']);
      expect(world.reports.notices).to.deep.equal([]);
    });
  });

  describe('denies', () => {
    const hopeless = { usages: ['client auth', 'server auth'] };

    it('nothing unless the config says so', async () => {
      await world.approver.reconcile(world.addCsr(hopeless).name, never);
      expect(decisions()).to.deep.equal([]);
    });

    it('what can never become right, with an Event', async () => {
      world = await World.make({ onViolation: 'deny' });
      const csr = world.addCsr(hopeless);
      expect(await world.approver.reconcile(csr.name, never)).to.equal(undefined);
      expect(world.csrs.conditionsOf(csr.name)).to.deep.equal(['Denied UsagesNotExact']);
      expect(world.reports.notices).to.have.length(1);
      expect(world.reports.counted).to.deep.equal(['decided deny UsagesNotExact']);
    });

    for (const [row, spoil] of [
      ['what the right token would mend', () => world.tokens.delete('abcdef')],
      ['what a binding would mend', () => world.access.granted.clear()],
    ] as const) {
      it(`never ${row}`, async () => {
        world = await World.make({ onViolation: 'deny' });
        spoil();
        const csr = world.addCsr();
        await world.approver.reconcile(csr.name, never);
        expect(decisions()).to.deep.equal([]);
      });
    }

    it('never what could not be judged', async () => {
      world = await World.make({ onViolation: 'deny' });
      world.tokens.view.isFresh = false;
      await world.approver.reconcile(world.addCsr(hopeless).name, never);
      expect(decisions()).to.deep.equal([]);
    });
  });

  describe('takes as ordinary', () => {
    it('that somebody else changed it: nothing is reported, and what the watch brings is decided on', async () => {
      const csr = world.addCsr();
      world.calls.before('decide', () => void world.csrs.store({ ...csr, labels: { touched: 'yes' } }));
      expect(await world.approver.reconcile(csr.name, never)).to.equal(undefined);
      expect(world.reports.counted).to.deep.equal([]);
      await world.approver.reconcile(csr.name, never);
      expect(world.csrs.stored(csr.name)).to.deep.include({ labels: { touched: 'yes' } });
      expect(world.csrs.conditionsOf(csr.name)).to.deep.equal(['Approved BootstrapApproved']);
    });

    it('that it is gone', async () => {
      const csr = world.addCsr();
      world.calls.before('decide', () => world.csrs.delete(csr.name));
      expect(await world.approver.reconcile(csr.name, never)).to.equal(undefined);
      expect(await world.approver.reconcile(csr.name, never)).to.equal(undefined);
    });

    for (const [what, happen] of [
      ['went', (csr: Csr) => world.csrs.delete(csr.name)],
      ['was decided by somebody else', (csr: Csr) => void world.approveByHand(csr, 'Denied')],
    ] as const) {
      it(`that what it would have left waiting ${what} meanwhile: nobody is told`, async () => {
        const csr = world.addCsr();
        world.access.granted.clear();
        world.calls.before('review', () => happen(csr));
        expect(await world.approver.reconcile(csr.name, never)).to.equal(undefined);
        expect([world.reports.counted, world.reports.notices]).to.deep.equal([[], []]);
      });
    }

    it('that somebody else decided first', async () => {
      const csr = world.addCsr();
      world.calls.before('decide', () => void world.approveByHand(csr, 'Denied'));
      await world.approver.reconcile(csr.name, never);
      await world.approver.reconcile(csr.name, never);
      expect(world.csrs.conditionsOf(csr.name)).to.deep.equal(['Denied ByHand']);
    });
  });

  for (const code of ['Unavailable', 'Forbidden', 'TooManyRequests', 'Unauthorized'] as const) {
    it(`throws ${code}, to be tried again, and reports no decision`, async () => {
      const csr = world.addCsr();
      world.calls.fail('decide', remoteError(code));
      expect(await failureOf(world.approver.reconcile(csr.name, never)))
        .to.be.instanceOf(RemoteError)
        .and.to.include({ code });
      expect(world.reports.counted).to.deep.equal([]);
      await world.approver.reconcile(csr.name, never);
      expect(world.csrs.conditionsOf(csr.name)).to.deep.equal(['Approved BootstrapApproved']);
    });
  }

  it('does nothing about a CSR that is unknown or no longer pending', async () => {
    const csr = world.approveByHand(world.addCsr());
    expect(await world.approver.reconcile(csr.name, never)).to.equal(undefined);
    expect(await world.approver.reconcile('unknown', never)).to.equal(undefined);
    expect(decisions()).to.deep.equal([]);
  });

  it('decides on the last of a thousand requests of one node that nobody may approve without asking a thousand times', async () => {
    world.access.granted.clear();
    for (let number = 0; number < 1_000; number += 1) {
      world.addCsr();
      await world.clock.advance(1_000);
    }
    const oldest = 'csr-1';
    expect(await world.approver.reconcile(oldest, never)).to.equal(SOON);
    expect(world.calls.made.filter((call) => call.startsWith('review')).length).to.be.at.most(4);
  });

  it('looks at a token that expired between two looks', async () => {
    const csr = world.addCsr({}, { commonName: 'system:node:worker-2' });
    await world.approver.reconcile(csr.name, never);
    await world.clock.advance(25 * HOUR);
    await world.approver.reconcile(csr.name, never);
    expect(world.reports.notices.at(-1)?.message).to.contain('TokenExpired');
  });
});
