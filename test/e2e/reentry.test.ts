/** A machine that slept past the end of its certificate comes back by itself: a real kubelet and the real fetch script. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { Kubelet } from '../../scripts/servers/kubelet.ts';
import { runProgram } from '../../scripts/servers/service.ts';
import { type Machine, newMachine } from '../support/cloud-init-machine.ts';
import { until } from '../support/crowd.ts';
import { requireService } from '../support/running-service.ts';
import { requireKubelet } from '../support/servers.ts';

const NODE = 'reentry-1';
const LEASE = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${NODE}`;
const STALE_MS = 60_000;

describe('a node whose certificate ended while it was off', function () {
  this.timeout(300_000);
  const startKubelet = requireKubelet();
  const running = requireService(
    {
      vault: { prefix: 'reentry' },
      signer: {},
      approver: { staleAfter: `${STALE_MS / 1000}s` },
      cleaner: { interval: '1s' },
    },
    false,
  );
  let machine: Machine;
  let kubelet: Kubelet | undefined;
  let first: X509Certificate;

  before('start the service and issue the first token', async () => {
    const { controlPlane, openBao } = running();
    const ca = { certificateFile: controlPlane.caFile, keyFile: controlPlane.caKeyFile };
    const service = await running().start({ signer: { ca, lifetime: { client: '1m' } } });
    const env = { KUBECONFIG: controlPlane.adminKubeconfig };
    const issue = ['issue', '--for-node', NODE, '--config', service.configFile, '-o', 'json'];
    expect((await runProgram('bootstrap-token', issue, env)).code).to.equal(0);
    machine = newMachine(NODE);
    Object.assign(machine.settings, {
      VAULT_ADDR: openBao.address,
      VAULT_CACERT: openBao.caFile,
      TOKEN_FILE: openBao.rootTokenFile,
      KV_PATH: `reentry/nodes/${NODE}`,
      DEADLINE: '120',
    });
  });
  after('end the kubelet', async () => {
    await kubelet?.stop();
    machine?.remove();
  });

  const lease = async (): Promise<number> => {
    const { status, body } = await running().controlPlane.admin.send('GET', LEASE);
    return status === 200 ? Date.parse((body as { spec: { renewTime: string } }).spec.renewTime) : 0;
  };
  const certificateOf = (of: Kubelet | undefined): X509Certificate => {
    const [pem = ''] =
      /-----BEGIN CERT[^]*?-----END CERT[^-]*-----/.exec(readFileSync(of?.clientPem ?? '', 'utf8')) ?? [];
    return new X509Certificate(pem);
  };
  const fetchAndStart = async (): Promise<void> => {
    const fetch = machine.run();
    expect(await fetch.ended, fetch.output()).to.equal(0);
    kubelet = await startKubelet({ name: NODE, bootstrapKubeconfig: machine.kubeconfig });
    machine.settings['KUBELET_CLIENT_CERT'] = kubelet.clientPem;
  };

  it('joins with its first token', async () => {
    await fetchAndStart();
    await until('it is alive', async () => (await lease()) > 0);
  });

  it('is off until its certificate has ended and it counts as gone', async () => {
    first = certificateOf(kubelet);
    await kubelet?.stop();
    kubelet = undefined;
    const goneAt = Math.max(first.validToDate.getTime(), (await lease()) + STALE_MS);
    await until('that time', () => Promise.resolve(Date.now() > goneAt + 1_000), 500, 180_000);
  });

  it('finds a token where it looks for one, and is in again with another certificate', async () => {
    expect(await running().service().metric('kubelet_bootstrap_nodes_late')).to.equal(1);
    const before = Date.now();
    await fetchAndStart();
    await until('it is alive again', async () => (await lease()) > before);
    expect(certificateOf(kubelet).serialNumber).not.to.equal(first.serialNumber);
    expect(running().service().log()).to.contain('token for re-entry issued');
  });

  it('leaves nothing behind: the token is spent and goes, and the node is late no more', async () => {
    const { admin } = running().controlPlane;
    await until('the token is gone', async () => {
      const { items } = (await admin.must('GET', '/api/v1/namespaces/kube-system/secrets')) as {
        items: { metadata: { annotations?: Record<string, string> } }[];
      };
      return !items.some(({ metadata }) => metadata.annotations?.['kubelet-bootstrap/vault-path'] === `nodes/${NODE}`);
    });
    expect(await running().service().metric('kubelet_bootstrap_nodes_late')).to.equal(0);
  });
});
