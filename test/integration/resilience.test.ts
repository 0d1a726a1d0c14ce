import { writeFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { deploymentEnv, imageFlags } from '../../scripts/servers/deployment.ts';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { readKubeconfig } from '../../scripts/servers/kubeconfig.ts';
import { createCa } from '../../scripts/servers/pki.ts';
import { BOOTSTRAP_BINDINGS } from '../../scripts/servers/rbac.ts';
import { runProgram, type Service } from '../../scripts/servers/service.ts';
import PQueue from 'p-queue';
import { stringify } from 'yaml';
import { buildCsrPem } from '../support/csr-builder.ts';
import {
  createBootstrapCsrs,
  csrBody,
  CSRS,
  nodeNames,
  type SeenCsr,
  seenCsrs,
  tokenClient,
  until,
} from '../support/crowd.ts';
import { requireService } from '../support/running-service.ts';

const CA_PATH = 'resilience/ca';
const EVENTS = '/apis/events.k8s.io/v1/namespaces/default/events';
/** Slow enough to be caught in the middle. */
const ONE_AT_A_TIME = {
  approver: { concurrency: 1 },
  signer: { concurrency: 1, ca: { vaultPath: CA_PATH, refresh: '1s' } },
};

describe('the service when things go wrong', function () {
  this.timeout(180_000);
  const running = requireService(
    {
      pools: { many: { nodeNames: '[a-z]+-[0-9]+' } },
      signer: { concurrency: 4, ca: { vaultPath: CA_PATH, refresh: '1s' } },
      approver: { concurrency: 4 },
    },
    false,
  );
  let client: HttpsClient;
  let service: Service | undefined;

  const putCa = async (pair: { certificate: string; key: string }): Promise<void> => {
    const data = { cert: pair.certificate, key: pair.key };
    await running().openBao.root('POST', `secret/data/${CA_PATH}`, { data });
  };
  const issued = async (prefix: string): Promise<SeenCsr[]> =>
    (await seenCsrs(running().controlPlane, `csr-${prefix}-`)).filter(
      ({ status }) => (status.certificate ?? '') !== '',
    );
  const allIssued = (prefix: string, count: number): Promise<true> =>
    until(`all ${count} of ${prefix} are issued`, async () => (await issued(prefix)).length === count, 200);
  const readyz = async (): Promise<{ status: number; body: string }> =>
    (await service?.ops('/readyz')) ?? { status: 0, body: '' };

  before('a pool token, and the CA in Vault', async () => {
    ({ client } = await tokenClient(running().controlPlane, { kind: 'pool', pool: 'many' }));
    await putCa(running().controlPlane.ca);
  });
  afterEach('end the service', async function () {
    this.timeout(60_000);
    await service?.stop();
    service = undefined;
  });

  it('works on no more than `concurrency` CSRs at once under 500, and shows it', async () => {
    await createBootstrapCsrs(client, nodeNames('bounded', 500));
    service = await running().start({}, false);
    let most = 0;
    let deepest = 0;
    await until(
      'all are issued',
      async () => {
        const { body } = (await service?.ops('/metrics')) ?? { body: '' };
        for (const [, value] of body.matchAll(/^kubelet_bootstrap_queue_in_flight\{[^}]*\} (\d+)$/gm))
          most = Math.max(most, Number(value));
        for (const [, value] of body.matchAll(/^kubelet_bootstrap_queue_depth\{[^}]*\} (\d+)$/gm))
          deepest = Math.max(deepest, Number(value));
        return ((await service?.metric('kubelet_bootstrap_issue_seconds_count')) ?? 0) >= 500;
      },
      5,
    );
    expect(most).to.be.within(1, 4);
    expect(deepest).to.be.greaterThan(4);
    // Others' CSRs may be among those that were counted.
    await allIssued('bounded', 500);
  });

  it('keeps no more than 500 of one requester waiting, and comes to the rest: 700 to approve, 700 approved by others', async () => {
    await createBootstrapCsrs(client, nodeNames('crowd', 1_400));
    const { admin } = running().controlPlane;
    const gate = new PQueue({ concurrency: 16 });
    const conditions = [{ type: 'Approved', status: 'True', reason: 'ByHand', message: '' }];
    const some = (await seenCsrs(running().controlPlane, 'csr-crowd-')).filter((_, index) => index % 2 === 0);
    await gate.addAll(
      some.map((csr) => async () => {
        const path = `${CSRS}/${csr.metadata.name}`;
        await admin.must('PUT', `${path}/approval`, { ...csr, status: { conditions } });
      }),
    );
    service = await running().start({}, false);
    let deepest = 0;
    await until(
      'all are issued',
      async () => {
        const { body } = (await service?.ops('/metrics')) ?? { body: '' };
        for (const [, value] of body.matchAll(/^kubelet_bootstrap_queue_depth\{[^}]*\} (\d+)$/gm))
          deepest = Math.max(deepest, Number(value));
        return ((await service?.metric('kubelet_bootstrap_issue_seconds_count')) ?? 0) >= 1_400;
      },
      5,
    );
    await allIssued('crowd', 1_400);
    expect(deepest).to.be.within(100, 500);
  });

  it('killed amid 200 CSRs and started again, issues every one exactly once', async () => {
    await createBootstrapCsrs(client, nodeNames('killed', 200));
    const first = await running().start(ONE_AT_A_TIME, false);
    await until('some are issued', async () => (await first.metric('kubelet_bootstrap_issue_seconds_count')) > 20, 1);
    await first.kill();
    const before = await issued('killed');
    expect(before.length).to.be.within(20, 199);
    service = await running().start();
    await allIssued('killed', 200);
    // A certificate in the status cannot be replaced: what was there before the kill is there now.
    const after = new Map((await issued('killed')).map((csr) => [csr.metadata.uid, csr.status.certificate]));
    for (const csr of before) expect(after.get(csr.metadata.uid)).to.equal(csr.status.certificate);
    const again = new Set(
      service
        .lines()
        .filter(({ message }) => message === 'certificate issued')
        .map(({ csr }) => csr),
    );
    for (const { metadata } of before) expect([...again]).not.to.include(metadata.name);
    const serials = [...after.values()].map(
      (pem) => new X509Certificate(Buffer.from(pem ?? '', 'base64')).serialNumber,
    );
    expect(new Set(serials).size).to.equal(200);
  });

  it('asked to stop amid 100 CSRs, finishes what is in hand and leaves nothing half done', async () => {
    await createBootstrapCsrs(client, nodeNames('asked', 100));
    const first = await running().start(ONE_AT_A_TIME, false);
    await until('some are issued', async () => (await first.metric('kubelet_bootstrap_issue_seconds_count')) > 10, 1);
    await first.stop();
    const seen = await seenCsrs(running().controlPlane, 'csr-asked-');
    const states = seen.map(({ status }) =>
      [status.conditions?.[0]?.type, (status.certificate ?? '') !== ''].join(' '),
    );
    expect(new Set(states)).to.deep.equal(new Set(['Approved true', ' false']));
    expect(first.lines().at(-1)?.message).to.equal('stopped');
    expect(first.lines().filter(({ level }) => level === 'error')).to.deep.equal([]);
    service = await running().start();
    await allIssued('asked', 100);
  });

  it('with Vault sealed amid 500 CSRs, holds, says why, asks Vault little, and issues all when it is unsealed', async () => {
    const count = 500;
    const names = nodeNames('sealed', count);
    await running().openBao.seal();
    let asked = 0;
    try {
      await createBootstrapCsrs(client, names.slice(0, count / 2));
      service = await running().start({}, false);
      const more = createBootstrapCsrs(client, names.slice(count / 2));
      await until('readyz names the seal', async () => {
        const { status, body } = await readyz();
        return status === 503 && body.includes('sealed');
      });
      await more;
      await until('they are approved', async () =>
        (await seenCsrs(running().controlPlane, 'csr-sealed-')).every(
          ({ status }) => status.conditions?.[0]?.type === 'Approved',
        ),
      );
      expect(await service.metric('kubelet_bootstrap_signer_held')).to.equal(1);
      asked = await service.metric('kubelet_bootstrap_vault_call_seconds_count', { operation: 'kv-read' });
      await until('an Event names the seal', async () => {
        const { items } = (await running().controlPlane.admin.must('GET', EVENTS)) as {
          items: { reason: string; note: string }[];
        };
        return items.some(({ reason, note }) => reason === 'SignerUnavailable' && note.includes('sealed'));
      });
    } finally {
      await running().openBao.unseal();
    }
    expect(asked, 'calls, not one for each CSR').to.be.lessThan(count / 5);
    await allIssued('sealed', count);
    const conditions = (await issued('sealed')).flatMap(
      ({ status }) => status.conditions?.map(({ type }) => type) ?? [],
    );
    expect(new Set(conditions)).to.deep.equal(new Set(['Approved']));
    await until('it is ready', async () => (await readyz()).status === 200);
    expect(await service.metric('kubelet_bootstrap_signer_held')).to.equal(0);
  });

  it('keeps signing with the CA that it has while Vault is away, and says in readyz that it is', async () => {
    service = await running().start();
    await createBootstrapCsrs(client, nodeNames('warm', 1));
    await allIssued('warm', 1);
    await running().openBao.stop();
    try {
      await until('readyz names Vault', async () => {
        const { status, body } = await readyz();
        return status === 503 && body.includes('[-]vault');
      });
      await createBootstrapCsrs(client, nodeNames('away', 10));
      await allIssued('away', 10);
    } finally {
      await running().openBao.start();
    }
    await until('it is ready', async () => (await readyz()).status === 200);
  });

  it('starts amid 300 CSRs of a megabyte each, in the heap that the Deployment gives it, and serves the others', async () => {
    const huge = nodeNames('huge', 300);
    const gate = new PQueue({ concurrency: 4 });
    await gate.addAll(
      huge.map((node) => async () => {
        const request = buildCsrPem({ commonName: `system:node:${node}` }) + '\n'.repeat(1_000_000);
        await client.must('POST', CSRS, csrBody(`csr-${node}`, request));
      }),
    );
    try {
      await createBootstrapCsrs(client, nodeNames('beside', 5));
      const heap = deploymentEnv()['NODE_OPTIONS']?.split(' ') ?? [];
      service = await running().start({}, false, [...imageFlags(), ...heap]);
      await allIssued('beside', 5);
      expect(await issued('huge')).to.deep.equal([]);
    } finally {
      await gate.addAll(huge.map((node) => () => running().controlPlane.admin.must('DELETE', `${CSRS}/csr-${node}`)));
    }
  });

  it('goes on by itself when the API server was restarted', async () => {
    service = await running().start();
    await running().controlPlane.restartApiServer();
    await createBootstrapCsrs(client, nodeNames('restarted', 10));
    await allIssued('restarted', 10);
    await until('it is ready', async () => (await readyz()).status === 200);
  });

  it('signs with a new CA as soon as it stands in Vault, and never with a key that does not fit', async () => {
    service = await running().start();
    const next = await createCa('next CA');
    await putCa({ certificate: next.certificate, key: running().controlPlane.ca.key });
    await createBootstrapCsrs(client, nodeNames('misfit', 1));
    await allIssued('misfit', 1);
    const log = await until('the log names the misfit', async () => {
      // Asks for the CA, which is looked at again when it is needed.
      await readyz();
      return service?.lines().find(({ message }) => message.includes('the CA in force stays'));
    });
    expect(log.level).to.equal('warn');
    await putCa(next);
    const issuer = new X509Certificate(next.certificate);
    try {
      let number = 0;
      await until(
        'a certificate is of the new CA',
        async () => {
          number += 1;
          await client.must(
            'POST',
            CSRS,
            csrBody(`csr-next-${number}`, buildCsrPem({ commonName: `system:node:next-${number}` })),
          );
          await allIssued('next', number);
          return (await issued('next')).some(({ status }) =>
            new X509Certificate(Buffer.from(status.certificate ?? '', 'base64')).verify(issuer.publicKey),
          );
        },
        200,
      );
    } finally {
      await putCa(running().controlPlane.ca);
    }
  });

  it('without a usable CA from the start, holds and never fails a CSR', async () => {
    await putCa({ certificate: 'nonsense', key: 'nonsense' });
    try {
      await createBootstrapCsrs(client, nodeNames('nonsense', 3));
      service = await running().start({}, false);
      await until('readyz names the CA', async () => (await readyz()).body.includes('[-]authority'));
      expect(await issued('nonsense')).to.deep.equal([]);
    } finally {
      await putCa(running().controlPlane.ca);
    }
    await allIssued('nonsense', 3);
  });

  it('names the missing binding once for a whole class, and approves when it is there', async () => {
    const { admin, nodeKubeconfig } = running().controlPlane;
    const [name, role, group] = BOOTSTRAP_BINDINGS.selfnodeclient;
    const path = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';
    await admin.must('DELETE', `${path}/${name}`);
    try {
      service = await running().start();
      for (const node of nodeNames('unbound', 5)) {
        await admin.must('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: node } });
        const asNode = new HttpsClient(readKubeconfig(await nodeKubeconfig(node)));
        await asNode.must('POST', CSRS, csrBody(`csr-${node}`, buildCsrPem({ commonName: `system:node:${node}` })));
        await asNode.close();
      }
      await until(
        'all five wait for it',
        async () =>
          (await service?.metric('kubelet_bootstrap_decisions_total', {
            verdict: 'wait',
            reason: 'AccessNotGranted',
          })) === 5,
      );
      const event = await until('the Event', async () => (await events()).find(ofThisBinding));
      expect(event.note).to.include(`bind ClusterRole ${role}`);
    } finally {
      await admin.must('POST', path, {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: group }],
      });
    }
    await allIssued('unbound', 5);
    expect((await events()).filter(ofThisBinding)).to.have.lengthOf(1);
  });

  interface SeenEvent {
    readonly reason: string;
    readonly note: string;
    readonly regarding: { readonly name: string };
  }
  const ofThisBinding = ({ reason, regarding }: SeenEvent): boolean =>
    reason === 'AccessNotGranted' && regarding.name.startsWith('csr-unbound-');

  async function events(): Promise<SeenEvent[]> {
    const list = (await running().controlPlane.admin.must(
      'GET',
      '/apis/events.k8s.io/v1/namespaces/default/events',
    )) as { items: SeenEvent[] };
    return list.items;
  }

  it('with a wrong config names every problem, ends with 2 and starts nothing', async () => {
    const file = `${running().supervisor.folder('wrong')}/config.yaml`;
    writeFileSync(file, stringify({ cluster: { server: 'http://x' }, foo: 1, signer: { lifetime: { client: '10' } } }));
    const { code, stdout, stderr } = await runProgram('kubelet-bootstrap', ['run', '--config', file]);
    expect(code).to.equal(2);
    expect(stdout).to.equal('');
    for (const path of [
      'cluster.server',
      'foo',
      'signer.lifetime.client',
      'serving.addressRanges',
      'signer.ca',
      'vault',
    ]) {
      expect(stderr).to.include(`  ${path}: `);
    }
  });
});
