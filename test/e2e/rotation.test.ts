/** One CA after another under two real kubelets: none restarts, none loses access, and the old CA can go. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { canRunKubelet, type Kubelet, startKubelet } from '../../scripts/servers/kubelet.ts';
import { createCa, type LocalCa, writePair } from '../../scripts/servers/pki.ts';
import { tokenClient, until } from '../support/crowd.ts';
import { requireRotation } from '../support/rotation-scene.ts';
import { skipFor } from '../support/skip.ts';

const NODES = ['turning-1', 'turning-2'];
/** After that a control plane takes a node for lost. */
const LEASE_MS = 40_000;
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';

describe('the rotation of the CA under real kubelets', function () {
  this.timeout(300_000);
  before('kubelets can run here', function () {
    skipFor(this, canRunKubelet());
  });
  const scene = requireRotation('2m');
  const kubelets: Kubelet[] = [];
  let next: LocalCa;

  before('two nodes join', async () => {
    const { plane, supervisor } = scene();
    const { kubelet: binary } = await findBinaries(['kubelet']);
    // What kubelets let in is another matter than what they are let in by.
    const clusterCaFile = join(supervisor.folder('kubelets'), 'ca.crt');
    writeFileSync(clusterCaFile, plane.ca.certificate);
    for (const name of NODES) {
      const { kubeconfig } = await tokenClient(plane, { kind: 'node', node: name });
      const options = { binary, name, bootstrapKubeconfig: kubeconfig, clusterCaFile };
      kubelets.push(await startKubelet(supervisor, options));
    }
    for (const name of NODES) await until(`${name} is alive`, async () => (await renewedAt(plane.admin, name)) > 0);
  });
  after('end the kubelets', async () => {
    await Promise.all(kubelets.map((kubelet) => kubelet.stop()));
  });

  const renewedAt = async (client: HttpsClient, name: string): Promise<number> => {
    const { status, body } = await client.send('GET', `${LEASES}/${name}`);
    return status === 200 ? Date.parse((body as { spec: { renewTime: string } }).spec.renewTime) : 0;
  };
  const certificateOf = ({ clientPem }: Kubelet): X509Certificate => {
    const text = readFileSync(clientPem, 'utf8');
    return new X509Certificate(/-----BEGIN CERT[^]*?-----END CERT[^-]*-----/.exec(text)?.[0] ?? '');
  };
  const issuers = (): string[] => kubelets.map((kubelet) => certificateOf(kubelet).issuer);

  /** The longest that a node was not heard of, as far as was looked. */
  let longestSilence = 0;
  const listen = async (client: HttpsClient): Promise<void> => {
    for (const name of NODES) longestSilence = Math.max(longestSilence, Date.now() - (await renewedAt(client, name)));
  };

  it('begins: the next CA is published and trusted, and signs nothing', async () => {
    next = await createCa('next cluster CA');
    const certificate = writePair(scene().supervisor.folder('next'), 'ca', next);
    const { code, stderr } = await scene().ca(
      'rotate',
      '--certificate',
      certificate,
      '--key',
      certificate.replace('.crt', '.key'),
    );
    expect(code, stderr).to.equal(0);
    await scene().reach('Trust');
    scene().trust(next.certificate);
    await scene().reach('SetTime');
    expect(issuers()).to.deep.equal(NODES.map(() => 'CN=local cluster CA'));
  });

  it('has each kubelet change over by itself when it renews', async () => {
    expect((await scene().ca('rotate', '--sign-from', 'now')).code).to.equal(0);
    const changed = async (): Promise<boolean> => {
      await listen(scene().plane.admin);
      return issuers().every((name) => name === 'CN=next cluster CA');
    };
    await until('both kubelets have a certificate of the next CA', changed, 500, 240_000);
  });

  it('says when the first one can be dropped, and drops it', async () => {
    await until('it is safe', async () => {
      await listen(scene().plane.admin);
      return (await scene().standing()).step === 'Finish';
    });
    const { code, stderr } = await scene().ca('rotate', '--finish');
    expect(code, stderr).to.equal(0);
  });

  it('keeps every node alive when nothing trusts the first one any more, in the same processes', async () => {
    const { plane } = scene();
    const certificate = await next.client('admin', ['system:masters']);
    const admin = new HttpsClient({ server: plane.server, ca: plane.ca.certificate, ...certificate });
    try {
      scene().trust(next.certificate, true);
      await until(
        'the API server has let go of it',
        async () => (await plane.admin.send('GET', '/api')).status === 401,
      );
      const since = Date.now();
      for (const name of NODES) {
        await until(`${name} is alive`, async () => {
          await listen(admin);
          return (await renewedAt(admin, name)) > since;
        });
      }
    } finally {
      await admin.close();
    }
    for (const { pid, name } of kubelets) expect(existsSync(`/proc/${pid}`), name).to.equal(true);
    expect(longestSilence).to.be.lessThan(LEASE_MS);
  });
});
