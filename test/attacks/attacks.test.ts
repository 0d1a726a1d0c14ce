/**
 * The attacks A1 to A36 that an approver and signer can meet, each on the real API server by who would make it, and beside
 * it the honest request that must pass. Who defends against the others stands in `ELSEWHERE`.
 */
import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import type { HttpsClient } from '../../scripts/servers/https-client.ts';
import { buildCsrPem, csrExtension, generalName, rdn } from '../support/csr-builder.ts';
import { CSRS, removeCsrs, until } from '../support/crowd.ts';
import { KubeletStandIn } from '../support/kubelet-stand-in.ts';
import { requireService } from '../support/running-service.ts';
import { OID } from '../../src/pki/oids.ts';
import { sequence } from '../../src/pki/der-writer.ts';
import { tokenClient } from '../support/crowd.ts';
import { banNode } from './ban.ts';
import { Scene, SERVING } from './scene.ts';

const HOUR = 3_600_000;

/** Attacks that another part has to meet, and where that is shown. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  A1: 'a pod reads the credential from user-data: a wrapped one is good once, test/integration/delivery-wrapped.test.ts',
  A2: 'the same through a host agent: network policy of the cluster',
  A8: 'a token in the history of KV: test/integration/token-cleaner.test.ts, every version is destroyed',
  A13: 'poisoned DNS: no lookup is made anywhere',
  A20: 'a stolen service account: test/integration/manifests-rights.test.ts, two signers and no more',
  A27: 'replay of an attestation: there is none; tokens are of one use',
  A28: 'names by session or cloud tag: there are none',
  A29: 'the serving certificate of a node that is gone: short lives; the API server checks the name (KEP-4872)',
  A30: 'a bootstrap token used for more than CSRs: RBAC of the cluster, told by `doctor`',
  A31: "another node's path in Vault: test/integration/vault-policies.test.ts",
  A32: 'a fake Vault: test/scripts/cloud-init.test.ts, one pinned CA and no http',
  A33: 'an edited Vault role: every certificate is held against its plan, test/pki/certificate-check.test.ts',
};
const MET = new Set<string>();

describe('attacks on the real API server', function () {
  this.timeout(120_000);
  const running = requireService({
    pools: { web: { nodeNames: 'web-.*' }, plane: { nodeNames: '.*cp-[0-9]+' } },
    controlPlane: { nodeNames: 'cp-[0-9]+' },
    serving: { addressRanges: ['10.20.0.0/16'] },
  });
  const scene = new Scene(running);
  const exact = (node: string): Promise<HttpsClient> => scene.holder({ kind: 'node', node });
  const ofPool = (pool: string): Promise<HttpsClient> => scene.holder({ kind: 'pool', pool });

  /** `attack` answers the CSR that must be refused for `reason`, `honest` the one beside it that must be issued. */
  function meets(
    id: string,
    what: string,
    reason: string,
    attack: () => Promise<string>,
    honest: () => Promise<string>,
  ): void {
    MET.add(id);
    it(`${id}: ${what} waits, ${reason}`, async () => {
      const refused = await attack();
      expect(await scene.reasonOf(refused)).to.equal(reason);
      const passed = await honest();
      await scene.issued(passed);
      expect(await scene.isUntouched(refused)).to.equal(true);
    });
  }
  const firstOf = async (node: string, asked: Parameters<Scene['ask']>[2] = {}): Promise<string> =>
    scene.ask(await exact(node), node, asked);
  const servingOf = async (node: string, dns: readonly string[], ips: readonly string[]): Promise<string> =>
    scene.ask(await scene.node(node), node, { ...SERVING, parts: { dns, ips } });

  after(async () => {
    for (const prefix of ['attack-', 'aaa-', 'a-']) await removeCsrs(running().controlPlane, prefix);
  });

  before(async () => {
    for (const node of ['a-live', 'a-serving', 'a-other', 'a-thief']) await scene.register(node);
    await scene.beat('a-live', 0);
  });

  meets(
    'A3',
    'a valid token for an arbitrary node name',
    'TokenBoundToOtherNode',
    async () => scene.ask(await exact('a-1'), 'a-2'),
    () => firstOf('a-1'),
  );
  meets(
    'A4',
    "the name of a control-plane node with a pool's token",
    'ControlPlaneName',
    async () => scene.ask(await ofPool('plane'), 'cp-1'),
    () => firstOf('cp-1'),
  );
  meets(
    'A5',
    'a certificate for a node that is there and alive',
    'NodeIsLive',
    () => firstOf('a-live'),
    () => firstOf('a-new'),
  );
  meets(
    'A6',
    'waiting until the victim is stale, with a request from before',
    'NodeIsLive',
    async () => {
      await scene.register('a-waited');
      await scene.beat('a-waited', 0);
      const name = await firstOf('a-waited');
      await scene.reasonOf(name);
      await scene.beat('a-waited', 2 * HOUR);
      return name;
    },
    async () => {
      await scene.register('a-stale');
      await scene.beat('a-stale', 2 * HOUR);
      return firstOf('a-stale');
    },
  );
  meets(
    'A7',
    'a token that was used, by somebody else who has it',
    'TokenSpent',
    async () => {
      const { kubeconfig, client } = await tokenClient(running().controlPlane, { kind: 'node', node: 'a-used' });
      const dir = running().supervisor.folder('a-used');
      const kubelet = new KubeletStandIn({ name: 'a-used', ips: ['10.20.7.7'], bootstrapKubeconfig: kubeconfig, dir });
      await kubelet.bootstrap();
      await kubelet.requestServing();
      return scene.ask(client, 'a-used');
    },
    async () => {
      const client = await exact('a-again');
      await scene.issued(await scene.ask(client, 'a-again'));
      return scene.ask(client, 'a-again');
    },
  );
  meets(
    'A9',
    "a serving certificate for the API server's Service",
    'AddressReserved',
    () => servingOf('a-serving', [], ['10.96.0.1']),
    () => servingOf('a-serving', [], ['10.20.0.1']),
  );
  meets(
    'A10',
    'an address that the node wrote into its own status',
    'IpAddressOutOfRange',
    async () => {
      const client = await scene.node('a-other');
      const status = { addresses: [{ type: 'InternalIP', address: '192.0.2.7' }] };
      const node = (await client.must('GET', '/api/v1/nodes/a-other')) as object;
      await client.must('PUT', '/api/v1/nodes/a-other/status', { ...node, status });
      return servingOf('a-other', [], ['192.0.2.7']);
    },
    () => servingOf('a-other', [], ['10.20.0.2']),
  );
  for (const [what, name, reason] of [
    ['a longer name that begins with its own', 'a-serving0', 'DnsNameNotOfNode'],
    ['a wildcard', '*.a-serving', 'SanMalformed'],
    ['upper case', 'A-serving', 'SanMalformed'],
    ['a trailing dot', 'a-serving.', 'SanMalformed'],
  ] as const) {
    meets(
      'A11',
      what,
      reason,
      () => servingOf('a-serving', [name], []),
      () => servingOf('a-serving', ['a-serving'], []),
    );
  }
  meets(
    'A12',
    'addresses without a name, which would skip checks of names',
    'IpAddressOutOfRange',
    () => servingOf('a-serving', [], ['10.21.0.1']),
    () => servingOf('a-serving', [], ['10.20.0.1']),
  );
  meets(
    'A16',
    'a second organisation smuggled to the signer',
    'SubjectMalformed',
    () => {
      const names = [rdn(OID.organization, 'system:nodes'), rdn(OID.organization, 'system:masters')];
      const subjectDer = sequence(...names, rdn(OID.commonName, 'system:node:a-16'));
      return firstOf('a-16', { parts: { subjectDer } });
    },
    () => firstOf('a-16'),
  );
  meets(
    'A16',
    'a CA extension smuggled to the signer',
    'ExtensionNotAllowed',
    () =>
      firstOf('a-16b', { parts: { extensionsDer: [csrExtension('2.5.29.19', sequence(Uint8Array.of(1, 1, 0xff)))] } }),
    () => firstOf('a-16b'),
  );
  meets(
    'A17',
    'a second PEM block behind a good one',
    'PemMalformed',
    () => firstOf('a-17', { pem: buildCsrPem({ commonName: 'system:node:a-17' }).repeat(2) }),
    () => firstOf('a-17'),
  );
  meets(
    'A18',
    'client auth in a serving certificate',
    'UsagesNotExact',
    async () =>
      scene.ask(await scene.node('a-serving'), 'a-serving', {
        ...SERVING,
        usages: [...SERVING.usages, 'client auth'],
        parts: { dns: ['a-serving'] },
      }),
    () => servingOf('a-serving', ['a-serving'], []),
  );
  meets(
    'A18',
    'a life of a hundred years',
    'DurationTooLong',
    () => firstOf('a-18', { expirationSeconds: 2_147_483_647 }),
    () => firstOf('a-18', { expirationSeconds: 3_600 }),
  );
  meets(
    'A21',
    "a request under a name that an admin's tool would make",
    'TokenBoundToOtherNode',
    async () => {
      await scene.askAs('a-victim', await exact('a-attacker'), 'a-victim');
      return 'a-victim';
    },
    () => firstOf('a-21'),
  );
  meets(
    'A24',
    'a megabyte of padding',
    'RequestTooLarge',
    () => firstOf('a-24', { pem: buildCsrPem({ commonName: 'system:node:a-24' }) + '\n'.repeat(1_000_000) }),
    () => firstOf('a-24'),
  );
  meets(
    'A26',
    "a stolen node's certificate, once the theft is known",
    'NodeBanned',
    async () => {
      await banNode(scene.admin, 'a-thief');
      const thief = await scene.node('a-thief');
      return until('the service knows of the ban', async () => {
        const name = await scene.ask(thief, 'a-thief');
        return (await scene.reasonOf(name)) === 'NodeBanned' ? name : undefined;
      });
    },
    async () => scene.ask(await scene.node('a-serving'), 'a-serving'),
  );
  meets(
    'A34',
    "a worker's credential for an administrator",
    'OrganizationNotSystemNodes',
    () => firstOf('a-34', { parts: { organization: 'system:masters' } }),
    () => firstOf('a-34'),
  );
  meets(
    'A34',
    'an e-mail name in a client certificate',
    'SanKindNotAllowed',
    () => firstOf('a-34b', { parts: { moreNamesDer: [generalName(1, 'root@example.org')] } }),
    () => firstOf('a-34b'),
  );

  MET.add('A14');
  it('A14: a node that asks for another is stopped by the API server, and by the policy where that is not', async () => {
    const client = await scene.node('a-serving');
    const error = await scene.ask(client, 'a-victim').catch((thrown: unknown) => String(thrown));
    expect(error).to.include('can only create a node CSR with CN=system:node:a-serving');
  });

  MET.add('A15');
  it('A15: a request to a signer of other certificates is never decided on', async () => {
    const client = await scene.node('a-serving');
    const name = await scene.ask(client, 'a-serving', { signerName: 'kubernetes.io/kube-apiserver-client' });
    await scene.issued(await scene.ask(client, 'a-serving'));
    expect(await scene.isUntouched(name)).to.equal(true);
  });

  MET.add('A19');
  it('A19: what a rival approves against the rules is not signed', async () => {
    const name = await scene.ask(await exact('a-19'), 'a-19-victim');
    await scene.reasonOf(name);
    const csr = (await scene.admin.must('GET', `${CSRS}/${name}`)) as object;
    const approved = { type: 'Approved', status: 'True', reason: 'AutoApproved', message: '' };
    await scene.admin.must('PUT', `${CSRS}/${name}/approval`, { ...csr, status: { conditions: [approved] } });
    await until('it is withheld', () =>
      Promise.resolve(
        running()
          .service()
          .lines()
          .some((line) => line.csr === name && line.message === 'approved CSR not signed'),
      ),
    );
    expect((await scene.one(name)).status.certificate).to.equal(undefined);
  });

  MET.add('A22');
  it('A22: a CSR that is deleted and made anew under its name is judged anew', async () => {
    const client = await exact('a-22');
    await scene.askAs('a-swapped', client, 'a-22');
    await scene.issued('a-swapped');
    await scene.admin.must('DELETE', `${CSRS}/a-swapped`);
    await scene.askAs('a-swapped', client, 'a-22-victim');
    await until('it is refused', () =>
      Promise.resolve(
        running()
          .service()
          .lines()
          .some(({ csr, reason }) => csr === 'a-swapped' && reason === 'TokenBoundToOtherNode'),
      ),
    );
    expect(await scene.isUntouched('a-swapped')).to.equal(true);
  });

  MET.add('A23');
  MET.add('A25');
  it('A23, A25: a flood of one identity, first in every order, holds nobody else up', async () => {
    const noisy = await exact('a-noisy');
    for (let number = 0; number < 200; number += 1) await scene.askAs(`aaa-${number}`, noisy, `a-victim-${number}`);
    const started = running().service().lines().length;
    await scene.issued(await firstOf('a-quiet'));
    const since = running()
      .service()
      .lines()
      .slice(started)
      .filter(({ csr }) => csr?.startsWith('aaa-') === true);
    expect(since.length).to.be.below(200);
  });

  MET.add('A35');
  it('A35: no token secret, and no key, stands in anything that the service wrote', async () => {
    const log = running().service().log() + (await running().service().ops('/metrics')).body;
    expect(log).to.not.match(/\b[a-z0-9]{6}\.[a-z0-9]{16}\b/);
    expect(log).to.not.include('PRIVATE KEY');
    expect(scene.tokens.length).to.be.greaterThan(10);
  });

  MET.add('A36');
  it('A36: a certificate is good five minutes before it was made, for clocks that are behind', async () => {
    const before = Date.now();
    const { validFromDate } = new X509Certificate(await scene.issued(await firstOf('a-36')));
    expect(validFromDate.getTime()).to.be.within(before - 302_000, Date.now() - 298_000);
  });

  it('meets every attack, or says who does', () => {
    const all = Array.from({ length: 36 }, (_, index) => `A${index + 1}`);
    expect([...MET, ...Object.keys(ELSEWHERE)].toSorted()).to.deep.equal(all.toSorted());
  });
});
