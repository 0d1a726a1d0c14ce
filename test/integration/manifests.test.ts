import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { expect } from 'chai';
import { parse } from 'yaml';
import { bundle } from '../../scripts/bundle.ts';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { startControlPlane } from '../../scripts/servers/control-plane.ts';
import type { ControlPlane } from '../../scripts/servers/control-plane.ts';
import { deploymentEnv, imageFlags } from '../../scripts/servers/deployment.ts';
import { runCommand, waitUntil } from '../../scripts/servers/long-step.ts';
import { startOpenBao } from '../../scripts/servers/openbao.ts';
import type { OpenBao } from '../../scripts/servers/openbao.ts';
import { newSupervisor } from '../../scripts/servers/servers.ts';
import { runProgram, sampleOf, startService } from '../../scripts/servers/service.ts';
import type { Service } from '../../scripts/servers/service.ts';
import { accountKubeconfig } from '../../scripts/servers/service-account.ts';
import type { Supervisor } from '../../scripts/servers/supervisor.ts';
import { secretOfToken } from '../../src/tokens/token-secret.ts';
import { KubeletStandIn } from '../support/kubelet-stand-in.ts';
import { requireServers } from '../support/servers.ts';
import { CSRS } from '../support/sign-by-hand.ts';

const MANIFESTS = join(import.meta.dirname, '../../manifests');
const SECRETS = '/api/v1/namespaces/kube-system/secrets';

/** Servers of its own: no binding but those of the manifests, and no CSR of another test for the cleaner to remove. */
describe('the manifests on a real API server, and the service with the rights that they give', function () {
  this.timeout(120_000);
  requireServers(); // So that no build falls into the times below, and where none can run this is skipped.
  let supervisor: Supervisor;
  let plane: ControlPlane;
  let bao: OpenBao;
  let service: Service;
  let kubeconfig: string;
  let worker: KubeletStandIn;
  let impostor: KubeletStandIn;
  const machines: KubeletStandIn[] = [];
  let kubectl: (...args: string[]) => Promise<string>;

  before(async () => {
    supervisor = newSupervisor();
    const binaries = await findBinaries(['etcd', 'kube-apiserver', 'kubectl', 'bao']);
    plane = await startControlPlane(supervisor, {
      etcd: binaries.etcd,
      kubeApiserver: binaries['kube-apiserver'],
      bindings: { create: false, nodeclient: false, selfnodeclient: false },
    });
    bao = await startOpenBao(supervisor, binaries.bao);
    kubectl = (...args) =>
      runCommand({ command: binaries.kubectl, args: ['--kubeconfig', plane.adminKubeconfig, ...args] });
  });
  after(async () => {
    await Promise.all(machines.map((machine) => machine.close()));
    await supervisor?.stop();
  });

  /** What Vault needs to ask the API server about a service account token, and the role that service.hcl describes. */
  async function setUpVault(): Promise<void> {
    await kubectl('create', 'serviceaccount', 'vault', '-n', 'default');
    await kubectl(
      'create',
      'clusterrolebinding',
      'vault',
      '--clusterrole=system:auth-delegator',
      '--serviceaccount=default:vault',
    );
    const policy = readFileSync(join(MANIFESTS, 'vault/service.hcl'), 'utf8');
    await bao.root('POST', 'sys/policies/acl/kubelet-bootstrap', { policy });
    await bao.root('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
    await bao.root('POST', 'auth/kubernetes/config', {
      kubernetes_host: plane.server,
      kubernetes_ca_cert: plane.ca.certificate,
      token_reviewer_jwt: (await kubectl('create', 'token', 'vault', '-n', 'default')).trim(),
      disable_local_ca_jwt: true,
    });
    await bao.root('POST', 'auth/kubernetes/role/kubelet-bootstrap', {
      token_policies: 'kubelet-bootstrap',
      token_ttl: '1h',
      audience: 'vault',
      bound_service_account_names: 'kubelet-bootstrap',
      bound_service_account_namespaces: 'kube-system',
    });
    await bao.root('POST', 'secret/data/kubernetes/ca', {
      data: { cert: plane.ca.certificate, key: plane.ca.key },
    });
  }

  /** The applied config with the addresses and files of this host, and with short retention. */
  async function configOfCluster(): Promise<Record<string, Record<string, unknown>>> {
    const { items } = JSON.parse(
      await kubectl('get', 'configmaps', '-n=kube-system', '-l=app.kubernetes.io/name=kubelet-bootstrap', '-o=json'),
    ) as { items: { data: Record<string, string> }[] };
    const config = parse(items[0]?.data['config.yaml'] ?? '') as Record<string, Record<string, unknown>>;
    const jwtFile = join(supervisor.dir, 'vault-jwt');
    const jwt = await kubectl('create', 'token', 'kubelet-bootstrap', '-n', 'kube-system', '--audience=vault');
    writeFileSync(jwtFile, jwt, { mode: 0o600 });
    const auth = { ...(config['vault']?.['auth'] as object), jwtFile };
    return {
      ...config,
      cluster: { server: plane.server },
      vault: { ...config['vault'], address: bao.address, caFile: bao.caFile, auth },
      cleaner: { interval: '1s', retention: { issued: '5s', pending: '1h' } },
    };
  }

  /** A machine with a token from an admin's command line. */
  async function newMachine(name: string): Promise<KubeletStandIn> {
    const issued = await runProgram(
      'bootstrap-token',
      ['issue', '--for-node', name, '-o', 'bootstrap-kubeconfig', '--config', service.configFile],
      { KUBECONFIG: plane.adminKubeconfig, VAULT_TOKEN: bao.rootToken },
    );
    expect(issued.code, issued.stderr).to.equal(0);
    const dir = supervisor.folder(name);
    const bootstrapKubeconfig = join(dir, 'bootstrap.kubeconfig');
    writeFileSync(bootstrapKubeconfig, issued.stdout, { mode: 0o600 });
    const machine = new KubeletStandIn({ name, ips: [`10.0.0.${17 + machines.length}`], bootstrapKubeconfig, dir });
    machines.push(machine);
    return machine;
  }

  it('applies without a warning, a second time as well, and so does the example overlay', async () => {
    const apply = ['apply', '--server-side', '--validate=strict', '-k'];
    for (const round of ['first', 'again']) {
      const said = await kubectl(...apply, join(MANIFESTS, 'base'));
      expect(said.trim().split('\n'), round).to.have.length(21);
      expect(said, round).not.to.match(/warning|error/i);
    }
    const said = await kubectl(...apply, join(MANIFESTS, 'overlays/example'), '--dry-run=server');
    expect(said).not.to.match(/warning|error/i);
  });

  it('lets the service come up with the token of its service account, and log in to Vault with the other', async () => {
    await setUpVault();
    kubeconfig = await accountKubeconfig(plane, kubectl, 'service-account');
    service = await startService(supervisor, { name: 'service', kubeconfig, config: await configOfCluster() });
    expect((await service.ops('/readyz')).status).to.equal(200);
  });

  it('fills the pool of the config', async () => {
    await waitUntil(
      async () => (await service.metric('kubelet_bootstrap_pool_tokens', { pool: 'workers' })) === 1,
      undefined,
      50,
    );
    const entry = (): Promise<unknown> => bao.root('GET', 'secret/data/kubelet-bootstrap/pools/workers');
    // Its Secret is there first.
    await waitUntil(
      () =>
        entry().then(
          () => true,
          () => false,
        ),
      undefined,
      50,
    );
  });

  it('gives a node its first certificate, a renewal and a serving certificate', async () => {
    worker = await newMachine('worker-1');
    for (const pair of [await worker.bootstrap(), await worker.renew(), await worker.requestServing()]) {
      const certificate = new X509Certificate(pair.certificate);
      expect(certificate.subject).to.equal('O=system:nodes\nCN=system:node:worker-1');
      expect(certificate.verify(new X509Certificate(plane.ca.certificate).publicKey)).to.equal(true);
    }
  });

  it('writes an Event where a request has to wait', async () => {
    impostor = await newMachine('worker-2');
    const csr = await impostor.submit('system:node:worker-3');
    const events = `/apis/events.k8s.io/v1/namespaces/default/events?fieldSelector=regarding.name%3D${csr}`;
    const reasons = async (): Promise<string[]> => {
      const { items } = (await plane.admin.must('GET', events)) as { items: { reason: string }[] };
      return items.map(({ reason }) => reason);
    };
    await waitUntil(async () => (await reasons()).length > 0, undefined, 50);
    expect(await reasons()).to.deep.equal(['TokenBoundToOtherNode']);
  });

  it('removes CSRs and tokens that are over', async () => {
    const { name, labels, annotations, data } = secretOfToken({
      token: { id: 'aaaaaa', secret: '0123456789abcdef' },
      binding: { kind: 'node', node: 'worker-3' },
      vaultPath: 'nodes/worker-3',
      issuedAt: 0,
      expiresAt: 3_600_000,
      publishingUntil: 120_000,
      description: undefined,
    });
    await plane.admin.must('POST', SECRETS, {
      type: 'bootstrap.kubernetes.io/token',
      metadata: { name, labels, annotations },
      stringData: data,
    });
    const gone = async (path: string): Promise<boolean> => (await plane.admin.send('GET', path)).status === 404;
    await waitUntil(
      async () => {
        const all = await Promise.all([`${SECRETS}/${name}`, ...worker.csrs.map((csr) => `${CSRS}/${csr}`)].map(gone));
        return all.every(Boolean);
      },
      undefined,
      50,
    );
  });

  it('is never refused anything by the API server or Vault, and has made use of every right but `get` and `list`', async () => {
    const text = (await service.ops('/metrics')).body;
    for (const status of ['401', '403']) {
      expect(sampleOf(text, 'kubelet_bootstrap_api_call_seconds_count', { status }), status).to.equal(0);
    }
    expect(sampleOf(text, 'kubelet_bootstrap_vault_call_seconds_count', { outcome: 'Forbidden' })).to.equal(0);
    const csrs = 'certificatesigningrequests';
    for (const [resource, verbs] of [
      // `get` is for what a conflict or a lost answer leaves open, and for `explain`; `list` for API servers that do
      // not stream a first list through the watch.
      [csrs, ['watch', 'delete']],
      [`${csrs}/approval`, ['update']],
      [`${csrs}/status`, ['update']],
      ['subjectaccessreviews', ['create']],
      ['secrets', ['watch', 'create', 'patch', 'delete']],
      ['events', ['create']],
    ] as const) {
      for (const verb of verbs) {
        const calls = sampleOf(text, 'kubelet_bootstrap_api_call_seconds_count', { verb, resource });
        expect(calls, `${verb} ${resource}`).to.be.greaterThan(0);
      }
    }
  });

  it('explains a request with the same rights', async () => {
    const csr = impostor.csrs.at(-1) ?? '';
    const args = ['explain', csr, '--config', service.configFile, '--kubeconfig', kubeconfig];
    const explained = await runProgram('kubelet-bootstrap', args);
    expect(explained.code, explained.stderr).to.equal(0);
    expect(explained.stdout).to.contain('TokenBoundToOtherNode');
  });

  it('runs from the bundle as well, with the flags of the image and the environment of the Deployment', async () => {
    await service.stop();
    const folder = supervisor.folder('bundle');
    await bundle(folder);
    const bundled = supervisor.start({
      name: 'bundle',
      command: process.execPath,
      env: { ...process.env, ...deploymentEnv() },
      args: [
        ...imageFlags(),
        join(folder, 'kubelet-bootstrap.mjs'),
        'run',
        '--config',
        service.configFile,
        '--kubeconfig',
        kubeconfig,
      ],
    });
    await supervisor.ready(bundled, async () => (await service.ops('/readyz')).status === 200);
    expect((await worker.renew()).certificate).to.contain('BEGIN CERTIFICATE');
    await supervisor.end(bundled, 30_000);
  });
});
