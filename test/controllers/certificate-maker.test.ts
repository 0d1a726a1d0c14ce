import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { RefusedError, RemoteError } from '../../src/errors.ts';
import { localSigner } from '../../src/local-ca/signer.ts';
import type { Authority, CertificateSigner, Csr } from '../../src/ports.ts';
import { testAuthority } from '../support/test-authority.ts';
import { settled } from '../support/fake-clock.ts';
import { remoteError } from '../support/memory-ports.ts';
import { failureOf, never, nodeUser, World, type WorldOptions } from './world.ts';

describe('controllers/certificate-maker: a certificate that is made ahead', () => {
  let world: World;
  /** What the backend was asked to sign, and what it answered, in order. */
  let signed: string[];
  let sign: (real: CertificateSigner['sign']) => CertificateSigner['sign'];
  let authority: (real: Authority) => Authority;

  async function makeWorld(options: WorldOptions = {}): Promise<void> {
    world = await World.make({
      backend: (real) => ({
        ...real,
        authority: async (signal) => authority(await real.authority(signal)),
        sign: async (...asked) => {
          const answer = sign((...again) => real.sign(...again))(...asked);
          signed.push('');
          const place = signed.length - 1;
          signed[place] = await answer;
          return answer;
        },
      }),
      ...options,
    });
  }
  beforeEach(async () => {
    signed = [];
    sign = (real) => real;
    authority = (real) => real;
    await makeWorld();
  });

  async function approve(csr: Csr): Promise<void> {
    await world.approver.reconcile(csr.name, never);
    await settled();
  }
  const issues = (): string[] => world.calls.made.filter((call) => call.startsWith('issue'));
  const written = ({ name }: Csr): string | undefined => world.csrs.certificates.get(name);

  it('is made while the approval is written, and published after it', async () => {
    const csr = world.addCsr();
    let signedBefore: number | undefined;
    world.calls.before('decide', () => (signedBefore = signed.length));
    await approve(csr);
    expect([signedBefore, signed.length, issues().length]).to.deep.equal([0, 1, 0]);
    await world.signer.reconcile(csr.name, never);
    expect(signed).to.deep.equal([written(csr)]);
  });

  it('is made once, though the turn to sign comes before it is there', async () => {
    const csr = world.addCsr();
    await world.approver.reconcile(csr.name, never);
    expect(signed).to.deep.equal([]);
    await world.signer.reconcile(csr.name, never);
    await settled();
    expect(signed).to.deep.equal([written(csr)]);
  });

  const changes: readonly (readonly [string, () => unknown])[] = [
    ['a second has gone by', () => world.clock.advance(1_000)],
    [
      'its node is of a pool with another lifetime by now',
      () => {
        const token = { id: 'abcdef', pool: 'workers', key: '', usedAt: 0, seenAt: undefined };
        world.records.set('worker-1', { token });
      },
    ],
    [
      'the CA ends earlier by now',
      () => {
        const notAfter = world.clock.now() + 3_600_000;
        authority = (real) => ({ ...real, notAfter });
      },
    ],
  ];
  for (const [row, change] of changes) {
    it(`is made anew when ${row}`, async () => {
      const csr = world.addRenewal();
      await approve(csr);
      await change();
      await world.signer.reconcile(csr.name, never);
      expect(signed).to.have.length(2);
      expect(signed[1]).to.equal(written(csr)).and.not.to.equal(signed[0]);
    });
  }

  it('is not taken when the CA is another one by now', async () => {
    const csr = world.addCsr();
    await approve(csr);
    const pair = await testAuthority();
    const source = { describe: () => 'another', load: () => Promise.resolve(pair) };
    const another = localSigner({ source, clock: world.clock, onProblem: () => {} });
    const of = await another.authority(never);
    authority = () => of;
    sign =
      () =>
      (...asked) =>
        another.sign(...asked);
    await world.signer.reconcile(csr.name, never);
    expect(signed).to.have.length(2);
    expect(signed[1]).to.equal(written(csr));
    expect(new X509Certificate(written(csr) ?? '').verify(new X509Certificate(pair.certPem).publicKey)).to.equal(true);
  });

  it('is not taken when the same CA has its key elsewhere by now', async () => {
    const csr = world.addCsr();
    await approve(csr);
    authority = (real) => ({ ...real, keyAtHand: false });
    await world.signer.reconcile(csr.name, never);
    expect(signed).to.have.length(2);
    expect(signed[1]).to.equal(written(csr));
  });

  it('is followed by others that are checked as their backend has it, be it for the same CA', async () => {
    const [first, second] = [world.addCsr(), world.addRenewal()];
    await approve(first);
    await world.signer.reconcile(first.name, never);
    authority = (real) => ({ ...real, keyAtHand: false, latitude: { extras: [], timesMs: 60_000 } });
    sign =
      (real) =>
      (plan, ...rest) =>
        real({ ...plan, notAfter: plan.notAfter - 1_000 }, ...rest);
    await world.signer.reconcile(world.approveByHand(second).name, never);
    expect(world.csrs.stored(second.name)?.issued).to.equal(true);
  });

  it('is of that CSR alone, not of another with its name', async () => {
    const csr = world.addCsr();
    await approve(csr);
    const other = world.approveByHand(world.csrs.store({ ...csr, uid: 'another' }));
    await world.signer.reconcile(other.name, never);
    expect(signed).to.have.length(2);
    expect(signed[1]).to.equal(written(csr));
  });

  it('is dropped with its CSR', async () => {
    const csr = world.addCsr();
    await approve(csr);
    world.csrs.delete(csr.name);
    world.approveByHand(world.csrs.store(csr));
    await world.signer.reconcile(csr.name, never);
    expect(signed).to.have.length(2);
  });

  it('is not made where the key is elsewhere', async () => {
    authority = (real) => ({ ...real, keyAtHand: false });
    const csr = world.addCsr();
    await approve(csr);
    expect(signed).to.deep.equal([]);
    await world.signer.reconcile(csr.name, never);
    expect(signed).to.deep.equal([written(csr)]);
  });

  it('is not made for what is denied', async () => {
    await makeWorld({ onViolation: 'deny' });
    const csr = world.addCsr({ usages: ['client auth', 'server auth'] });
    await approve(csr);
    expect(world.csrs.conditionsOf(csr.name)).to.deep.equal(['Denied UsagesNotExact']);
    expect(signed).to.deep.equal([]);
  });

  it('is not published when the approval fails, and taken when it succeeds later', async () => {
    const csr = world.addCsr();
    world.calls.fail('decide', remoteError('Unavailable'));
    await failureOf(approve(csr));
    await settled();
    expect(await world.signer.reconcile(csr.name, never)).to.equal(undefined);
    expect([signed.length, issues().length]).to.deep.equal([1, 0]);
    world.approveByHand(csr);
    await world.signer.reconcile(csr.name, never);
    expect(signed).to.deep.equal([written(csr)]);
  });

  it('is not published when the decision is another one after the approval', async () => {
    const csr = world.addCsr();
    await approve(csr);
    world.tokens.view.isFresh = false;
    expect(await world.signer.reconcile(csr.name, never)).to.equal(30_000);
    expect([signed.length, issues().length]).to.deep.equal([1, 0]);
  });

  it('is thrown away and counted once when it is not as planned', async () => {
    sign =
      (real) =>
      (plan, ...rest) =>
        real({ ...plan, nodeName: 'worker-2' }, ...rest);
    const csr = world.addCsr();
    await approve(csr);
    expect(world.reports.counted).to.deep.equal(['decided approve BootstrapApproved']);
    expect(await failureOf(world.signer.reconcile(csr.name, never)))
      .to.be.instanceOf(RefusedError)
      .and.to.include({ code: 'CertificateNotAsPlanned' });
    expect(issues()).to.deep.equal([]);
    expect(world.reports.counted).to.deep.equal(['decided approve BootstrapApproved', 'notAsPlanned']);
  });

  it('that cannot be made is nobody’s trouble: it is made in its turn', async () => {
    sign = () => () => Promise.reject(new RefusedError('AuthorityUnusable', 'not now'));
    const csr = world.addCsr();
    await approve(csr);
    expect([world.signer.isHeld, world.reports.notices.length]).to.deep.equal([false, 0]);
    sign = (real) => real;
    await world.signer.reconcile(csr.name, never);
    expect(signed.at(-1)).to.equal(written(csr));
  });

  it('is not made while the backend is known to be out', async () => {
    sign = () => () => Promise.reject(new RemoteError('vault', 'Sealed', 'sealed'));
    const held = world.approveByHand(world.addCsr());
    await failureOf(world.signer.reconcile(held.name, never));
    signed = [];
    await approve(world.addRenewal());
    expect(signed).to.deep.equal([]);
  });

  it('is kept for the last 64 approvals', async () => {
    const made = Array.from({ length: 65 }, (_, index) => {
      const node = `worker-${index + 1}`;
      return world.addRenewal({ requester: nodeUser(node) }, { commonName: `system:node:${node}` });
    });
    for (const csr of made) await approve(csr);
    expect(signed).to.have.length(65);
    for (const csr of made.slice(0, 2)) await world.signer.reconcile(csr.name, never);
    expect(signed).to.have.length(66);
  });
});
