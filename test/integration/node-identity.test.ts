import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { after, describe, it } from 'mocha';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { readKubeconfig } from '../../scripts/servers/kubeconfig.ts';
import { type CommandResult, runProgram } from '../../scripts/servers/service.ts';
import { emptyRecord } from '../../src/nodes/node-record.ts';
import { claimsMapOf, formatRecord, shardOf } from '../../src/nodes/record-format.ts';
import type { Binding } from '../../src/tokens/binding.ts';
import { USES } from '../../src/tokens/token-secret.ts';
import { buildCsrPem } from '../support/csr-builder.ts';
import {
  createBootstrapCsrs,
  csrBody,
  CSRS,
  nodeNames,
  type SeenCsr,
  removeCsrs,
  seenCsrs,
  tokenClient,
  until,
} from '../support/crowd.ts';
import { KubeletStandIn } from '../support/kubelet-stand-in.ts';
import { accountWithout } from '../support/limited-account.ts';
import { nodesAreKnown, requireService } from '../support/running-service.ts';

const NODES = '/api/v1/nodes';
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
const STATE = '/api/v1/namespaces/kubelet-bootstrap/configmaps';
const HOUR = 3_600_000;

describe('who becomes which node, on the real API server', function () {
  this.timeout(120_000);
  const running = requireService({
    pools: {
      spot: { nodeNames: 'spot-.*' },
      race: { nodeNames: 'race-[0-9]+' },
      rival: { nodeNames: 'rival-[0-9]+' },
      claim: { nodeNames: 'claim-[0-9]+' },
      full: { nodeNames: 'full-[0-9]+', maxNodes: 10 },
      plane: { nodeNames: '.*cp-[0-9]+' },
    },
    controlPlane: { nodeNames: 'cp-[0-9]+' },
    serving: { addressRanges: ['10.20.0.0/16'] },
    cleaner: { interval: '1s' },
  });
  after(async () => {
    for (const prefix of ['id-', 'csr-race-', 'csr-rival-', 'csr-claim-', 'csr-full-'])
      await removeCsrs(running().controlPlane, prefix);
  });
  const admin = (): HttpsClient => running().controlPlane.admin;
  let count = 0;

  /** Asks for a first certificate, or a renewal, and answers the name of the CSR. */
  async function ask(client: HttpsClient, node: string, options: Parameters<typeof csrBody>[2] = {}): Promise<string> {
    count += 1;
    const name = `id-${node}-${count}`;
    const ips = options.signerName === undefined ? [] : ['10.20.77.7'];
    await client.must('POST', CSRS, csrBody(name, buildCsrPem({ commonName: `system:node:${node}`, ips }), options));
    return name;
  }
  const askServing = (client: HttpsClient, node: string): Promise<string> =>
    ask(client, node, { signerName: 'kubernetes.io/kubelet-serving', usages: ['digital signature', 'server auth'] });
  const one = async (name: string): Promise<SeenCsr> => {
    const [csr] = await seenCsrs(running().controlPlane, name);
    if (csr === undefined) throw new Error(`${name} is gone`);
    return csr;
  };
  const issued = (name: string): Promise<SeenCsr> =>
    until(`${name} is issued`, async () => {
      const csr = await one(name);
      return (csr.status.certificate ?? '') === '' ? undefined : csr;
    });
  const waits = (name: string, reason: string): Promise<true> =>
    until(`${name} waits for ${reason}`, () =>
      Promise.resolve(
        running()
          .service()
          .lines()
          .some((line) => line.csr === name && line.verdict === 'wait' && line.reason === reason),
      ),
    );
  const withToken = async (binding: Binding, uses?: number): Promise<HttpsClient> => {
    const annotations = uses === undefined ? {} : { [USES]: String(uses) };
    const { client } = await tokenClient(running().controlPlane, binding, HOUR, annotations);
    return client;
  };
  const command = (...args: string[]): Promise<CommandResult> =>
    runProgram('kubelet-bootstrap', [...args, '--config', running().service().configFile], {
      KUBECONFIG: running().controlPlane.adminKubeconfig,
    });
  async function register(name: string): Promise<void> {
    await admin().must('POST', NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name } });
    await nodesAreKnown(running());
  }
  const beat = (name: string, ago: number): Promise<unknown> =>
    admin().must('POST', LEASES, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name },
      spec: { holderIdentity: name, renewTime: new Date(Date.now() - ago).toISOString().replace('Z', '000Z') },
    });
  const recordOf = (node: string): Promise<Record<string, unknown> | undefined> =>
    until(`${node} is on record`, async () => {
      const answer = await admin().send('GET', `${STATE}/${shardOf(node)}`);
      const { data = {} } = answer.body as { data?: Record<string, string> };
      return data[node] === undefined ? undefined : (JSON.parse(data[node]) as Record<string, unknown>);
    });

  describe('a node that is alive', () => {
    it('is not replaced, until an admin releases it, once', async () => {
      await register('alive-1');
      await beat('alive-1', 0);
      const client = await withToken({ kind: 'node', node: 'alive-1' });
      const name = await ask(client, 'alive-1');
      await waits(name, 'NodeIsLive');
      const explained = await command('explain', name);
      expect(explained.stdout)
        .to.match(/NO +node not alive/)
        .and.match(/facts:\n[^]* presence: \{"exists":true,"renewedAt":"\d{4}-/)
        .and.include('node release');
      const released = await command('node', 'release', 'alive-1', '--for', '10m');
      expect(released.code, released.stderr).to.equal(0);
      expect(released.stderr).to.include('nothing else is on record of alive-1');
      await issued(name);
      await until('the release is used up', async () => {
        const list = await command('node', 'list', '-o', 'json');
        const rows = JSON.parse(list.stdout) as { node: string; state?: string; token?: string }[];
        const row = rows.find(({ node }) => node === 'alive-1');
        return row?.token !== undefined && row.state === undefined;
      });
      await waits(await ask(client, 'alive-1'), 'NodeIsLive');
    });

    it('is replaced once by a release, although two wait for it', async () => {
      await register('alive-3');
      await beat('alive-3', 0);
      const clients = [
        await withToken({ kind: 'node', node: 'alive-3' }),
        await withToken({ kind: 'node', node: 'alive-3' }),
      ];
      const names = await Promise.all(clients.map((client) => ask(client, 'alive-3')));
      for (const name of names) await waits(name, 'NodeIsLive');
      expect((await command('node', 'release', 'alive-3')).code).to.equal(0);
      await until('one is issued', async () => {
        const all = await Promise.all(names.map(one));
        return all.some(({ status }) => (status.certificate ?? '') !== '');
      });
      await until('the release is used up', async () => {
        const { body } = await admin().send('GET', `${STATE}/${shardOf('alive-3')}`);
        const keys = Object.keys((body as { data?: object }).data ?? {});
        return keys.includes('alive-3') && !keys.includes('alive-3_r');
      });
      const approved = (await Promise.all(names.map(one))).filter(({ status }) => (status.conditions ?? []).length > 0);
      expect(approved).to.have.length(1);
    });

    it('whose Lease has become stale is replaced with a token for it: a machine that was set up anew', async () => {
      await register('reimaged-1');
      await beat('reimaged-1', HOUR);
      await issued(await ask(await withToken({ kind: 'node', node: 'reimaged-1' }), 'reimaged-1'));
    });

    it('gets no token but with --replace, and that one may replace it', async () => {
      await register('alive-2');
      await beat('alive-2', 0);
      const issue = (...more: string[]): Promise<CommandResult> =>
        runProgram(
          'bootstrap-token',
          [
            'issue',
            '--for-node',
            'alive-2',
            '-o',
            'bootstrap-kubeconfig',
            ...more,
            '--config',
            running().service().configFile,
          ],
          { KUBECONFIG: running().controlPlane.adminKubeconfig, VAULT_TOKEN: running().openBao.rootToken },
        );
      const refused = await issue();
      expect([refused.code, refused.stdout]).to.deep.equal([4, '']);
      expect(refused.stderr).to.include('node alive-2 is alive').and.include('--replace');
      const replacing = await issue('--replace');
      expect(replacing.code, replacing.stderr).to.equal(0);
      const file = running().supervisor.folder('replace');
      writeFileSync(`${file}/kubeconfig`, replacing.stdout, { mode: 0o600 });
      await issued(await ask(new HttpsClient(readKubeconfig(`${file}/kubeconfig`)), 'alive-2'));
    });
  });

  describe('a token of a pool', () => {
    it('of 50 uses gives 200 nodes exactly 50 certificates, and all 50 after a kill in between', async () => {
      const client = await withToken({ kind: 'pool', pool: 'race' }, 50);
      await running().service().kill();
      await createBootstrapCsrs(client, nodeNames('race', 200));
      const first = await running().start({}, false);
      await until('some are issued', async () => (await first.metric('kubelet_bootstrap_issue_seconds_count')) > 5, 1);
      await first.kill();
      const service = await running().start();
      const decided = async (): Promise<boolean> => {
        const approved = await seenCsrs(running().controlPlane, 'csr-race-');
        const done = approved.filter(({ status }) => (status.certificate ?? '') !== '').length;
        const told = new Set(
          service
            .lines()
            .filter(({ reason }) => reason === 'TokenUsedUp')
            .map(({ csr }) => csr),
        );
        return done + told.size === 200;
      };
      await until('every one is issued or told that the token is used up', decided);
      const all = await seenCsrs(running().controlPlane, 'csr-race-');
      expect(all.filter(({ status }) => (status.certificate ?? '') !== '')).to.have.length(50);
      expect(all.filter(({ status }) => (status.conditions ?? []).length > 0)).to.have.length(50);
    });

    it('keeps every use for the node that claimed it, when the service dies before it approves', async () => {
      const annotations = { [USES]: '10' };
      const binding = { kind: 'pool', pool: 'claim' } as const;
      const { client, id } = await tokenClient(running().controlPlane, binding, HOUR, annotations);
      await running().service().stop();
      await createBootstrapCsrs(client, nodeNames('claim', 40));
      const unable = await running().start(
        {},
        true,
        [],
        await accountWithout(running().controlPlane, 'certificatesigningrequests/approval'),
      );
      const claimed = await until('all uses are claimed', async () => {
        const { body } = await admin().send('GET', `${STATE}/${claimsMapOf(id)}`);
        const nodes = Object.keys((body as { data?: object }).data ?? {});
        return nodes.length === 10 ? nodes : undefined;
      });
      await unable.kill();
      const withCondition = async (): Promise<string[]> =>
        (await seenCsrs(running().controlPlane, 'csr-claim-'))
          .filter(({ status }) => (status.conditions ?? []).length > 0)
          .map(({ metadata }) => metadata.name.slice('csr-'.length));
      expect(await withCondition()).to.deep.equal([]);
      await running().start();
      await until('ten are issued', async () => {
        const all = await seenCsrs(running().controlPlane, 'csr-claim-');
        return all.filter(({ status }) => (status.certificate ?? '') !== '').length === 10;
      });
      expect(await withCondition()).to.have.members(claimed);
    });

    it('of three uses is good for three nodes, although a rival approves whoever asks and counts nothing', async () => {
      const client = await withToken({ kind: 'pool', pool: 'rival' }, 3);
      await running().service().stop();
      const names = nodeNames('rival', 12);
      await createBootstrapCsrs(client, names);
      for (const node of names) {
        const path = `${CSRS}/csr-${node}`;
        const csr = (await admin().must('GET', path)) as object;
        const conditions = [{ type: 'Approved', status: 'True', reason: 'AutoApproved', message: '' }];
        await admin().must('PUT', `${path}/approval`, { ...csr, status: { conditions } });
      }
      const service = await running().start();
      await until('nine are told that the token is used up', () => {
        const told = service
          .lines()
          .filter(({ reason, csr = '' }) => reason === 'TokenUsedUp' && csr.startsWith('csr-rival-'));
        return Promise.resolve(new Set(told.map(({ csr }) => csr)).size === 9);
      });
      const all = await seenCsrs(running().controlPlane, 'csr-rival-');
      expect(all.filter(({ status }) => (status.certificate ?? '') !== '')).to.have.length(3);
    });

    it('gives a pool of ten nodes ten certificates to thirty nodes', async () => {
      const client = await withToken({ kind: 'pool', pool: 'full' });
      await createBootstrapCsrs(client, nodeNames('full', 30));
      await until('the rest waits', () => {
        const told = running()
          .service()
          .lines()
          .filter(({ reason, csr }) => reason === 'PoolFull' && csr?.startsWith('csr-full-') === true);
        return Promise.resolve(new Set(told.map(({ csr }) => csr)).size === 20);
      });
      await until('ten are issued', async () => {
        const all = await seenCsrs(running().controlPlane, 'csr-full-');
        return all.filter(({ status }) => (status.certificate ?? '') !== '').length === 10;
      });
    });

    it('never obtains a name of the control plane, whatever its pattern; a token for that node does', async () => {
      await waits(await ask(await withToken({ kind: 'pool', pool: 'plane' }), 'cp-1'), 'ControlPlaneName');
      await issued(await ask(await withToken({ kind: 'pool', pool: 'plane' }), 'not-cp-1'));
      await issued(await ask(await withToken({ kind: 'node', node: 'cp-1' }), 'cp-1'));
    });

    it('takes no name of a node that is there with a valid certificate, and takes it when the autoscaler removed that', async () => {
      const client = await withToken({ kind: 'pool', pool: 'spot' });
      await issued(await ask(client, 'spot-1'));
      await recordOf('spot-1');
      await register('spot-1');
      const name = await ask(client, 'spot-1');
      await waits(name, 'NodeCertificateValid');
      await admin().must('DELETE', `${NODES}/spot-1`);
      await issued(name);
    });

    it('lets such a name in again although the machine before was seen with its certificate', async () => {
      const { client, kubeconfig } = await tokenClient(running().controlPlane, { kind: 'pool', pool: 'spot' });
      const dir = running().supervisor.folder('spot-3');
      const before = new KubeletStandIn({ name: 'spot-3', ips: ['10.20.3.3'], bootstrapKubeconfig: kubeconfig, dir });
      await before.bootstrap();
      await before.register();
      await before.requestServing();
      await waits(await ask(client, 'spot-3'), 'NodeIsLive');
      await admin().must('DELETE', `${NODES}/spot-3`);
      await nodesAreKnown(running());
      await issued(await ask(client, 'spot-3'));
    });

    it('lets a kubelet back that was away until its certificate expired', async () => {
      const certificates = [
        { fingerprint: 'a'.repeat(64), notAfter: Date.now() - HOUR, issuedAt: Date.now() - 8 * 24 * HOUR, issuer: '' },
      ];
      const record = formatRecord({ ...emptyRecord('spot-2'), certificates });
      const shard = shardOf('spot-2');
      const answer = await admin().send('PATCH', `${STATE}/${shard}`, { data: { 'spot-2': record } });
      if (answer.status === 404) {
        const labels = { 'kubelet-bootstrap/state': 'node-records' };
        await admin().must('POST', STATE, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: shard, labels },
          data: { 'spot-2': record },
        });
      }
      await register('spot-2');
      await beat('spot-2', 24 * HOUR);
      await issued(await ask(await withToken({ kind: 'pool', pool: 'spot' }), 'spot-2'));
    });
  });

  describe('a node that has its certificate', () => {
    it('has used its token up once it was seen', async () => {
      const client = await withToken({ kind: 'node', node: 'seen-1' });
      const csr = await issued(await ask(client, 'seen-1'));
      await issued(await ask(client, 'seen-1'));
      const record = await recordOf('seen-1');
      const print = new X509Certificate(Buffer.from(csr.status.certificate ?? '', 'base64')).fingerprint256;
      const certificates = record?.['certificates'] as { fingerprint: string }[] | undefined;
      const prints = certificates?.map(({ fingerprint }) => fingerprint);
      expect(prints).to.include(print.replaceAll(':', '').toLowerCase());
    });

    it('that is banned gets no renewal, and gets it when the ban is lifted', async () => {
      await register('banned-1');
      const client = new HttpsClient(readKubeconfig(await running().controlPlane.nodeKubeconfig('banned-1')));
      const banned = await command('node', 'ban', 'banned-1', '--reason', 'stolen laptop');
      expect(banned.code, banned.stderr).to.equal(0);
      const renewal = await until('the service knows of the ban', async () => {
        const name = await ask(client, 'banned-1');
        const reason = await until(`${name} is decided on`, () =>
          Promise.resolve(
            running()
              .service()
              .lines()
              .find(({ csr, verdict }) => csr === name && verdict !== undefined)?.reason,
          ),
        );
        return reason === 'NodeBanned' ? name : undefined;
      });
      const serving = await askServing(client, 'banned-1');
      await waits(serving, 'NodeBanned');
      expect((await command('node', 'list')).stdout).to.match(/banned-1 .*banned since .*stolen laptop/);
      expect((await command('node', 'unban', 'banned-1')).code).to.equal(0);
      await issued(renewal);
      await issued(serving);
    });

    it('renews without a Node object for an hour only', async () => {
      const client = new HttpsClient(readKubeconfig(await running().controlPlane.nodeKubeconfig('gone-1')));
      const name = await ask(client, 'gone-1');
      await waits(name, 'NodeObjectMissing');
      await register('gone-1');
      await issued(name);
    });
  });
});
