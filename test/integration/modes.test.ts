import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { after, afterEach, describe, it } from 'mocha';
import type { HttpsClient } from '../../scripts/servers/https-client.ts';
import { type LogLine, runProgram } from '../../scripts/servers/service.ts';
import { buildCsrPem } from '../support/csr-builder.ts';
import { csrBody, CSRS, type SeenCsr, removeCsrs, seenCsrs, tokenClient, until } from '../support/crowd.ts';
import { banNode } from '../attacks/ban.ts';
import { requireService } from '../support/running-service.ts';

const EVENTS = '/apis/events.k8s.io/v1/namespaces/default/events';

describe('modes, on the real API server', function () {
  this.timeout(120_000);
  const running = requireService({ serving: { addressRanges: ['10.20.0.0/16'] } }, false);
  after(() => removeCsrs(running().controlPlane, 'csr-mode-'));
  const admin = (): HttpsClient => running().controlPlane.admin;
  afterEach('end the service', () => running().service().stop());

  const lineOf = (name: string, wanted: Partial<LogLine>): Promise<LogLine> =>
    until(`${name}: ${JSON.stringify(wanted)}`, () =>
      Promise.resolve(
        running()
          .service()
          .lines()
          .find(
            (line) =>
              line.csr === name && Object.entries(wanted).every(([key, value]) => Reflect.get(line, key) === value),
          ),
      ),
    );
  const one = async (name: string): Promise<SeenCsr & { metadata: { resourceVersion: string } }> =>
    (await admin().must('GET', `${CSRS}/${name}`)) as SeenCsr & { metadata: { resourceVersion: string } };
  async function create(node: string, organization = 'system:nodes'): Promise<string> {
    const { client } = await tokenClient(running().controlPlane, { kind: 'node', node });
    const request = buildCsrPem({ commonName: `system:node:${node}`, organization });
    await client.must('POST', CSRS, csrBody(`csr-${node}`, request));
    await client.close();
    return `csr-${node}`;
  }
  async function approve(name: string): Promise<void> {
    const condition = { type: 'Approved', status: 'True', reason: 'ByAnAdmin', message: '' };
    await admin().must('PUT', `${CSRS}/${name}/approval`, {
      ...(await one(name)),
      status: { conditions: [condition] },
    });
  }

  it('observe writes nothing to any CSR, and says what it would have done', async () => {
    const good = await create('mode-1');
    const bad = await create('mode-2', 'system:masters');
    const before = await Promise.all([good, bad].map(one));
    await running().start({
      mode: 'observe',
      approver: { onViolation: 'deny' },
      cleaner: { interval: '1s', retention: { pending: '0s' } },
    });
    await lineOf(good, { message: 'CSR would be approved', reason: 'BootstrapApproved' });
    await lineOf(bad, { message: 'CSR would be denied', reason: 'OrganizationNotSystemNodes' });
    const labels = { verdict: 'deny', reason: 'OrganizationNotSystemNodes' };
    expect(await running().service().metric('kubelet_bootstrap_decisions_total', labels)).to.equal(1);
    await until('the cleaner had its turn', () =>
      Promise.resolve(running().service().log().includes('CSR would be removed (dry run)')),
    );
    const after = await Promise.all([good, bad].map(one));
    expect(after).to.deep.equal(before);
    const { items } = (await admin().must('GET', EVENTS)) as { items: { regarding: { name: string } }[] };
    expect(items.filter(({ regarding }) => [good, bad].includes(regarding.name))).to.deep.equal([]);
  });

  it('approve-only approves and leaves signing to somebody else, without a CA', async () => {
    await running().start({ mode: 'approve-only', signer: {} });
    const name = await create('mode-3');
    await lineOf(name, { message: 'CSR approved' });
    const { status } = await one(name);
    expect(status.conditions?.map(({ type, reason }) => [type, reason])).to.deep.equal([
      ['Approved', 'BootstrapApproved'],
    ]);
    expect(status.certificate).to.equal(undefined);
  });

  it('sign-only decides on nothing, signs what an admin approved, and refuses a foreign organisation', async () => {
    await running().start({ mode: 'sign-only' });
    const [good, bad] = [await create('mode-4'), await create('mode-5', 'system:masters')];
    await approve(good);
    await approve(bad);
    const { status } = await until('it is issued', async () => {
      const [csr] = await seenCsrs(running().controlPlane, good);
      return (csr?.status.certificate ?? '') === '' ? undefined : csr;
    });
    const certificate = new X509Certificate(Buffer.from(status.certificate ?? '', 'base64'));
    expect(certificate.subject).to.equal('O=system:nodes\nCN=system:node:mode-4');
    await until('the other one is Failed', async () => {
      const conditions = (await one(bad)).status.conditions ?? [];
      return conditions.some(({ type, reason }) => type === 'Failed' && reason === 'OrganizationNotSystemNodes');
    });
    const waiting = await create('mode-6');
    expect((await one(waiting)).status.conditions).to.equal(undefined);
  });

  it('sign-only signs nothing for a node that is banned, whoever approved', async () => {
    await banNode(admin(), 'mode-7');
    await running().start({ mode: 'sign-only' });
    const [banned, honest] = [await create('mode-7'), await create('mode-8')];
    await approve(banned);
    await approve(honest);
    await lineOf(honest, { message: 'certificate issued' });
    await lineOf(banned, { message: 'approved CSR not signed', reason: 'NodeBanned' });
    expect((await one(banned)).status.certificate).to.equal(undefined);
    const explained = await runProgram(
      'kubelet-bootstrap',
      ['explain', banned, '-o', 'json', '--config', running().service().configFile],
      { KUBECONFIG: running().controlPlane.adminKubeconfig },
    );
    const { reason, checks, facts } = JSON.parse(explained.stdout) as {
      reason: string;
      checks: { name: string; violations: unknown[] }[];
      facts: { record: { bannedSince?: string } };
    };
    expect([reason, checks.filter(({ violations }) => violations.length > 0).map(({ name }) => name)]).to.deep.equal([
      'NodeBanned',
      ['node not banned'],
    ]);
    expect(checks.map(({ name }) => name)).to.not.include('token binding');
    expect(facts.record.bannedSince).to.match(/^\d{4}-/);
  });
});
