/**
 * What somebody tries who has a node's certificate, or may edit and approve CSRs: to be taken for the API server, a Service
 * or another node, and to have this service deny, fail or delete what honest nodes asked for.
 */
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { CSRS, removeCsrs, tokenClient, until } from '../support/crowd.ts';
import { KubeletStandIn } from '../support/kubelet-stand-in.ts';
import { requireService } from '../support/running-service.ts';
import { Scene, SERVING } from './scene.ts';

describe('insiders on the real API server', function () {
  this.timeout(120_000);
  const running = requireService({
    pools: { web: { nodeNames: 'web-.*' } },
    serving: { addressRanges: ['10.20.0.0/16'], dnsSuffixes: ['example.internal'] },
    cluster: { server: 'https://api.example.internal:6443' },
    approver: { onViolation: 'deny' },
    cleaner: { interval: '1s', retention: { denied: '0s' } },
  });
  const scene = new Scene(running);
  const path = (name: string): string => `${CSRS}/${name}`;

  before(() => scene.register('web-1'));
  after(() => removeCsrs(running().controlPlane, 'attack-'));

  /** Decides on the CSR as somebody who may, with these times. */
  async function decide(name: string, type: 'Approved' | 'Denied', lastUpdateTime?: string): Promise<void> {
    const csr = (await scene.admin.must('GET', path(name))) as object;
    const condition = { type, status: 'True', reason: 'ByHand', message: '', lastUpdateTime };
    await scene.admin.must('PUT', `${path(name)}/approval`, { ...csr, status: { conditions: [condition] } });
  }
  const line = (name: string, message: string): Promise<true> =>
    until(`${name}: ${message}`, () =>
      Promise.resolve(
        running()
          .service()
          .lines()
          .some((each) => each.csr === name && each.message === message),
      ),
    );
  const serving = async (node: string, dns: string): Promise<string> =>
    scene.ask(await scene.node(node), node, { ...SERVING, parts: { dns: [dns], ips: ['10.20.0.9'] } });

  for (const [who, node, name, reason] of [
    ['the API server, by being called so', 'api.example.internal', 'api.example.internal', 'DnsNameReserved'],
    ['the API server, by a name with a suffix', 'api', 'api.example.internal', 'DnsNameReserved'],
    ["the API server's Service", 'kubernetes.default.svc', 'kubernetes.default.svc', 'DnsNameReserved'],
    ['another Service', 'db.shop.svc.cluster.local', 'db.shop.svc.cluster.local', 'DnsNameReserved'],
    [
      'another node, by its name with a suffix',
      'web-1.example.internal',
      'web-1.example.internal',
      'DnsNameOfOtherNode',
    ],
  ] as const) {
    it(`a node cannot pass for ${who}: ${reason}`, async () => {
      const refused = await serving(node, name);
      expect(await scene.reasonOf(refused)).to.equal(reason);
      await scene.issued(await serving('web-1', 'web-1.example.internal'));
      expect(await scene.isUntouched(refused)).to.equal(true);
    });
  }

  it('whoever used a token beside its node cannot go on unseen: a conflict is told when both renew', async () => {
    const { kubeconfig: bootstrapKubeconfig } = await tokenClient(running().controlPlane, {
      kind: 'node',
      node: 'web-7',
    });
    const [honest, thief] = ['honest', 'thief'].map(
      (who) =>
        new KubeletStandIn({
          name: 'web-7',
          ips: ['10.20.0.7'],
          bootstrapKubeconfig,
          dir: running().supervisor.folder(who),
        }),
    );
    await honest?.bootstrap();
    await thief?.bootstrap();
    await until(
      'the conflict is told',
      async () => {
        await honest?.renew();
        await thief?.renew();
        return (
          (await running().service().metric('kubelet_bootstrap_remarks_total', { code: 'CredentialConflict' })) > 0
        );
      },
      1_000,
    );
  });

  it('whoever edits a CSR cannot have it denied, and whoever approves it then cannot have it fail', async () => {
    await scene.beat('web-1', 0);
    const name = await scene.ask(await scene.holder({ kind: 'node', node: 'web-1' }), 'web-1');
    expect(await scene.reasonOf(name)).to.equal('NodeIsLive');
    const csr = (await scene.admin.must('GET', path(name))) as { metadata: object };
    const annotations = { note: 'A'.repeat(20_000) };
    await scene.admin.must('PUT', path(name), { ...csr, metadata: { ...csr.metadata, annotations } });
    const about = (): readonly { reason?: string }[] =>
      running()
        .service()
        .lines()
        .filter((each) => each.csr === name && each.verdict !== undefined);
    await until('it is judged as it is now', () =>
      Promise.resolve(about().some(({ reason }) => reason === 'MetadataTooLarge')),
    );
    expect(await scene.isUntouched(name)).to.equal(true);
    await decide(name, 'Approved');
    await line(name, 'approved CSR not signed');
    expect((await scene.one(name)).status.conditions?.map(({ type }) => type)).to.deep.equal(['Approved']);
  });

  it('whoever approves a CSR cannot have it deleted by the times that he writes', async () => {
    const kept = await scene.ask(await scene.holder({ kind: 'pool', pool: 'web' }), 'db-1');
    expect(await scene.reasonOf(kept)).to.equal('NodeNameNotInPool');
    await decide(kept, 'Approved', '2001-01-01T00:00:00Z');
    const gone = await scene.ask(await scene.holder({ kind: 'pool', pool: 'web' }), 'db-2');
    await scene.reasonOf(gone);
    await decide(gone, 'Denied');
    await line(gone, 'CSR removed');
    expect((await scene.one(kept)).status.conditions?.map(({ type }) => type)).to.deep.equal(['Approved']);
  });
});
