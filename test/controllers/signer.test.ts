import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { RefusedError, RemoteError, type RemoteErrorCode } from '../../src/errors.ts';
import type { CertificateSigner, Csr } from '../../src/ports.ts';
import { remoteError } from '../support/memory-ports.ts';
import { USES } from '../../src/tokens/token-secret.ts';
import { bootstrapUser, failureOf, HOUR, never, nodeUser, TOKEN_ID, tokenParts, World } from './world.ts';

describe('controllers/signer', () => {
  let world: World;
  beforeEach(async () => {
    world = await World.make();
  });
  const issues = (): string[] => world.calls.made.filter((call) => call.startsWith('issue'));
  const certificateOf = (csr: Csr): X509Certificate => new X509Certificate(world.csrs.certificates.get(csr.name) ?? '');

  describe('signs', () => {
    it('a first certificate, as it is planned', async () => {
      const csr = world.approveByHand(world.addCsr());
      await world.clock.advance(2_000);
      expect(await world.signer.reconcile(csr.name, never)).to.equal(undefined);
      const certificate = certificateOf(csr);
      expect(certificate.subject).to.equal('O=system:nodes\nCN=system:node:worker-1');
      expect(Date.parse(certificate.validTo)).to.equal(world.clock.now() + 24 * HOUR - 300_000);
      expect(certificate.verify(new X509Certificate(world.authorityPem).publicKey)).to.equal(true);
      expect(world.reports.counted).to.deep.equal(['issued 2']);
    });

    it('for as long as was asked, and for the lifetime of its signer otherwise', async () => {
      const asked = world.approveByHand(world.addRenewal({ expirationSeconds: 3_600 }));
      const serving = world.approveByHand(world.addServing());
      for (const csr of [asked, serving]) await world.signer.reconcile(csr.name, never);
      expect(Date.parse(certificateOf(asked).validTo)).to.equal(world.clock.now() + HOUR);
      expect(Date.parse(certificateOf(serving).validTo)).to.equal(world.clock.now() + 12 * HOUR - 300_000);
      expect(certificateOf(serving).subjectAltName).to.equal('DNS:worker-1, IP Address:10.1.2.3');
    });

    it('the copy of the approver while the watch still shows it as pending', async () => {
      const csr = world.addCsr();
      world.csrs.view.hold();
      await world.approver.reconcile(csr.name, never);
      await world.signer.reconcile(csr.name, never);
      expect(issues()).to.have.length(1);
      expect(world.csrs.stored(csr.name)?.issued).to.equal(true);
    });

    it('the copy of the approver again when that failed, and the watch still shows it as pending', async () => {
      const csr = world.addCsr();
      world.csrs.view.hold();
      await world.approver.reconcile(csr.name, never);
      world.calls.fail('issue', remoteError('Unavailable'));
      await failureOf(world.signer.reconcile(csr.name, never));
      await world.signer.reconcile(csr.name, never);
      expect(world.csrs.stored(csr.name)?.issued).to.equal(true);
    });

    it('what the watch shows of it once that is later than the copy of the approver', async () => {
      const csr = world.addCsr();
      world.csrs.view.hold();
      await world.approver.reconcile(csr.name, never);
      world.csrs.view.release();
      const approved = world.csrs.stored(csr.name);
      expect(approved !== undefined && world.signer.wasOffered(approved)).to.equal(true);
      expect(world.signer.wasOffered(csr), 'the version before').to.equal(false);
      world.csrs.delete(csr.name);
      expect(await world.signer.reconcile(csr.name, never)).to.equal(undefined);
      expect(issues()).to.deep.equal([]);
    });

    it('once, while the watch lags behind the certificate', async () => {
      const csr = world.approveByHand(world.addCsr());
      world.csrs.view.hold();
      for (let count = 0; count < 3; count += 1) await world.signer.reconcile(csr.name, never);
      expect(issues()).to.have.length(1);
    });

    it('again where a restored etcd has it without its certificate', async () => {
      const csr = world.approveByHand(world.addCsr());
      await world.signer.reconcile(csr.name, never);
      world.csrs.store(csr);
      await world.signer.reconcile(csr.name, never);
      expect(issues()).to.have.length(2);
    });

    it('what became right after it was withheld', async () => {
      const csr = world.approveByHand(world.addCsr());
      world.access.granted.clear();
      expect(await world.signer.reconcile(csr.name, never)).to.equal(30_000);
      world.access.granted.add('nodeclient system:bootstrappers');
      await world.clock.advance(30_000);
      expect(await world.signer.reconcile(csr.name, never)).to.equal(undefined);
      expect(issues()).to.have.length(1);
    });

    it('where only single users are bound, though such reviews are rare', async () => {
      world.access.granted.clear();
      world.access.granted.add('nodeclient system:bootstrap:abcdef');
      const csr = world.addCsr();
      await world.approver.reconcile(csr.name, never);
      await world.signer.reconcile(csr.name, never);
      expect(world.csrs.stored(csr.name)?.issued).to.equal(true);
    });
  });

  it("signs for as long as the node's name has it", async () => {
    const csr = world.approveByHand(
      world.addRenewal({ requester: nodeUser('worker-9') }, { commonName: 'system:node:worker-9' }),
    );
    await world.signer.reconcile(csr.name, never);
    expect(Date.parse(certificateOf(csr).validTo)).to.equal(world.clock.now() + 9 * HOUR - 300_000);
  });

  it("signs for as long as the node's pool has it, and tells of the certificate", async () => {
    const token = { id: 'abcdef', pool: 'workers', key: '', usedAt: 0, seenAt: undefined };
    world.records.set('worker-1', { token });
    const csr = world.approveByHand(world.addRenewal());
    await world.signer.reconcile(csr.name, never);
    expect(world.issued).to.deep.equal([csr.name]);
    const { validFromDate, validToDate } = new X509Certificate(world.csrs.certificates.get(csr.name) ?? '');
    expect(validToDate.getTime() - validFromDate.getTime()).to.equal(6 * HOUR + 300_000);
  });

  describe('trusts no approval', () => {
    it('and withholds what somebody else approved against the rules, with one Event', async () => {
      const csr = world.approveByHand(world.addCsr({}, { commonName: 'system:node:worker-2' }));
      for (let count = 0; count < 3; count += 1) {
        expect(await world.signer.reconcile(csr.name, never)).to.equal(300_000);
      }
      expect(issues()).to.deep.equal([]);
      expect(world.csrs.conditionsOf(csr.name)).to.deep.equal(['Approved ByHand']);
      expect(world.reports.counted).to.deep.equal(['withheld TokenBoundToOtherNode']);
      expect(world.reports.notices).to.have.length(1);
      expect(world.reports.notices[0]?.message).to.match(/^approved, but not signed: /);
    });

    it('and counts the uses that whoever approved has not counted', async () => {
      const pool = { kind: 'pool', pool: 'workers' } as const;
      const parts = tokenParts(TOKEN_ID, { binding: pool, expiresAt: world.clock.now() + HOUR });
      world.tokens.store({ ...parts, annotations: { [USES]: '1' } });
      world.records.set('worker-1', { certificates: [] });
      const csr = world.approveByHand(world.addCsr({ requester: bootstrapUser(pool) }));
      world.claimed = 'usedUp';
      expect(await world.signer.reconcile(csr.name, never)).to.equal(1_000);
      expect(issues()).to.deep.equal([]);
      world.claimed = 'claimed';
      expect(await world.signer.reconcile(csr.name, never)).to.equal(undefined);
      expect(issues()).to.have.length(1);
    });

    it('and marks as Failed what can never become right', async () => {
      const csr = world.approveByHand(world.addCsr({ usages: ['client auth', 'server auth'] }));
      expect(await world.signer.reconcile(csr.name, never)).to.equal(undefined);
      expect(world.csrs.conditionsOf(csr.name)).to.deep.equal(['Approved ByHand', 'Failed UsagesNotExact']);
      expect(world.reports.counted).to.deep.equal(['failed UsagesNotExact']);
    });

    it('but never marks as Failed what it could not judge for lack of a fact', async () => {
      const csr = world.approveByHand(world.addCsr({ usages: ['client auth', 'server auth'] }));
      world.tokens.view.isFresh = false;
      expect(await world.signer.reconcile(csr.name, never)).to.equal(30_000);
      expect(world.csrs.conditionsOf(csr.name)).to.deep.equal(['Approved ByHand']);
    });

    it('nor what somebody has written so much to that it cannot be written to', async () => {
      const csr = world.approveByHand(world.addCsr({ usages: ['client auth'], hasLargeMetadata: true }));
      expect(await world.signer.reconcile(csr.name, never)).to.equal(300_000);
      expect(world.csrs.conditionsOf(csr.name)).to.deep.equal(['Approved ByHand']);
    });

    it('and tells a missing binding once for the class, not for every node', async () => {
      world.access.granted.clear();
      for (const node of ['worker-1', 'worker-2']) {
        const csr = world.addRenewal({ requester: nodeUser(node) }, { commonName: `system:node:${node}` });
        await world.signer.reconcile(world.approveByHand(csr).name, never);
      }
      expect(world.reports.notices.map(({ source }) => source)).to.deep.equal(['class renewal', 'class renewal']);
    });
  });

  describe('a backend', () => {
    const vaultError = (code: RemoteErrorCode): RemoteError => new RemoteError('vault', code, `Vault: ${code}`);
    const outages: readonly (readonly [string, Partial<CertificateSigner>])[] = [
      ['has no CA now', { authority: () => Promise.reject(new RefusedError('AuthorityUnusable', 'expired')) }],
      ['cannot be reached for its CA', { authority: () => Promise.reject(vaultError('Unavailable')) }],
      ['is sealed', { sign: () => Promise.reject(vaultError('Sealed')) }],
      ['refuses to sign', { sign: () => Promise.reject(vaultError('Forbidden')) }],
    ];
    for (const [row, fault] of outages) {
      it(`that ${row} means: hold, try again, never Failed`, async () => {
        let broken = true;
        world = await World.make({
          backend: (real) => ({
            ...real,
            authority: (signal) =>
              broken && fault.authority !== undefined ? fault.authority(signal) : real.authority(signal),
            sign: (plan, request, signal) =>
              broken && fault.sign !== undefined ? fault.sign(plan, request, signal) : real.sign(plan, request, signal),
          }),
        });
        const csr = world.approveByHand(world.addCsr());
        await failureOf(world.signer.reconcile(csr.name, never));
        expect(world.csrs.conditionsOf(csr.name)).to.deep.equal(['Approved ByHand']);
        expect(world.reports.counted).to.deep.equal([]);
        expect(world.reports.notices.map(({ reason, source }) => [reason, source])).to.deep.equal([
          ['SignerUnavailable', 'signer'],
        ]);
        expect(world.signer.isHeld).to.equal(true);
        broken = false;
        // Held back for the first half second, then tried.
        expect(await world.signer.reconcile(csr.name, never)).to.equal(500);
        await world.clock.advance(500);
        await world.signer.reconcile(csr.name, never);
        expect(world.csrs.stored(csr.name)?.issued).to.equal(true);
        expect([world.signer.isHeld, world.recovered]).to.deep.equal([false, 1]);
      });
    }

    const liars: readonly (readonly [string, (real: CertificateSigner) => CertificateSigner['sign']])[] = [
      [
        'another node',
        (real) =>
          (plan, ...rest) =>
            real.sign({ ...plan, nodeName: 'worker-2' }, ...rest),
      ],
      [
        'a longer life',
        (real) =>
          (plan, ...rest) =>
            real.sign({ ...plan, notAfter: plan.notAfter + 1_000 }, ...rest),
      ],
      [
        'a name that was not planned',
        (real) =>
          (plan, ...rest) =>
            real.sign({ ...plan, usage: 'serving', dnsNames: ['evil'] }, ...rest),
      ],
      ['nobody, being none at all', () => () => Promise.resolve('garbage')],
    ];
    for (const [row, signWith] of liars) {
      it(`that answers a certificate for ${row}: thrown away, counted, never written`, async () => {
        world = await World.make({
          backend: (real) => ({ ...real, sign: signWith(real) }),
        });
        const csr = world.approveByHand(world.addCsr());
        expect(await failureOf(world.signer.reconcile(csr.name, never)))
          .to.be.instanceOf(RefusedError)
          .and.to.include({ code: 'CertificateNotAsPlanned' });
        expect(issues()).to.deep.equal([]);
        expect(world.reports.counted).to.deep.equal(['notAsPlanned']);
        expect(world.csrs.conditionsOf(csr.name)).to.deep.equal(['Approved ByHand']);
        expect(world.reports.notices.map(({ reason, source }) => [reason, source])).to.deep.equal([
          ['CertificateNotAsPlanned', 'signer'],
        ]);
      });
    }

    it('that cannot sign one kind of certificate signs the others meanwhile', async () => {
      const noServing = new RefusedError('AuthorityUnusable', 'the role for serving certificates is not there');
      world = await World.make({
        backend: (real) => ({
          ...real,
          sign: (plan, ...rest) => (plan.usage === 'serving' ? Promise.reject(noServing) : real.sign(plan, ...rest)),
        }),
      });
      const [serving, client] = [world.approveByHand(world.addServing()), world.approveByHand(world.addCsr())];
      await failureOf(world.signer.reconcile(serving.name, never));
      await world.signer.reconcile(client.name, never);
      expect(world.csrs.stored(client.name)?.issued).to.equal(true);
      expect([world.signer.isHeld, await world.signer.reconcile(serving.name, never)]).to.deep.equal([true, 500]);
      expect(world.csrs.conditionsOf(serving.name)).to.deep.equal(['Approved ByHand']);
    });

    it('whose CA is not valid yet signs nothing before its time', async () => {
      const begins = { at: 0 };
      world = await World.make({
        backend: (real) => ({
          ...real,
          authority: async (signal) => ({ ...(await real.authority(signal)), notBefore: begins.at }),
        }),
      });
      begins.at = world.clock.now() + 60_000;
      const csr = world.approveByHand(world.addCsr());
      expect(await failureOf(world.signer.reconcile(csr.name, never))).to.include({ code: 'AuthorityUnusable' });
      expect(issues()).to.deep.equal([]);
      await world.clock.advance(60_000);
      await world.signer.reconcile(csr.name, never);
      expect(issues()).to.have.length(1);
    });

    it('whose CA ends first shortens, or holds what it may not shorten, and only that', async () => {
      world = await World.make({
        backend: (real) => ({
          ...real,
          authority: async (signal) => ({ ...(await real.authority(signal)), notAfter: world.clock.now() + 2 * HOUR }),
        }),
      });
      const [long, short] = [world.addRenewal(), world.addRenewal({ expirationSeconds: 3_600 })].map((csr) =>
        world.approveByHand(csr),
      );
      world.onEarlyEnd = 'refuse';
      expect(await failureOf(world.signer.reconcile(long?.name ?? '', never))).to.include({
        code: 'AuthorityEndsFirst',
      });
      expect(world.reports.notices.map(({ reason }) => reason)).to.deep.equal(['AuthorityEndsFirst']);
      await world.signer.reconcile(short?.name ?? '', never);
      expect(issues()).to.have.length(1);
      expect(world.csrs.conditionsOf(long?.name ?? '')).to.deep.equal(['Approved ByHand']);
      world.onEarlyEnd = 'shorten';
      await world.signer.reconcile(long?.name ?? '', never);
      expect(Date.parse(certificateOf(long as Csr).validTo)).to.equal(world.clock.now() + 2 * HOUR);
    });

    it('that refuses this one request means: hold that one, and tell its owner', async () => {
      const refused = vaultError('Invalid');
      world = await World.make({ backend: (real) => ({ ...real, sign: () => Promise.reject(refused) }) });
      const csr = world.approveByHand(world.addCsr());
      expect(await failureOf(world.signer.reconcile(csr.name, never))).to.equal(refused);
      expect(world.reports.notices.map(({ reason, source }) => [reason, source])).to.deep.equal([
        ['SignerRefused', 'system:bootstrap:abcdef'],
      ]);
      expect([world.signer.isHeld, world.csrs.conditionsOf(csr.name)]).to.deep.equal([false, ['Approved ByHand']]);
    });
  });

  describe('takes as ordinary', () => {
    it('that somebody changed the CSR, whose new version is signed a second later', async () => {
      const csr = world.approveByHand(world.addCsr());
      world.calls.before('issue', () => void world.csrs.store({ ...csr, labels: { touched: 'yes' } }));
      const again = await world.signer.reconcile(csr.name, never);
      expect(again).to.equal(1_000);
      expect(world.reports.counted).to.deep.equal([]);
      expect(await world.signer.reconcile(csr.name, never)).to.equal(undefined);
      expect(world.csrs.stored(csr.name)).to.deep.include({ issued: true, labels: { touched: 'yes' } });
    });

    it('that the copy of the approver is older than what the watch has shown: no wake-up is lost', async () => {
      const csr = world.addCsr();
      await world.approver.reconcile(csr.name, never);
      const approved = world.csrs.stored(csr.name);
      if (approved !== undefined) world.csrs.store({ ...approved, annotations: { touched: 'yes' } });
      // The event has come and gone before the signer's turn.
      expect(await world.signer.reconcile(csr.name, never)).to.equal(undefined);
      expect(world.csrs.stored(csr.name)?.issued).to.equal(true);
    });

    it('that it is gone', async () => {
      const csr = world.approveByHand(world.addCsr());
      world.calls.before('issue', () => world.csrs.delete(csr.name));
      expect(await world.signer.reconcile(csr.name, never)).to.equal(undefined);
      expect(world.reports.counted).to.deep.equal([]);
    });

    it('that what it would have withheld went meanwhile: nobody is told', async () => {
      world.access.granted.clear();
      const csr = world.approveByHand(world.addCsr());
      world.calls.before('review', () => world.csrs.delete(csr.name));
      expect(await world.signer.reconcile(csr.name, never)).to.equal(undefined);
      expect([world.reports.counted, world.reports.notices]).to.deep.equal([[], []]);
    });

    it('that another signer was first', async () => {
      const csr = world.approveByHand(world.addCsr());
      world.calls.before('issue', () => void world.csrs.store({ ...csr, issued: true }));
      await world.signer.reconcile(csr.name, never);
      expect(await world.signer.reconcile(csr.name, never)).to.equal(undefined);
      expect(issues()).to.have.length(1);
    });
  });

  it('leaves alone what is pending, denied, failed or issued', async () => {
    const made = [
      world.addCsr(),
      world.approveByHand(world.addCsr(), 'Denied'),
      world.approveByHand(world.approveByHand(world.addCsr()), 'Failed'),
      world.csrs.store({ ...world.approveByHand(world.addCsr()), issued: true }),
    ];
    for (const { name } of made) expect(await world.signer.reconcile(name, never)).to.equal(undefined);
    expect(world.calls.made).to.deep.equal([]);
  });

  it('tries a write again that failed for another reason', async () => {
    const csr = world.approveByHand(world.addCsr());
    world.calls.fail('issue', remoteError('Unavailable'));
    await failureOf(world.signer.reconcile(csr.name, never));
    await world.signer.reconcile(csr.name, never);
    expect(world.csrs.stored(csr.name)?.issued).to.equal(true);
    expect(world.reports.counted).to.deep.equal(['issued 0']);
  });
});
