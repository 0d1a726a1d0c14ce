import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { stringify } from 'yaml';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { freePorts } from '../../scripts/servers/ports.ts';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { newSupervisor } from '../../scripts/servers/servers.ts';
import { configFor, sampleOf } from '../../scripts/servers/service.ts';
import { createBootstrapCsrs, CSRS, seenCsrs, tokenClient, until } from '../support/crowd.ts';
import { requireControlPlane } from '../support/servers.ts';
import { skipFor } from '../support/skip.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const MAIN = join(ROOT, 'src', 'main.ts');
const SECRETS = '/run/secrets/kubernetes.io/serviceaccount';

/** Whether a process here may have a /run of its own. */
function mayMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('in a cluster: with the files and variables that a pod has, and no kubeconfig', function () {
  this.timeout(120_000);
  const controlPlane = requireControlPlane();
  const supervisor = newSupervisor();
  let dir = '';
  let ops = '';
  let firstToken = '';
  let kubectl: (...args: string[]) => string;

  before('needs the right to mount', function () {
    skipFor(this, mayMount() ? undefined : 'the right to mount is needed');
  });
  before('start it with a service account token that hangs on a Secret', async () => {
    const { kubectl: binary } = await findBinaries(['kubectl']);
    kubectl = (...args) =>
      execFileSync(binary, ['--kubeconfig', controlPlane().adminKubeconfig, ...args], { encoding: 'utf8' });
    // Not the bindings of nodes: other tests take those away to see what happens.
    for (const file of ['10-serviceaccount.yaml', '20-rbac.yaml']) {
      kubectl('apply', '--server-side', '-f', join(ROOT, 'manifests', 'base', file));
    }
    kubectl('-n', 'kube-system', 'create', 'secret', 'generic', 'in-cluster-first');
    dir = supervisor.folder('service-account');
    const bound = ['--bound-object-kind', 'Secret', '--bound-object-name', 'in-cluster-first'];
    firstToken = newToken(...bound);
    writeFileSync(join(dir, 'token'), `${firstToken}\n`);
    writeFileSync(join(dir, 'ca.crt'), controlPlane().ca.certificate);
    writeFileSync(join(dir, 'namespace'), 'kube-system');
    const [port = 0] = await freePorts(1);
    ops = `http://127.0.0.1:${port}`;
    const config = configFor(
      { controlPlane: controlPlane() },
      { pools: { pods: { nodeNames: 'pods-[0-9]+' } }, ops: { listen: `127.0.0.1:${port}` } },
    );
    const file = join(supervisor.folder('in-cluster'), 'config.yaml');
    writeFileSync(file, stringify(config));
    const script = `mount -t tmpfs tmpfs /run && mkdir -p ${SECRETS} && mount --bind "$1" ${SECRETS} && shift && exec "$@"`;
    const { KUBECONFIG: _, ...env } = process.env;
    const started = supervisor.start({
      name: 'in-cluster',
      command: 'unshare',
      args: ['--mount', 'sh', '-c', script, 'sh', dir, process.execPath, MAIN, 'run', '--config', file],
      env: { ...env, KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(controlPlane().port) },
    });
    await supervisor.ready(started, async () => (await fetch(`${ops}/readyz`)).ok);
  });
  after('end it', async function () {
    this.timeout(60_000);
    await supervisor.stop();
  });

  const newToken = (...args: string[]): string =>
    kubectl('-n', 'kube-system', 'create', 'token', 'kubelet-bootstrap', '--duration=1h', ...args).trim();

  async function issues(prefix: string): Promise<void> {
    const { client } = await tokenClient(controlPlane(), { kind: 'pool', pool: 'pods' });
    await createBootstrapCsrs(client, [prefix]);
    await client.close();
    await until(`${prefix} is issued`, async () =>
      (await seenCsrs(controlPlane(), `csr-${prefix}`)).some(({ status }) => (status.certificate ?? '') !== ''),
    );
  }

  it('issues certificates with the service account of the pod', () => issues('pods-1'));

  it('goes on with the next projected token when the first one is no longer good', async () => {
    // The kubelet replaces a projected token by rename, too.
    writeFileSync(join(dir, 'next'), newToken());
    renameSync(join(dir, 'next'), join(dir, 'token'));
    kubectl('-n', 'kube-system', 'delete', 'secret', 'in-cluster-first');
    const first = new HttpsClient({
      server: controlPlane().server,
      ca: controlPlane().ca.certificate,
      headers: { authorization: `Bearer ${firstToken}` },
    });
    // The API server remembers a good token for some seconds.
    await until('the first one is refused', async () => (await first.send('GET', CSRS)).status === 401, 500);
    await first.close();
    await issues('pods-2');
    const metrics = await (await fetch(`${ops}/metrics`)).text();
    expect(sampleOf(metrics, 'kubelet_bootstrap_issue_seconds_count', {})).to.equal(2);
    expect(sampleOf(metrics, 'kubelet_bootstrap_api_call_seconds_count', { status: '403' })).to.equal(0);
  });
});
