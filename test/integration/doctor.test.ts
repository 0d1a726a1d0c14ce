import { join } from 'node:path';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { createCa } from '../../scripts/servers/pki.ts';
import { runProgram } from '../../scripts/servers/service.ts';
import { accountKubeconfig } from '../../scripts/servers/service-account.ts';
import {
  BASE,
  during,
  type ExaminedCluster,
  found,
  POLICY,
  type Report,
  requireExaminedCluster,
} from '../support/examined-cluster.ts';

const BINDINGS = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';

describe('doctor on a real API server and a real OpenBao', function () {
  this.timeout(120_000);
  const examined = requireExaminedCluster();
  let plane: ExaminedCluster['plane'];
  let bao: ExaminedCluster['bao'];
  let kubectl: ExaminedCluster['kubectl'];
  let putCa: ExaminedCluster['putCa'];
  let telling: ExaminedCluster['telling'];
  before(() => {
    ({ plane, bao, kubectl, putCa, telling } = examined());
  });

  it('has nothing to tell of a healthy set-up but notes, and ends with 0', async () => {
    const healthy = await telling([]);
    expect({ code: healthy.code, worst: healthy.worst }).to.deep.equal({ code: 0, worst: 'info' });
    expect(healthy.access.map(({ who, createsCsrs, approved }) => [who, createsCsrs, approved])).to.deep.equal([
      ['system:bootstrappers', 'yes', 'yes'],
      ['system:nodes', 'yes', 'yes'],
      ['system:bootstrappers:pool:workers', 'yes', 'yes'],
    ]);
    expect(healthy.findings.map(({ code }) => code)).to.deep.equal(['OrdinaryApprovers', 'TokenReaders']);
  });

  it('prints the same as a table', async () => {
    const files = ['--config', examined().configFile(), '--kubeconfig', plane.adminKubeconfig];
    const { code, stdout } = await runProgram('kubelet-bootstrap', ['doctor', ...files]);
    expect(code).to.equal(0);
    expect(stdout).to.match(/^WHO +CREATES CSRS +APPROVED WITHOUT A HUMAN\n/);
    expect(stdout).to.match(/^system:nodes +yes +yes \(selfnodeclient\)$/m);
    expect(stdout).to.match(/^INFO +Secrets of kube-system +can be read by /m);
    expect(stdout).to.match(/\n0 errors, 0 warnings, 2 notes\n$/);
  });

  const binding = (name: string, role: string, subject: object): object => ({
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [subject],
  });
  const withBinding = (role: string, subject: object, work: () => Promise<Report>): Promise<Report> =>
    during(
      () => plane.admin.must('POST', BINDINGS, binding('doctor-test', role, subject)),
      () => plane.admin.must('DELETE', `${BINDINGS}/doctor-test`),
      work,
    );
  const applyBase = (file: string): Promise<string> => kubectl('apply', '--server-side', '-f', join(BASE, file));

  it("names the missing binding of renewals, the talk's outage, and ends with 11", async () => {
    const sick = await during(
      () => plane.admin.must('DELETE', `${BINDINGS}/kubelet-bootstrap:selfnodeclient`),
      () => applyBase('21-node-bindings.yaml'),
      () => telling(['AccessMissing']),
    );
    expect(sick.code).to.equal(11);
    expect(sick.access[1]).to.include({ who: 'system:nodes', createsCsrs: 'yes', approved: 'no' });
    expect(sick.findings[0]?.mend).to.include('certificatesigningrequests:selfnodeclient to group system:nodes');
  });

  it('names a right that the service lacks, and one that it has too much', async () => {
    const roleBinding = '/apis/rbac.authorization.k8s.io/v1/namespaces/kube-node-lease/rolebindings';
    const lacking = await during(
      () => plane.admin.must('DELETE', `${roleBinding}/kubelet-bootstrap-leases`),
      () => applyBase('20-rbac.yaml'),
      () => telling(['RightMissing']),
    );
    expect(found(lacking, 'RightMissing')).to.equal(
      'service account kube-system/kubelet-bootstrap: may not get leases in kube-node-lease',
    );
    const own = { kind: 'ServiceAccount', namespace: 'kube-system', name: 'kubelet-bootstrap' };
    const mighty = await withBinding('cluster-admin', own, () => telling(['RightsTooMany']));
    expect(mighty.code).to.equal(10);
  });

  it('names who else may approve, and what tokens are good for besides', async () => {
    const approver = 'system:certificates.k8s.io:kubelet-serving-approver';
    const role = [
      'clusterrole',
      'doctor-test-approver',
      '--verb=update',
      '--resource=certificatesigningrequests/approval',
    ];
    const group = { kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'devs' };
    const half = await withBinding(approver, group, () => telling(['ForeignApprover']));
    expect(found(half, 'ForeignApprover')).to.match(/^group devs: may approve \(serving, once it may write CSRs\)/);
    const whole = await during(
      async () => {
        await kubectl('create', ...role);
        await kubectl(
          'create',
          'clusterrolebinding',
          'doctor-test-approver',
          `--clusterrole=${role[1]}`,
          '--group=devs',
        );
      },
      () => kubectl('delete', 'clusterrole,clusterrolebinding', 'doctor-test-approver'),
      () => withBinding(approver, group, () => telling(['ForeignApprover'])),
    );
    expect(found(whole, 'ForeignApprover')).to.equal(
      'group devs: may approve (serving) for kubelets, by ClusterRoleBinding doctor-test',
    );
    const tokens = { ...group, name: 'system:bootstrappers' };
    const open = await withBinding('cluster-admin', tokens, () => telling(['TokensMayHarm', 'ForeignApprover']));
    expect(open.code).to.equal(11);
  });

  it('names a CA that the API server does not trust', async () => {
    const foreign = await createCa('foreign CA');
    const sick = await during(
      () => putCa(foreign),
      () => putCa(plane.ca),
      () => telling(['SigningCaNotTrusted']),
    );
    expect(found(sick, 'SigningCaNotTrusted'))
      .to.include('"CN=foreign CA" is not among')
      .and.include('local cluster CA');
    await during(
      () => putCa({ ...plane.ca, key: foreign.key }),
      () => putCa(plane.ca),
      () => telling(['SigningCaUnusable']),
    );
  });

  it('names what a policy of Vault lacks, and makes every other check', async () => {
    const putPolicy = (policy: string) => (): Promise<unknown> =>
      bao.root('POST', 'sys/policies/acl/kubelet-bootstrap', { policy });
    const dead = await during(putPolicy('path "secret/data/x" { capabilities = ["read"] }'), putPolicy(POLICY), () =>
      telling(['VaultRightMissing', 'PoolPatternWide', 'NotChecked'], {
        config: { pools: { blue: { nodeNames: '.*', admitsAnyName: true } } },
      }),
    );
    expect(found(dead, 'VaultRightMissing')).to.equal(
      "the service's login: may not create, update, read secret/data/kubelet-bootstrap/*",
    );
    expect(found(dead, 'NotChecked')).to.match(/^CA that is signed with: could not be checked: Vault: .*403/);
  });

  it("takes VAULT_TOKEN for an admin's, and a root token of the service for too much", async () => {
    const made = (await bao.root('POST', 'auth/token/create', { policies: ['default'] })) as {
      auth: { client_token: string };
    };
    const admin = await telling(['NotChecked', 'VaultTokenLacksRight'], {
      env: { VAULT_TOKEN: made.auth.client_token },
    });
    expect(admin.code).to.equal(10);
    await telling(['VaultRightsTooMany'], {
      config: { vault: { auth: { method: 'tokenFile', tokenFile: bao.rootTokenFile } } },
    });
    await telling(['VaultUnusable', 'NotChecked'], { env: { VAULT_TOKEN: 's.0123456789abcdefghijklmn' } });
  });

  it('names a Vault that is sealed or away, and makes every other check', async () => {
    const sealed = await during(
      () => bao.seal(),
      () => bao.unseal(),
      () => telling(['VaultUnusable', 'NotChecked']),
    );
    expect(found(sealed, 'VaultUnusable')).to.include('sealed');
    expect(sealed.access[0]).to.include({ approved: 'yes' });
    const away = await telling(['VaultUnusable', 'NotChecked'], { env: { VAULT_ADDR: 'https://127.0.0.1:1' } });
    expect(away.code).to.equal(11);
  });

  it('cannot check a login whose credential is not on this host', async () => {
    const auth = { method: 'kubernetes', role: 'kubelet-bootstrap', jwtFile: join(examined().dir, 'not-there') };
    const elsewhere = await telling(['NotChecked'], { config: { vault: { auth } } });
    expect(elsewhere.code).to.equal(10);
  });

  it('names rules that admit nearly everything', async () => {
    const wide = await telling(
      ['AddressRangesWide', 'PoolPatternWide', 'UnboundTokensAdmitted', 'LongRequestsAdmitted'],
      {
        config: {
          pools: { workers: { nodeNames: '.*', admitsAnyName: true } },
          serving: { addressRanges: ['0.0.0.0/0'], admitsAnyAddress: true },
          approver: { longestRequest: '87600h', onViolation: 'deny', unboundTokensUntil: '2999-01-01T00:00:00Z' },
        },
      },
    );
    expect(wide.findings.map(({ code }) => code)).to.include.members(['DeniesForGood', 'PoolUnlimited']);
  });

  it('tells which Nodes are not on record', async () => {
    const nodes = '/api/v1/nodes';
    const young = await during(
      () => plane.admin.must('POST', nodes, { metadata: { name: 'worker-1' } }),
      () => plane.admin.must('DELETE', `${nodes}/worker-1`),
      () => telling([]),
    );
    expect(found(young, 'NodesNotOnRecord')).to.include('1 of 1 Nodes have no certificate on record: worker-1');
  });

  it("works with the service's own rights as far as they go, and says what they do not cover", async () => {
    const kubeconfig = await accountKubeconfig(plane, kubectl, 'doctor-service');
    const own = await telling(['NotChecked'], { kubeconfig });
    expect(own.findings.map(({ what }) => what)).to.deep.equal(['kube-controller-manager', 'roles and bindings']);
    expect(own.code).to.equal(10);
  });

  it('asks for the rights of another user when it is told to', async () => {
    const other = await telling(['RightMissing', 'ForeignApprover'], { args: ['--service-user', 'kubelet-bootstrap'] });
    expect(found(other, 'RightMissing')).to.equal('user kubelet-bootstrap: has none of the rights that it needs');
  });
});
