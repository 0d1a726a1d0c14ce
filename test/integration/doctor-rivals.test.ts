import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { createCa, type LocalCa } from '../../scripts/servers/pki.ts';
import { buildCsrPem } from '../support/csr-builder.ts';
import { csrBody, CSRS } from '../support/crowd.ts';
import {
  during,
  type ExaminedCluster,
  found,
  type Report,
  requireExaminedCluster,
} from '../support/examined-cluster.ts';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
const PODS = '/api/v1/namespaces/kube-system/pods';

describe('doctor beside others who decide, on a real API server', function () {
  this.timeout(120_000);
  const examined = requireExaminedCluster();
  let plane: ExaminedCluster['plane'];
  let kubectl: ExaminedCluster['kubectl'];
  let report: ExaminedCluster['report'];
  let telling: ExaminedCluster['telling'];
  before(() => {
    ({ plane, kubectl, report, telling } = examined());
  });

  const approve = async (name: string, condition: object): Promise<{ status: object }> => {
    const request = buildCsrPem({ commonName: `system:node:${name}` });
    const csr = (await plane.admin.must('POST', CSRS, csrBody(name, request))) as object;
    const status = { conditions: [{ type: 'Approved', status: 'True', ...condition }] };
    return (await plane.admin.must('PUT', `${CSRS}/${name}/approval`, { ...csr, status })) as { status: object };
  };
  const remove = (name: string) => (): Promise<unknown> => plane.admin.must('DELETE', `${CSRS}/${name}`);

  it('names people who approve', async () => {
    const name = 'doctor-by-hand';
    const request = buildCsrPem({ commonName: `system:node:${name}` });
    const seen = await during(
      async () => {
        await plane.admin.must('POST', CSRS, csrBody(name, request));
        await kubectl('certificate', 'approve', name);
      },
      remove(name),
      async () => {
        const observing = await report({ config: { mode: 'observe' } });
        expect(found(observing, 'OthersInForce')).to.include('"KubectlApprove": 1 CSR');
        return telling(['OtherApprover']);
      },
    );
    expect(found(seen, 'OtherApprover')).to.equal(
      'CSRs of kubelets: approved with reason "KubectlApprove": 1 CSR, the newest doctor-by-hand (client)',
    );
  });

  it('names another CA, and a life that the config does not allow, in certificates', async () => {
    const name = 'doctor-signed';
    const ours = { reason: 'RenewalApproved', message: `kubelet-bootstrap: renewal of ${name} by itself` };
    const sign = async (ca: LocalCa): Promise<void> => {
      const csr = await approve(name, ours);
      const { certificate } = await ca.client(`system:node:${name}`, ['system:nodes']);
      const status = { ...csr.status, certificate: Buffer.from(certificate).toString('base64') };
      await plane.admin.must('PUT', `${CSRS}/${name}/status`, { ...csr, status });
    };
    const signedBy = (ca: LocalCa, codes: readonly string[], life: string): Promise<Report> =>
      during(
        () => sign(ca),
        remove(name),
        () =>
          telling(codes, { config: { signer: { ca: { vaultPath: 'kubernetes/ca' }, lifetime: { client: life } } } }),
      );
    await signedBy(plane.ca, [], '8760h');
    const long = await signedBy(plane.ca, ['OtherSigner'], '24h');
    expect(found(long, 'OtherSigner')).to.include('live longer than the config allows: 1 CSR');
    const foreign = await signedBy(await createCa('local cluster CA'), ['OtherSigner'], '8760h');
    expect(found(foreign, 'OtherSigner')).to.include('are not from the CA of the config: 1 CSR');
  });

  it('names kube-controller-manager by what it approved, by its lease, and by the flags of its pod', async () => {
    const message = 'Auto approving kubelet client certificate after SubjectAccessReview.';
    await during(
      () => approve('doctor-auto', { reason: 'AutoApproved', message }),
      remove('doctor-auto'),
      () => telling(['ControllerManagerApproves']),
    );

    // Ahead, so that it is fresh however long this takes.
    const renewTime = new Date(Date.now() + 600_000).toISOString().replace('Z', '000Z');
    const lease = { metadata: { name: 'kube-controller-manager' }, spec: { holderIdentity: 'cp-1', renewTime } };
    await plane.admin.must('POST', LEASES, lease);
    await telling(['ControllerManagerUnclear']);

    const pod = (...flags: string[]): object => ({
      metadata: { name: 'kube-controller-manager-cp-1', labels: { component: 'kube-controller-manager' } },
      spec: {
        serviceAccountName: 'kubelet-bootstrap',
        containers: [{ name: 'x', image: 'x', command: ['kube-controller-manager', ...flags] }],
      },
    });
    const withPod = (codes: readonly string[], ...flags: string[]): Promise<Report> =>
      during(
        () => plane.admin.must('POST', PODS, pod(...flags)),
        () => plane.admin.must('DELETE', `${PODS}/kube-controller-manager-cp-1?gracePeriodSeconds=0`),
        () => telling(codes),
      );
    const signing = '--cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt';
    await withPod(['GuardBypassed'], '--controllers=*,bootstrapsigner,tokencleaner', signing);
    await withPod(['ControllerManagerSigns'], '--controllers=*,-csrapproving', signing);
    await withPod([], '--controllers=*,-csrapproving');
    await plane.admin.must('DELETE', `${LEASES}/kube-controller-manager`);
  });
});
