import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { expect } from 'chai';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { readKubeconfig } from '../../scripts/servers/kubeconfig.ts';
import { runCommand } from '../../scripts/servers/long-step.ts';
import { accountKubeconfig } from '../../scripts/servers/service-account.ts';
import { buildCsrPem } from '../support/csr-builder.ts';
import { requireControlPlane } from '../support/servers.ts';
import { CSRS } from '../support/sign-by-hand.ts';

const BASE = join(import.meta.dirname, '../../manifests/base');
const ACCOUNT = 'system:serviceaccount:kube-system:kubelet-bootstrap';

describe("the rights of the service's account on a real API server", () => {
  const plane = requireControlPlane();
  const files = ['10-serviceaccount.yaml', '20-rbac.yaml'].map((file) => `--filename=${join(BASE, file)}`);
  let kubectl: (...args: string[]) => Promise<string>;

  before(async () => {
    const { kubectl: command } = await findBinaries(['kubectl']);
    kubectl = (...args) => runCommand({ command, args: ['--kubeconfig', plane().adminKubeconfig, ...args] });
    await kubectl('apply', ...files);
  });
  after(async () => {
    await plane().admin.send('DELETE', `${CSRS}/administrator`);
    await kubectl('delete', ...files);
  });

  it('cannot approve or sign for a signer that is not the kubelets', async () => {
    const csr = (await plane().admin.must('POST', CSRS, {
      metadata: { name: 'administrator' },
      spec: {
        request: Buffer.from(buildCsrPem({ organization: 'admins', commonName: 'me' })).toString('base64'),
        signerName: 'kubernetes.io/kube-apiserver-client',
        usages: ['client auth'],
      },
    })) as { metadata: object };
    const kubeconfig = await accountKubeconfig(plane(), kubectl, 'rights');
    const client = new HttpsClient(readKubeconfig(kubeconfig));
    const approved = { conditions: [{ type: 'Approved', status: 'True', reason: 'Test', message: '' }] };
    const issued = { certificate: Buffer.from(plane().ca.certificate).toString('base64') };
    try {
      for (const [subresource, status] of [
        ['approval', approved],
        ['status', issued],
      ] as const) {
        const path = `${CSRS}/administrator/${subresource}`;
        const answer = await client.send('PUT', path, { ...csr, status });
        expect(answer.status, subresource).to.equal(403);
        expect(JSON.stringify(answer.body)).to.contain('kubernetes.io/kube-apiserver-client');
      }
    } finally {
      await client.close();
    }
  });

  const csrGroup = 'certificates.k8s.io';
  const signer = 'kubernetes.io/kube-apiserver-client-kubelet';
  for (const [allowed, verb, group, resource, more] of [
    [true, 'approve', csrGroup, 'signers', { name: signer }],
    [true, 'sign', csrGroup, 'signers', { name: 'kubernetes.io/kubelet-serving' }],
    [true, 'patch', '', 'secrets', { namespace: 'kube-system' }],
    [false, 'approve', csrGroup, 'signers', { name: 'kubernetes.io/kube-apiserver-client' }],
    [false, 'sign', csrGroup, 'signers', { name: 'kubernetes.io/legacy-unknown' }],
    [false, 'approve', csrGroup, 'signers', {}],
    [false, 'attest', csrGroup, 'signers', { name: signer }],
    [false, 'create', csrGroup, 'certificatesigningrequests', {}],
    [false, 'create', csrGroup, 'certificatesigningrequests', { subresource: 'nodeclient' }],
    [false, 'update', csrGroup, 'certificatesigningrequests', {}],
    [false, 'update', '', 'secrets', { namespace: 'kube-system' }],
    [false, 'deletecollection', '', 'secrets', { namespace: 'kube-system' }],
    [false, 'get', '', 'secrets', { namespace: 'default' }],
    [false, 'create', 'events.k8s.io', 'events', { namespace: 'kube-system' }],
    [false, 'create', '', 'events', { namespace: 'default' }],
    [false, 'get', '', 'nodes', {}],
    [true, 'watch', '', 'nodes', {}],
    [false, 'patch', '', 'nodes', {}],
    [true, 'list', 'networking.k8s.io', 'servicecidrs', {}],
    [true, 'list', 'discovery.k8s.io', 'endpointslices', { namespace: 'default' }],
    [false, 'list', 'discovery.k8s.io', 'endpointslices', { namespace: 'kube-system' }],
    [true, 'patch', '', 'configmaps', { namespace: 'kubelet-bootstrap' }],
    [false, 'get', '', 'configmaps', { namespace: 'kube-system' }],
    [true, 'get', '', 'configmaps', { namespace: 'kube-system', name: 'extension-apiserver-authentication' }],
    [true, 'list', 'admissionregistration.k8s.io', 'mutatingwebhookconfigurations', {}],
    [false, 'watch', 'admissionregistration.k8s.io', 'mutatingwebhookconfigurations', {}],
    [true, 'list', 'apiregistration.k8s.io', 'apiservices', {}],
    [true, 'list', 'apiextensions.k8s.io', 'customresourcedefinitions', {}],
    [false, 'get', '', 'secrets', { namespace: 'kubelet-bootstrap' }],
    [true, 'get', 'coordination.k8s.io', 'leases', { namespace: 'kube-node-lease' }],
    [false, 'update', 'coordination.k8s.io', 'leases', { namespace: 'kube-node-lease' }],
    [false, 'get', 'coordination.k8s.io', 'leases', { namespace: 'kube-system' }],
    [false, 'create', '', 'serviceaccounts', { namespace: 'kube-system', subresource: 'token' }],
    [false, 'impersonate', '', 'users', {}],
  ] as const) {
    const what = [verb, resource, ...Object.values(more)].join(' ');
    it(`${allowed ? 'may' : 'may not'} ${what}`, async () => {
      const { status } = (await plane().admin.must('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        spec: {
          user: ACCOUNT,
          groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'],
          resourceAttributes: { verb, group, resource, ...more },
        },
      })) as { status: { allowed: boolean } };
      expect(status.allowed).to.equal(allowed);
    });
  }
});
