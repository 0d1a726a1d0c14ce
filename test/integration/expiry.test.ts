import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { stringify } from 'yaml';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { type ControlPlane, startControlPlane } from '../../scripts/servers/control-plane.ts';
import { runCommand } from '../../scripts/servers/long-step.ts';
import { type OpenBao, startOpenBao } from '../../scripts/servers/openbao.ts';
import { newSupervisor } from '../../scripts/servers/servers.ts';
import { configFor, runProgram, type Service, startService } from '../../scripts/servers/service.ts';
import { accountKubeconfig, applyManifests } from '../../scripts/servers/service-account.ts';
import type { Supervisor } from '../../scripts/servers/supervisor.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { VaultSession } from '../../src/vault/auth.ts';
import { VaultClient } from '../../src/vault/client.ts';
import { vaultSecretId } from '../../src/vault/expiring.ts';
import { appRole } from '../../src/vault/login-methods.ts';
import { never } from '../kubernetes/fixture.ts';
import { until } from '../support/crowd.ts';
import {
  API_SERVICES,
  apiService,
  convertingDefinition,
  DEFINITIONS,
  MUTATING,
  selfMade,
  webhookConfiguration,
  WEBHOOKS,
} from '../support/expiring.ts';
import { requireServers } from '../support/servers.ts';

const BASE = join(import.meta.dirname, '../../manifests/base');
const POLICY = readFileSync(join(BASE, '../vault/service.hcl'), 'utf8');
const EVENTS = '/apis/events.k8s.io/v1/namespaces/default/events';

interface Report {
  readonly code: number;
  readonly worst: string;
  readonly things: readonly {
    readonly kind: string;
    readonly name: string;
    readonly level: string;
    readonly secondsLeft: number | null;
    readonly detail: string;
  }[];
}

interface WireEvent {
  readonly reason: string;
  readonly note: string;
  readonly regarding: { readonly kind: string; readonly name: string; readonly uid?: string };
}

describe('what expires, on a real API server and a real OpenBao', function () {
  this.timeout(120_000);
  requireServers(); // So that no build falls into the times of the tests, and where none can run they are skipped.
  let supervisor: Supervisor;
  let plane: ControlPlane;
  let bao: OpenBao;
  let account: string;
  let service: Service;
  let config: Record<string, unknown>;

  before('a cluster of its own, with what ends in it', async () => {
    supervisor = newSupervisor();
    const binaries = await findBinaries(['etcd', 'kube-apiserver', 'kubectl', 'bao']);
    plane = await startControlPlane(supervisor, { etcd: binaries.etcd, kubeApiserver: binaries['kube-apiserver'] });
    bao = await startOpenBao(supervisor, binaries.bao);
    const kubectl = (...args: string[]): Promise<string> =>
      runCommand({ command: binaries.kubectl, args: ['--kubeconfig', plane.adminKubeconfig, ...args] });
    await applyManifests(kubectl);
    account = await accountKubeconfig(plane, kubectl, 'expiry');
    await putThings();
    config = configFor({ controlPlane: plane, openBao: bao }, { vault: { auth: await loginByRole() } });
    service = await startService(supervisor, { name: 'expiry', kubeconfig: account, config });
  });
  after('end it', () => supervisor.stop());

  async function putThings(): Promise<void> {
    const [near, nearer, good, old] = await Promise.all(
      [10, 3, 300, -20].map(async (days) => (await selfMade(`of-${days}-days`, days)).certPem),
    );
    await plane.admin.must('POST', WEBHOOKS, webhookConfiguration('near', near ?? ''));
    await plane.admin.must('POST', WEBHOOKS, webhookConfiguration('garbage', 'rubbish', good ?? ''));
    await plane.admin.must('POST', MUTATING, webhookConfiguration('rotated', `${old}${good}`));
    await plane.admin.must('POST', DEFINITIONS, convertingDefinition('widgets', near ?? ''));
    await plane.admin.must('POST', API_SERVICES, apiService('metrics.example.org', nearer ?? ''));
    for (const [namespace, days] of [
      ['hooks', 10],
      ['private', 1],
    ] as const) {
      const { certPem, keyPem } = await selfMade(`served-in-${namespace}`, days);
      await plane.admin.must('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
      await plane.admin.must('POST', `/api/v1/namespaces/${namespace}/secrets`, {
        metadata: { name: 'serving' },
        type: 'kubernetes.io/tls',
        stringData: { 'tls.crt': certPem, 'tls.key': keyPem },
      });
    }
  }

  /** A login whose secret_id ends, with the right to look at that. */
  async function loginByRole(): Promise<Record<string, string>> {
    const role = 'auth/approle/role/kubelet-bootstrap';
    const look = `path "${role}/secret-id/lookup" {\n  capabilities = ["update"]\n}\n`;
    await bao.root('POST', 'sys/policies/acl/kubelet-bootstrap', { policy: POLICY + look });
    await bao.root('POST', 'sys/auth/approle', { type: 'approle' });
    await bao.root('POST', role, { token_policies: 'kubelet-bootstrap', token_ttl: '1h', secret_id_ttl: '240h' });
    const { data: id } = (await bao.root('GET', `${role}/role-id`)) as { data: { role_id: string } };
    const { data: secret } = (await bao.root('POST', `${role}/secret-id`, {})) as { data: { secret_id: string } };
    const [roleIdFile, secretIdFile] = ['role-id', 'secret-id'].map((name) => join(supervisor.dir, name));
    writeFileSync(roleIdFile ?? '', id.role_id);
    writeFileSync(secretIdFile ?? '', secret.secret_id, { mode: 0o600 });
    return { method: 'approle', roleIdFile: roleIdFile ?? '', secretIdFile: secretIdFile ?? '' };
  }

  async function report(
    changes: Readonly<Record<string, unknown>> = {},
    kubeconfig = account,
    args: readonly string[] = [],
  ): Promise<Report> {
    const file = join(supervisor.dir, 'expiry.yaml');
    writeFileSync(file, stringify({ ...config, ...changes }));
    const files = ['--config', file, '--kubeconfig', kubeconfig];
    const { code, stdout, stderr } = await runProgram('kubelet-bootstrap', ['expiry', '-o', 'json', ...files, ...args]);
    expect(stderr).to.equal('');
    return { code, ...(JSON.parse(stdout) as Omit<Report, 'code'>) };
  }
  const levels = ({ things }: Report, ...kinds: readonly string[]): Record<string, string> =>
    Object.fromEntries(
      things.filter(({ kind }) => kinds.includes(kind)).map(({ name, level }) => [name.replace(/ \w{8}$/, ''), level]),
    );
  async function eventsOf(kind: string, name: string): Promise<WireEvent[]> {
    const { items } = (await plane.admin.must('GET', EVENTS)) as { items: WireEvent[] };
    return items.filter(({ regarding }) => regarding.kind === kind && regarding.name === name);
  }

  it("names a webhook with a self-made certificate near its end weeks ahead, the talk's second incident", async () => {
    const labels = { kind: 'validating-webhook', name: 'near' };
    await until('the gauge knows it', async () => {
      const seconds = await service.metric('kubelet_bootstrap_expiry_seconds', labels);
      return seconds > 9 * 86_400 && seconds < 10 * 86_400;
    });
    await until(
      'its Event is there',
      async () => (await eventsOf('ValidatingWebhookConfiguration', 'near')).length > 0,
    );
    const [event, ...more] = await eventsOf('ValidatingWebhookConfiguration', 'near');
    expect(more).to.deep.equal([]);
    expect(event?.reason).to.equal('ExpiresSoon');
    expect(event?.note).to.match(/^validating-webhook near ends at 20.*, in 2\d\dh.*: CN=of-10-days$/);
    const { metadata } = (await plane.admin.must('GET', `${WEBHOOKS}/near`)) as { metadata: { uid: string } };
    expect(event?.regarding.uid).to.equal(metadata.uid);
    expect(
      service.lines().filter(({ message }) => message.startsWith('validating-webhook near ends at')),
    ).to.have.length(1);
    const told = await report();
    expect(levels(told, 'validating-webhook')['near']).to.equal('warning');
  });

  it('sees everything with the rights of the manifests and its own login, and ends with 11 for what is critical', async () => {
    const told = await report();
    expect(told).to.include({ code: 11, worst: 'error' });
    expect(told.things.filter(({ level }) => level === 'unreadable')).to.deep.equal([]);
    expect(levels(told, 'validating-webhook', 'mutating-webhook', 'conversion-webhook', 'api-service')).to.deep.equal({
      near: 'warning',
      garbage: 'unusable',
      'garbage/w1.garbage.example.org': 'ok',
      rotated: 'ok',
      'widgets.example.org': 'warning',
      'v1.metrics.example.org': 'critical',
    });
    expect(levels(told, 'signing-ca', 'client-ca')).to.deep.equal({ 'CN=local cluster CA': 'ok' });
    expect(levels(told, 'api-server', 'vault-server', 'vault-token', 'vault-secret-id')).to.deep.equal({
      [new URL(plane.server).host]: 'ok',
      [new URL(bao.address).host]: 'ok',
      login: 'ok',
      'auth/approle/role/kubelet-bootstrap': 'ok',
    });
    const left = told.things.filter(({ kind }) => kind.startsWith('vault-')).map(({ secondsLeft }) => secondsLeft ?? 0);
    expect(Math.min(...left)).to.be.within(3_000, 3_600);
    expect(told.things.map(({ secondsLeft }) => secondsLeft).filter((seconds) => seconds !== null)).to.satisfy(
      (seconds: number[]) => seconds.every((each, at) => at === 0 || each >= (seconds[at - 1] ?? 0)),
    );
  });

  it('tells of the one Event for each thing, on something that stands for it', async () => {
    await until('the API service has its Event', async () =>
      (await eventsOf('APIService', 'v1.metrics.example.org')).some(({ reason }) => reason === 'ExpiresVerySoon'),
    );
    const garbage = await until('the webhook has one', async () => {
      const events = await eventsOf('ValidatingWebhookConfiguration', 'garbage');
      return events.length > 0 && events;
    });
    expect(garbage.map(({ reason }) => reason)).to.deep.equal(['TrustUnusable']);
    expect(await eventsOf('MutatingWebhookConfiguration', 'rotated'), 'one good CA is enough').to.deep.equal([]);
    expect(await service.metric('kubelet_bootstrap_expiry_things', { level: 'critical' })).to.equal(1);
    expect(await service.metric('kubelet_bootstrap_expiry_things', { level: 'unreadable' })).to.equal(0);
    expect(await service.metric('kubelet_bootstrap_expiry_looked_timestamp_seconds')).to.be.greaterThan(1e9);
  });

  it('lists TLS Secrets where it is told to and may, and says where it may not', async () => {
    const expiry = { secretNamespaces: ['hooks', 'private', 'kube-system'] };
    await plane.admin.must('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/hooks/roles', {
      metadata: { name: 'expiry' },
      rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['list'] }],
    });
    await plane.admin.must('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/hooks/rolebindings', {
      metadata: { name: 'expiry' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'expiry' },
      subjects: [{ kind: 'ServiceAccount', namespace: 'kube-system', name: 'kubelet-bootstrap' }],
    });
    let told = await report({ expiry });
    await until('the right has reached the authorizer', async () => {
      told = await report({ expiry });
      return levels(told, 'tls-secret')['hooks/serving'] !== undefined;
    });
    expect(levels(told, 'tls-secret')).to.deep.equal({ 'hooks/serving': 'warning', 'private/*': 'unreadable' });
    expect(told.things.find(({ name }) => name === 'private/*')?.detail).to.include('forbidden');
    expect(levels(await report(), 'tls-secret'), 'nothing unless it is told to').to.deep.equal({});
  });

  it('says what it may not look at, and looks at the rest', async () => {
    const told = await report({}, plane.serviceKubeconfig);
    expect(levels(told, 'validating-webhook', 'mutating-webhook', 'conversion-webhook', 'api-service')).to.deep.equal({
      '*': 'unreadable',
    });
    expect(levels(told, 'client-ca')).to.deep.equal({ '*': 'unreadable' });
    expect(levels(told, 'api-server')).to.deep.equal({ [new URL(plane.server).host]: 'ok' });
    expect(told.code).to.equal(10);
  });

  it('looks at files and kubeconfigs, says which is not there, and shows alarms alone when asked', async () => {
    const file = join(supervisor.dir, 'served.pem');
    writeFileSync(file, (await selfMade('served', 2)).certPem);
    const expiry = { files: [file, '/not/there.pem'], kubeconfigs: [plane.adminKubeconfig] };
    const told = await report({ expiry }, account, ['--alarms']);
    expect(levels(told, 'file')).to.deep.equal({ [file]: 'critical', '/not/there.pem': 'unreadable' });
    expect(levels(told, 'kubeconfig')).to.deep.equal({});
    expect(levels(await report({ expiry }), 'kubeconfig')).to.include({
      [`${plane.adminKubeconfig} user local`]: 'ok',
      [`${plane.adminKubeconfig} cluster local`]: 'ok',
      [`${account} user local`]: 'ok',
    });
  });

  it('looks at the CA that follows, too, and says which of two cannot be used', async () => {
    const { certPem, keyPem } = await selfMade('following', 20);
    const [certificateFile, keyFile] = [join(supervisor.dir, 'next.crt'), join(supervisor.dir, 'next.key')];
    writeFileSync(certificateFile, certPem);
    writeFileSync(keyFile, keyPem, { mode: 0o600 });
    const own = { certificateFile: plane.caFile, keyFile: plane.caKeyFile };
    const both = await report({ signer: { ca: { ...own, next: { certificateFile, keyFile } } } });
    expect(levels(both, 'signing-ca')).to.deep.equal({
      'CN=local cluster CA': 'ok',
      'next: CN=following': 'warning',
    });
    const unfit = await report({ signer: { ca: { ...own, next: { certificateFile, keyFile: plane.caKeyFile } } } });
    expect(levels(unfit, 'signing-ca')).to.deep.equal({ 'CN=local cluster CA': 'ok', 'next: CA': 'unusable' });
  });

  it('goes by the thresholds of the config', async () => {
    const told = await report({ expiry: { warning: '48h', critical: '24h' } });
    expect(levels(told, 'validating-webhook')['near']).to.equal('ok');
    expect(levels(told, 'api-service')['v1.metrics.example.org']).to.equal('ok');
  });

  it('tells of a secret_id that Vault does not know any more', async () => {
    const role = 'auth/approle/role/kubelet-bootstrap';
    const { data } = (await bao.root('POST', `${role}/secret-id`, {})) as { data: { secret_id: string } };
    const [roleIdFile, secretIdFile] = [join(supervisor.dir, 'role-id'), join(supervisor.dir, 'other-secret-id')];
    writeFileSync(secretIdFile, data.secret_id);
    const client = new VaultClient({ address: bao.address, readCa: () => Promise.resolve(bao.ca), clock: systemClock });
    const method = appRole({ mount: 'approle', roleIdFile, secretIdFile });
    const session = new VaultSession({ client, method, clock: systemClock });
    try {
      const kindOf = async (): Promise<(string | undefined)[]> =>
        (await vaultSecretId(session, { mount: 'approle', secretIdFile }).read(never)).map(
          ({ reading }) => reading.kind,
        );
      expect(await kindOf()).to.deep.equal(['ends']);
      await bao.root('POST', `${role}/secret-id/destroy`, { secret_id: data.secret_id });
      expect(await kindOf()).to.deep.equal(['unusable']);
    } finally {
      session.stop();
      client.close();
    }
  });

  it('says that it may not look at a secret_id', async () => {
    await bao.root('POST', 'sys/policies/acl/kubelet-bootstrap', { policy: POLICY });
    const forbidden = await report();
    expect(levels(forbidden, 'vault-secret-id')).to.deep.equal({ '*': 'unreadable' });
    expect(forbidden.things.find(({ kind }) => kind === 'vault-secret-id')?.detail).to.include('403');
  });

  it('tells of all at once that cannot be reached, and ends', async () => {
    await plane.stopApiServer();
    try {
      const told = await report({ expiry: { kubeconfigs: [plane.adminKubeconfig] } });
      expect(levels(told, 'api-server')).to.deep.equal({ [new URL(plane.server).host]: 'unreadable' });
      expect(levels(told, 'validating-webhook')).to.deep.equal({ '*': 'unreadable' });
      expect(levels(told, 'kubeconfig')[`${plane.adminKubeconfig} user local`]).to.equal('ok');
      expect(told.code).to.equal(10);
    } finally {
      await plane.startApiServer();
    }
  });

  it('shows no secret', async () => {
    const secretId = readFileSync(join(supervisor.dir, 'secret-id'), 'utf8');
    const { things } = await report({}, plane.adminKubeconfig);
    expect(`${JSON.stringify(things)}${service.log()}`)
      .to.not.include(secretId)
      .and.not.match(/PRIVATE KEY|eyJ/);
  });
});
