import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import type { LogLine, Service } from '../../scripts/servers/service.ts';
import { isRemote } from '../../src/errors.ts';
import { csrWriter, readCsr } from '../../src/kubernetes/csrs.ts';
import { connectCluster } from '../../src/kubernetes/kubeconfig.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { csrBody, CSRS, seenCsrs, until } from '../support/crowd.ts';
import { buildCsrPem, testAuthority } from '../support/csr-builder.ts';
import { requireService } from '../support/running-service.ts';

const HOUR = 3_600_000;
const AT_ONCE = {
  issued: '0s',
  denied: '0s',
  failed: '0s',
  pending: '0s',
  approvedUnissued: '0s',
  superseded: '0s',
};
/** Why each CSR goes when nothing is kept. */
const WHY: Readonly<Record<string, string>> = {
  'cl-approved': 'approvedUnissued',
  'cl-denied': 'denied',
  'cl-expired': 'expiredCertificate',
  'cl-failed': 'failed',
  'cl-issued': 'issued',
  'cl-newer': 'pending',
  'cl-older': 'superseded',
  'cl-pending': 'pending',
};
const ALL = [...Object.keys(WHY), 'cl-foreign'].toSorted();

interface WireCsr {
  status: { conditions?: object[]; certificate?: string };
}

describe('the cleaner on the real API server', function () {
  this.timeout(60_000);
  const running = requireService({ controllers: ['cleaner'], vault: { prefix: 'cleaner-test' } }, false);

  async function create(name: string, node = name, signerName?: string): Promise<void> {
    const options = signerName === undefined ? {} : { signerName, usages: ['client auth'] };
    const body = csrBody(name, buildCsrPem({ commonName: `system:node:${node}` }), options);
    await running().controlPlane.admin.must('POST', CSRS, body);
  }

  async function change(name: string, part: 'approval' | 'status', edit: (csr: WireCsr) => void): Promise<void> {
    const { admin } = running().controlPlane;
    const csr = (await admin.must('GET', `${CSRS}/${name}`)) as WireCsr;
    edit(csr);
    await admin.must('PUT', `${CSRS}/${name}/${part}`, csr);
  }

  const condition = (name: string, type: 'Approved' | 'Denied' | 'Failed'): Promise<void> =>
    change(name, type === 'Failed' ? 'status' : 'approval', ({ status }) => {
      status.conditions = [{ type, status: 'True', reason: 'ByHand', message: 'by hand' }];
    });

  async function issue(name: string, notAfter: Date): Promise<void> {
    await condition(name, 'Approved');
    const { certPem } = await testAuthority('P-256', { notBefore: new Date(Date.now() - 2 * HOUR), notAfter });
    await change(name, 'status', ({ status }) => {
      status.certificate = Buffer.from(certPem).toString('base64');
    });
  }

  const names = async (): Promise<string[]> =>
    (await seenCsrs(running().controlPlane, 'cl-')).map(({ metadata }) => metadata.name).toSorted();

  const linesOf = (service: Service, message: string): LogLine[] =>
    service.lines().filter((line) => line.message === message && line.csr?.startsWith('cl-') === true);

  /** What one cleaner with this config removes, until it has removed `expected` and is told to stop. */
  async function removedBy(cleaner: object, expected: number): Promise<(string | undefined)[]> {
    const service = await running().start({ cleaner: { interval: '1s', ...cleaner } });
    await until('they are removed', async () => linesOf(service, 'CSR removed').length >= expected);
    await service.stop();
    return linesOf(service, 'CSR removed').map(({ csr }) => csr);
  }

  before('there is a CSR of every state', async () => {
    await create('cl-older', 'cl-twice');
    const older = Date.now();
    await Promise.all(ALL.filter((name) => !/older|newer|foreign/.test(name)).map((name) => create(name)));
    await create('cl-foreign', 'cl-foreign', 'example.com/foreign');
    await condition('cl-approved', 'Approved');
    await condition('cl-denied', 'Denied');
    await condition('cl-failed', 'Failed');
    await issue('cl-issued', new Date(Date.now() + HOUR));
    await issue('cl-expired', new Date(Date.now() - HOUR));
    // Their ages are told apart by whole seconds.
    await until('the next second', async () => Date.now() - older > 1_000);
    await create('cl-newer', 'cl-twice');
    expect(await names()).to.deep.equal(ALL);
  });

  it('with dryRun names each that would go and why, and removes nothing', async () => {
    const service = await running().start({ cleaner: { interval: '1s', dryRun: true, retention: AT_ONCE } });
    const message = 'CSR would be removed (dry run)';
    await until('it has named them', async () => linesOf(service, message).length >= Object.keys(WHY).length);
    await service.stop();
    expect(Object.fromEntries(linesOf(service, message).map(({ csr, why }) => [csr, why]))).to.deep.equal(WHY);
    expect(await names()).to.deep.equal(ALL);
  });

  it('with the default ages removes the one whose certificate has expired, at once', async () => {
    expect(await removedBy({}, 1)).to.deep.equal(['cl-expired']);
    expect(await names()).to.deep.equal(ALL.filter((name) => name !== 'cl-expired'));
  });

  it('removes what a newer request of the same node supersedes by an age of its own', async () => {
    expect(await removedBy({ retention: { superseded: '0s' } }, 1)).to.deep.equal(['cl-older']);
    expect(await names()).to.include('cl-newer');
  });

  it('removes every state by its age, each for its reason, and leaves other signers alone', async () => {
    const removed = await removedBy({ retention: AT_ONCE }, 6);
    expect(removed).to.have.members(Object.keys(WHY).filter((name) => name !== 'cl-expired' && name !== 'cl-older'));
    expect(await names()).to.deep.equal(['cl-foreign']);
  });

  it('with allSigners removes those of other signers, too', async () => {
    expect(await removedBy({ allSigners: true, retention: AT_ONCE }, 1)).to.deep.equal(['cl-foreign']);
    expect(await names()).to.deep.equal([]);
  });

  it('without serving.enabled counts and removes the requests for serving certificates, and decides on none', async () => {
    await create('cl-serving', 'cl-serving', 'kubernetes.io/kubelet-serving');
    const off = { controllers: ['approver', 'cleaner'], serving: { enabled: false } };
    const waiting = await running().start(off);
    const labels = { signer: 'serving', state: 'pending' };
    await until('it is counted', async () => (await waiting.metric('kubelet_bootstrap_csrs', labels)) >= 1);
    await waiting.stop();
    const retention = { pending: '0s' };
    const service = await running().start({ ...off, cleaner: { interval: '1s', retention } });
    await until('it is removed', async () => linesOf(service, 'CSR removed').length === 1);
    await service.stop();
    expect(
      [...waiting.lines(), ...service.lines()].filter(({ csr, verdict }) => csr === 'cl-serving' && verdict),
    ).to.deep.equal([]);
  });

  it('does not remove a CSR that was changed, or made anew, after it was read', async () => {
    const { admin, adminKubeconfig } = running().controlPlane;
    const { transport } = connectCluster(adminKubeconfig, {
      clock: systemClock,
      timeoutMs: 30_000,
      connections: 1,
      onCall: () => {},
    });
    const never = new AbortController().signal;
    const codeOf = async (csr: unknown): Promise<string> =>
      csrWriter(transport)
        .remove(readCsr(csr), never)
        .then(
          () => 'removed',
          (error: unknown) => (isRemote(error) ? error.code : String(error)),
        );
    await create('cl-changed');
    const read = await admin.must('GET', `${CSRS}/cl-changed`);
    await condition('cl-changed', 'Approved');
    expect(await codeOf(read)).to.equal('Conflict');
    const changed = await admin.must('GET', `${CSRS}/cl-changed`);
    await admin.must('DELETE', `${CSRS}/cl-changed`);
    await create('cl-changed');
    expect(await codeOf(changed)).to.equal('Conflict');
    expect(await names()).to.deep.equal(['cl-changed']);
    expect(await codeOf(await admin.must('GET', `${CSRS}/cl-changed`))).to.equal('removed');
    await transport.close();
  });
});
