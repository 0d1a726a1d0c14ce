import 'reflect-metadata';
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { after, describe, it } from 'mocha';
import { expect } from 'chai';
import type { ControlPlane } from '../../scripts/servers/control-plane.ts';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { readKubeconfig } from '../../scripts/servers/kubeconfig.ts';
import { waitUntil } from '../../scripts/servers/long-step.ts';
import { startTimeOf } from '../../scripts/servers/process.ts';
import { removeCsrs } from '../support/crowd.ts';
import type { CsrRefusedError } from '../support/kubelet-stand-in.ts';
import { KubeletStandIn } from '../support/kubelet-stand-in.ts';
import { requireControlPlane, requireKubelet, requireOpenBao, requireServers } from '../support/servers.ts';
import { CSRS, signFor } from '../support/sign-by-hand.ts';
import type { StoredCsr } from '../support/sign-by-hand.ts';

/** Creates a bootstrap token for a node and answers a kubeconfig with it. */
async function bootstrapKubeconfig(plane: ControlPlane, id: string, node: string): Promise<string> {
  const secret = '0123456789abcdef';
  await plane.admin.must('POST', '/api/v1/namespaces/kube-system/secrets', {
    metadata: { name: `bootstrap-token-${id}` },
    type: 'bootstrap.kubernetes.io/token',
    stringData: {
      'token-id': id,
      'token-secret': secret,
      'usage-bootstrap-authentication': 'true',
      'auth-extra-groups': `system:bootstrappers:node:${node}`,
    },
  });
  return plane.tokenKubeconfig(`bootstrap-${node}`, `${id}.${secret}`);
}

async function answers(plane: ControlPlane, path: string): Promise<boolean> {
  return (await plane.admin.send('GET', path)).status === 200;
}

describe('the local control plane', function () {
  this.timeout(60_000);
  const controlPlane = requireControlPlane();

  it('knows a bootstrap token as system:bootstrap:<id> with its groups', async () => {
    const kubeconfig = await bootstrapKubeconfig(controlPlane(), 'srv001', 'servers-a');
    const client = new HttpsClient(readKubeconfig(kubeconfig));
    const review = (await client.must('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {})) as {
      status: { userInfo: { username: string; groups: string[] } };
    };
    await client.close();
    expect(review.status.userInfo.username).to.equal('system:bootstrap:srv001');
    expect(review.status.userInfo.groups).to.have.members([
      'system:bootstrappers',
      'system:bootstrappers:node:servers-a',
      'system:authenticated',
    ]);
  });

  it('gives the service no right that nobody granted', async () => {
    const client = new HttpsClient(readKubeconfig(controlPlane().serviceKubeconfig));
    const answer = await client.send('GET', CSRS);
    await client.close();
    expect(answer.status).to.equal(403);
    expect(JSON.stringify(answer.body)).to.contain('User \\"kubelet-bootstrap\\" cannot list');
  });

  it('knows the client certificate of a node as that node', async () => {
    const client = new HttpsClient(readKubeconfig(await controlPlane().nodeKubeconfig('servers-b')));
    await client.must('POST', '/api/v1/nodes', { metadata: { name: 'servers-b' } });
    const foreign = await client.send('POST', '/api/v1/nodes', { metadata: { name: 'servers-c' } });
    await client.close();
    expect(foreign.status).to.equal(403);
  });

  it('writes credentials for this user only', () => {
    for (const file of [controlPlane().adminKubeconfig, controlPlane().caKeyFile]) {
      expect(statSync(file).mode & 0o777).to.equal(0o600);
    }
  });

  it('comes back on the same port with its data after a restart of the API server', async () => {
    const plane = controlPlane();
    await plane.admin.must('POST', '/api/v1/namespaces', { metadata: { name: 'servers-kept' } });
    await plane.stopApiServer();
    const refused: unknown = await plane.admin.send('GET', '/readyz').catch((error: unknown) => error);
    expect(refused).to.have.property('code', 'ECONNREFUSED');
    await plane.startApiServer();
    expect(await answers(plane, '/api/v1/namespaces/servers-kept')).to.equal(true);
  });
});

describe('the local OpenBao', function () {
  this.timeout(60_000);
  const openBao = requireOpenBao();

  it('refuses everything while it is sealed, and has its data when it is unsealed', async () => {
    await openBao().root('POST', 'secret/data/servers-seal', { data: { kept: 'yes' } });
    await openBao().seal();
    const sealed: unknown = await openBao()
      .root('GET', 'secret/data/servers-seal')
      .catch((error: unknown) => error);
    expect(String(sealed)).to.contain('503');
    await openBao().unseal();
    expect(await openBao().root('GET', 'secret/data/servers-seal')).to.have.nested.property('data.data.kept', 'yes');
  });

  it('comes back on the same port with its data after a restart', async () => {
    await openBao().root('POST', 'secret/data/servers-restart', { data: { kept: 'yes' } });
    await openBao().stop();
    const refused: unknown = await openBao()
      .root('GET', 'secret/data/servers-restart')
      .catch((error: unknown) => error);
    expect(refused).to.have.property('code', 'ECONNREFUSED');
    await openBao().start();
    expect(await openBao().root('GET', 'secret/data/servers-restart')).to.have.nested.property('data.data.kept', 'yes');
  });

  it('keeps its root token in a file for this user only', () => {
    expect(readFileSync(openBao().rootTokenFile, 'utf8')).to.equal(openBao().rootToken);
    expect(statSync(openBao().rootTokenFile).mode & 0o777).to.equal(0o600);
  });
});

describe('the kubelet stand-in', function () {
  this.timeout(60_000);
  const servers = requireServers();
  const dir = mkdtempSync(join(tmpdir(), 'stand-in-'));
  after(() => rmSync(dir, { recursive: true, force: true }));

  it('goes the whole way: client certificate, Node, serving certificate, renewal', async () => {
    const plane = servers().controlPlane;
    const options = { name: 'servers-stand-in', ips: ['10.1.2.3', 'fd00::3'], dir };
    const kubeconfig = await bootstrapKubeconfig(plane, 'srv002', options.name);
    const node = new KubeletStandIn({ ...options, bootstrapKubeconfig: kubeconfig });
    let walked = false;
    const walk = async (): Promise<void> => {
      await node.bootstrap();
      await node.register();
      await node.requestServing();
      await node.renew();
      walked = true;
    };
    await Promise.all([walk(), signFor(plane, options.name, async () => walked)]);
    await node.close();
    const csrs = await Promise.all(node.csrs.map((name) => plane.admin.must('GET', `${CSRS}/${name}`)));
    expect((csrs as StoredCsr[]).map(({ spec }) => `${spec.signerName} ${spec.username}`)).to.deep.equal([
      'kubernetes.io/kube-apiserver-client-kubelet system:bootstrap:srv002',
      'kubernetes.io/kubelet-serving system:node:servers-stand-in',
      'kubernetes.io/kube-apiserver-client-kubelet system:node:servers-stand-in',
    ]);
    expect(await answers(plane, '/api/v1/nodes/servers-stand-in')).to.equal(true);
    expect(readFileSync(join(dir, 'kubelet-client-current.pem'), 'utf8')).to.equal(
      `${node.clientPair?.certificate}${node.clientPair?.key}`,
    );
  });

  it('tells a denied request from one that nobody decided', async () => {
    const plane = servers().controlPlane;
    const kubeconfig = await bootstrapKubeconfig(plane, 'srv003', 'servers-denied');
    const options = { name: 'servers-denied', ips: [], dir, bootstrapKubeconfig: kubeconfig };
    const waiting = new KubeletStandIn({ ...options, timeoutMs: 100 });
    const undecided: unknown = await waiting.bootstrap().catch((error: unknown) => error);
    expect((undecided as CsrRefusedError).code).to.equal('TimedOut');
    await waiting.close();

    const node = new KubeletStandIn(options);
    const denied = node.bootstrap().catch((error: unknown) => error);
    await waitUntil(async () => node.csrs.length === 1, undefined, 10);
    const csr = (await plane.admin.must('GET', `${CSRS}/${node.csrs[0]}`)) as StoredCsr;
    csr.status = { conditions: [{ type: 'Denied', status: 'True', reason: 'Test', message: 'no' }] };
    await plane.admin.must('PUT', `${CSRS}/${node.csrs[0]}/approval`, csr);
    expect(((await denied) as CsrRefusedError).code).to.equal('Denied');
    await node.close();
    for (const name of waiting.csrs) await removeCsrs(plane, name);
  });
});

describe('a real kubelet', function () {
  this.timeout(120_000);
  const controlPlane = requireControlPlane();
  const startKubelet = requireKubelet();

  it('registers, gets both certificates, and leaves the host as it was', async () => {
    const setting = '/proc/sys/vm/overcommit_memory';
    const earlier = readFileSync(setting, 'utf8');
    const plane = controlPlane();
    const name = 'servers-kubelet';
    const kubelet = await startKubelet({ name, bootstrapKubeconfig: await bootstrapKubeconfig(plane, 'srv004', name) });
    await signFor(
      plane,
      name,
      async () => existsSync(kubelet.servingPem) && (await answers(plane, `/api/v1/nodes/${name}`)),
    );
    expect(readlinkSync(kubelet.clientPem)).to.match(/kubelet-client-.*\.pem$/);
    const serving = new x509.X509Certificate(readFileSync(kubelet.servingPem, 'utf8').split('-----BEGIN EC')[0] ?? '');
    expect(serving.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON()).to.deep.equal([
      { type: 'dns', value: name },
      { type: 'ip', value: kubelet.nodeIp },
    ]);
    await kubelet.stop();
    expect(startTimeOf(kubelet.pid)).to.equal(undefined);
    expect(readFileSync(setting, 'utf8')).to.equal(earlier);
  });
});
