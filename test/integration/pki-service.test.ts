import { createSecureContext } from 'node:tls';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { after, afterEach, before, describe, it } from 'mocha';
import type { CertificateKind } from '../../src/pki/certificate-plan.ts';
import { buildCsrPem, testAuthority } from '../support/csr-builder.ts';
import { csrBody, CSRS, removeCsrs, type SeenCsr, tokenClient, until } from '../support/crowd.ts';
import { KubeletStandIn } from '../support/kubelet-stand-in.ts';
import { ISSUER, PkiEngine, ROLES } from '../../scripts/servers/pki-engine.ts';
import { runProgram } from '../../scripts/servers/service.ts';
import { nodesAreKnown, requireService } from '../support/running-service.ts';

const MOUNT = 'service-pki';
const DAY = 24 * 3_600_000;
const EVENTS = '/apis/events.k8s.io/v1/namespaces/default/events';
const NOT_AS_PLANNED = 'kubelet_bootstrap_certificates_not_as_planned_total';
const HELD = 'kubelet_bootstrap_signer_held';

describe('the service with the PKI engine as its backend, on real servers', function () {
  this.timeout(120_000);
  const lifetime = { client: '24h', serving: '24h' };
  const config = (refresh: string): Record<string, unknown> => ({
    signer: { lifetime, ca: { pki: { mount: MOUNT, issuer: ISSUER }, refresh } },
  });
  // Between two canaries a spoiled role is noticed by the comparison of each certificate alone.
  const running = requireService(config('1h'), false);
  let engine: PkiEngine;
  let bundle = '';
  const dir = mkdtempSync(join(tmpdir(), 'pki-service-'));
  const kubelets: KubeletStandIn[] = [];

  before('set up the engine with the CA of the cluster, and start the service', async () => {
    const { controlPlane, openBao } = running();
    bundle = readFileSync(controlPlane.caFile, 'utf8') + readFileSync(controlPlane.caKeyFile, 'utf8');
    engine = new PkiEngine(openBao, MOUNT, DAY);
    await engine.setUp(bundle);
    await running().start();
  });
  afterEach('mend the roles', () => engine.setUp(bundle));
  after('remove everything', async () => {
    await removeCsrs(running().controlPlane, 'csr-pki-');
    await Promise.all(kubelets.map((kubelet) => kubelet.close()));
    await engine.remove();
    rmSync(dir, { recursive: true });
  });

  async function joined(name: string, octet: number): Promise<KubeletStandIn> {
    const { kubeconfig, client } = await tokenClient(running().controlPlane, { kind: 'node', node: name });
    await client.close();
    const ips = [`10.30.77.${octet}`, `fd00::77:${octet}`];
    const kubelet = new KubeletStandIn({ name, ips, bootstrapKubeconfig: kubeconfig, dir: join(dir, name) });
    kubelets.push(kubelet);
    await kubelet.bootstrap();
    await kubelet.register();
    return kubelet;
  }

  it('a node joins, renews and gets a serving certificate, all of which the API server accepts', async () => {
    const kubelet = await joined('pki-1', 1);
    await nodesAreKnown(running());
    const renewed = await kubelet.renew();
    // With the new certificate: who is refused cannot renew a Lease.
    await kubelet.renewLease();
    const serving = await kubelet.requestServing();
    const certificate = new X509Certificate(serving.certificate);
    expect(certificate.checkHost('pki-1')).to.equal('pki-1');
    expect(certificate.checkIP('fd00::77:1')).to.equal('fd00::77:1');
    expect(certificate.verify(new X509Certificate(running().controlPlane.ca.certificate).publicKey)).to.equal(true);
    for (const pair of [renewed, serving]) createSecureContext({ cert: pair.certificate, key: pair.key });
    expect(await running().service().metric(HELD)).to.equal(0);
  });

  async function toldByEvent(wanted: string, said: RegExp): Promise<void> {
    await until(`${wanted} is told by Event`, async () => {
      const { admin } = running().controlPlane;
      const { items } = (await admin.must('GET', EVENTS)) as { items: { reason: string; note: string }[] };
      return items.some(({ reason, note }) => reason === wanted && said.test(note));
    });
  }

  interface Spoiler {
    readonly title: string;
    readonly kind: CertificateKind;
    readonly spoil: () => Promise<void>;
    readonly restore?: () => Promise<void>;
    readonly difference: RegExp;
  }
  let issuerId = '';
  const spoilers: readonly Spoiler[] = [
    {
      title: 'adds client auth to serving certificates',
      kind: 'serving',
      spoil: () => engine.spoil('serving', { client_flag: true }),
      difference: /extension 2\.5\.29\.37/,
    },
    {
      title: 'rewrites the subject',
      kind: 'client',
      spoil: () => engine.spoil('client', { organization: ['system:masters'] }),
      difference: /subject is/,
    },
    {
      title: 'clamps the lifetime',
      kind: 'client',
      spoil: () => engine.spoil('client', { ttl: '1h', max_ttl: '1h' }),
      difference: /notAfter is/,
    },
    {
      title: 'signs with another CA',
      kind: 'client',
      spoil: async () => {
        const other = await testAuthority('P-256', { subject: 'CN=local cluster CA' });
        issuerId = await engine.issuerId();
        await engine.root('POST', `issuer/${issuerId}`, { issuer_name: 'former', usage: 'read-only' });
        await engine.setUp(other.certPem + other.keyPem);
      },
      restore: async () => {
        const id = await engine.issuerId();
        await engine.root('POST', `issuer/${id}`, { issuer_name: 'impostor', usage: 'read-only,issuing-certificates' });
        const usage = 'read-only,issuing-certificates';
        await engine.root('POST', `issuer/${issuerId}`, { issuer_name: ISSUER, usage });
      },
      difference: /2\.5\.29\.35|the signature is not that of the CA|issuer/,
    },
  ];

  for (const [index, { title, kind, spoil, restore, difference }] of spoilers.entries()) {
    it(`one that ${title}: dropped, alarmed by metric, log and Event, held and never Failed, signed when mended`, async () => {
      const { controlPlane } = running();
      const node = `pki-spoiled-${index}`;
      const name = `csr-${node}`;
      const serves = kind === 'serving';
      const kubelet = serves ? await joined(node, 100 + index) : undefined;
      if (kubelet !== undefined) await nodesAreKnown(running());
      const { client } = await tokenClient(controlPlane, { kind: 'node', node });
      const counted = (): Promise<number> =>
        running()
          .service()
          .metric(NOT_AS_PLANNED, { signer: serves ? 'serving' : 'client' });
      const before = await counted();
      await spoil();
      const request = serves
        ? kubelet?.requestServing()
        : client.must('POST', CSRS, csrBody(name, buildCsrPem({ commonName: `system:node:${node}` })));
      if (!serves) await request;
      await until('a certificate was thrown away', async () => (await counted()) > before);
      // The first one of a kubelet is that for its client certificate.
      const csrName = serves ? await until('the kubelet asked', () => Promise.resolve(kubelet?.csrs[1])) : name;
      const csr = (await controlPlane.admin.must('GET', `${CSRS}/${csrName}`)) as SeenCsr;
      expect(csr.status.certificate).to.equal(undefined);
      expect(csr.status.conditions?.map(({ type }) => type)).to.deep.equal(['Approved']);
      const log = running().service().log();
      expect(log)
        .to.match(/certificate differs from its plan: thrown away/)
        .and.to.match(difference);
      await toldByEvent('CertificateNotAsPlanned', /approved, and not signed for now: certificate of .* differs from/);
      await (restore?.() ?? engine.setUp(bundle));
      await until('it is signed', async () => {
        const { status } = (await controlPlane.admin.must('GET', `${CSRS}/${csrName}`)) as SeenCsr;
        return status.certificate !== undefined;
      });
      await request;
      await client.close();
    });
  }

  it('doctor finds nothing wrong with the CA and the rights for it, and names a role that is missing', async () => {
    const { adminKubeconfig } = running().controlPlane;
    const args = ['doctor', '--config', running().service().configFile, '--kubeconfig', adminKubeconfig, '-o', 'json'];
    const findings = async (): Promise<{ code: string; found: string }[]> => {
      const { stdout } = await runProgram('kubelet-bootstrap', args);
      const report = JSON.parse(stdout) as { findings: { code: string; found: string }[] };
      return report.findings.filter(({ code }) => /^(SigningCa|VaultRightMissing|VaultUnusable)/.test(code));
    };
    expect(await findings()).to.deep.equal([]);
    await engine.root('DELETE', `roles/${ROLES.get('serving')}`);
    const [found, ...others] = await findings();
    expect(others).to.deep.equal([]);
    expect(found?.code).to.equal('SigningCaUnusable');
    expect(found?.found).to.match(/RoleMissing: .*kubelet-serving/);
  });

  it('a role that is wrong at the start: in readyz, log, Event and metric by name; held, and the other kinds are signed', async () => {
    const { controlPlane } = running();
    await running().service().stop();
    await engine.root('DELETE', `roles/${ROLES.get('client')}`);
    const service = await running().start(config('1s'), false);
    const { body } = await until('it is not ready, for this alone', async () => {
      const answer = await service.ops('/readyz');
      return answer.status === 503 && /RoleMissing/.test(answer.body) ? answer : undefined;
    });
    expect(body).to.match(/authority.*RoleMissing.*kubelet-client/);
    expect(await service.metric(HELD)).to.equal(1);
    expect(service.log()).to.match(/certificates cannot be signed, of some kind at least/);
    const node = 'pki-late';
    const { client } = await tokenClient(controlPlane, { kind: 'node', node });
    await client.must('POST', CSRS, csrBody(`csr-${node}`, buildCsrPem({ commonName: `system:node:${node}` })));
    const enciphers = 'pki-enciphers';
    const other = await tokenClient(controlPlane, { kind: 'node', node: enciphers });
    const usages = ['digital signature', 'key encipherment', 'client auth'];
    const request = buildCsrPem({ commonName: `system:node:${enciphers}`, key: 'RSA-2048' });
    await other.client.must('POST', CSRS, csrBody(`csr-${enciphers}`, request, { usages }));
    const statusOf = async (csr: string): Promise<SeenCsr['status']> =>
      ((await controlPlane.admin.must('GET', `${CSRS}/${csr}`)) as SeenCsr).status;
    await until('the other kind is signed', async () => (await statusOf(`csr-${enciphers}`)).certificate !== undefined);
    await toldByEvent('SignerUnavailable', /RoleMissing/);
    expect((await statusOf(`csr-${node}`)).conditions?.map(({ type }) => type)).to.deep.equal(['Approved']);
    await engine.setUp(bundle);
    await until('it is signed', async () => (await statusOf(`csr-${node}`)).certificate !== undefined);
    await until('nothing is held', async () => (await service.metric(HELD)) === 0);
    expect((await service.ops('/readyz')).status).to.equal(200);
    await Promise.all([client.close(), other.client.close()]);
  });
});
