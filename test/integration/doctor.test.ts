import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { stringify } from 'yaml';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { type ControlPlane, startControlPlane } from '../../scripts/servers/control-plane.ts';
import { runCommand } from '../../scripts/servers/long-step.ts';
import { type OpenBao, startOpenBao } from '../../scripts/servers/openbao.ts';
import { createCa, type LocalCa } from '../../scripts/servers/pki.ts';
import { newSupervisor } from '../../scripts/servers/servers.ts';
import { configFor, runProgram } from '../../scripts/servers/service.ts';
import type { Supervisor } from '../../scripts/servers/supervisor.ts';
import { buildCsrPem } from '../support/csr-builder.ts';
import { csrBody, CSRS } from '../support/crowd.ts';
import { requireServers } from '../support/servers.ts';

const BASE = join(import.meta.dirname, '../../manifests/base');
const POLICY = readFileSync(join(BASE, '../vault/service.hcl'), 'utf8');
const BINDINGS = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
const PODS = '/api/v1/namespaces/kube-system/pods';

interface Report {
  readonly code: number;
  readonly worst: string;
  readonly access: readonly { readonly who: string; readonly createsCsrs: string; readonly approved: string }[];
  readonly findings: readonly {
    readonly code: string;
    readonly severity: string;
    readonly what: string;
    readonly found: string;
    readonly mend: string;
  }[];
}

/** Servers of its own: what it finds depends on every binding and every CSR there is. */
describe('doctor on a real API server and a real OpenBao', function () {
  this.timeout(120_000);
  requireServers(); // So that no build falls into the times below, and where none can run this is skipped.
  let supervisor: Supervisor;
  let plane: ControlPlane;
  let bao: OpenBao;
  let kubectl: (...args: string[]) => Promise<string>;

  before('set up as the README says', async () => {
    supervisor = newSupervisor();
    const binaries = await findBinaries(['etcd', 'kube-apiserver', 'kubectl', 'bao']);
    plane = await startControlPlane(supervisor, {
      etcd: binaries.etcd,
      kubeApiserver: binaries['kube-apiserver'],
      bindings: { create: false, nodeclient: false, selfnodeclient: false },
    });
    bao = await startOpenBao(supervisor, binaries.bao);
    kubectl = (...args) =>
      runCommand({ command: binaries.kubectl, args: ['--kubeconfig', plane.adminKubeconfig, ...args] });
    await kubectl('apply', '--server-side', '-k', BASE);
    await bao.root('POST', 'sys/policies/acl/kubelet-bootstrap', { policy: POLICY });
    await bao.root('POST', 'sys/auth/approle', { type: 'approle' });
    await bao.root('POST', 'auth/approle/role/service', { token_policies: 'kubelet-bootstrap', token_ttl: '1h' });
    await bao.root('POST', 'auth/approle/role/service/role-id', { role_id: 'service' });
    const made = (await bao.root('POST', 'auth/approle/role/service/secret-id', {})) as { data: { secret_id: string } };
    writeFileSync(join(supervisor.dir, 'role-id'), 'service');
    writeFileSync(join(supervisor.dir, 'secret-id'), made.data.secret_id, { mode: 0o600 });
    await putCa(plane.ca);
  });
  after(() => supervisor?.stop());

  const putCa = ({ certificate: cert, key }: { certificate: string; key: string }): Promise<unknown> =>
    bao.root('POST', 'secret/data/kubernetes/ca', { data: { cert, key } });

  /** A config that admits as little as it can; `changes` as for `configFor`. */
  function configFile(changes: Readonly<Record<string, unknown>> = {}): string {
    const file = join(supervisor.dir, 'doctor.yaml');
    const auth = {
      method: 'approle',
      roleIdFile: join(supervisor.dir, 'role-id'),
      secretIdFile: join(supervisor.dir, 'secret-id'),
    };
    const config = configFor(
      { controlPlane: plane, openBao: bao },
      {
        serving: { addressRanges: ['10.0.0.0/8'] },
        signer: { ca: { vaultPath: 'kubernetes/ca' } },
        pools: { workers: { nodeNames: 'worker-[0-9]+' } },
        vault: { auth },
        ...changes,
      },
    );
    writeFileSync(file, stringify(config));
    return file;
  }

  interface Circumstances {
    readonly config?: Readonly<Record<string, unknown>>;
    readonly kubeconfig?: string;
    readonly args?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
  }

  async function report({ config, kubeconfig, args = [], env }: Circumstances = {}): Promise<Report> {
    const files = ['--config', configFile(config), '--kubeconfig', kubeconfig ?? plane.adminKubeconfig];
    const { code, stdout, stderr } = await runProgram(
      'kubelet-bootstrap',
      ['doctor', '-o', 'json', ...files, ...args],
      env,
    );
    expect(stderr).to.equal('');
    return { code, ...(JSON.parse(stdout) as Omit<Report, 'code'>) };
  }

  /** Codes of what is worse than information, each once. */
  const told = ({ findings }: Report): string[] => [
    ...new Set(findings.filter(({ severity }) => severity !== 'info').map(({ code }) => code)),
  ];

  /** A report that tells exactly this. The API server's authorizer and caches take a moment to see a change. */
  async function telling(codes: readonly string[], circumstances: Circumstances = {}): Promise<Report> {
    let last = await report(circumstances);
    for (let attempt = 1; attempt < 20 && !isDeepStrictEqual(told(last), codes); attempt += 1) {
      last = await report(circumstances);
    }
    expect(told(last), JSON.stringify(last.findings, undefined, 1)).to.deep.equal(codes);
    return last;
  }

  const found = (given: Report, code: string): string => {
    const { what, found } = given.findings.find((each) => each.code === code) ?? { what: '', found: '' };
    return `${what}: ${found}`;
  };

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
    const files = ['--config', configFile(), '--kubeconfig', plane.adminKubeconfig];
    const { code, stdout } = await runProgram('kubelet-bootstrap', ['doctor', ...files]);
    expect(code).to.equal(0);
    expect(stdout).to.match(/^WHO +CREATES CSRS +APPROVED WITHOUT A HUMAN\n/);
    expect(stdout).to.match(/^system:nodes +yes +yes \(selfnodeclient\)$/m);
    expect(stdout).to.match(/^INFO +Secrets of kube-system +can be read by /m);
    expect(stdout).to.match(/\n0 errors, 0 warnings, 2 notes\n$/);
  });

  /** Makes something wrong for the time of `work`. */
  async function during<T>(
    wrong: () => Promise<unknown>,
    mend: () => Promise<unknown>,
    work: () => Promise<T>,
  ): Promise<T> {
    await wrong();
    try {
      return await work();
    } finally {
      await mend();
    }
  }
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
    const auth = { method: 'kubernetes', role: 'kubelet-bootstrap', jwtFile: join(supervisor.dir, 'not-there') };
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
    expect(wide.findings.map(({ code }) => code)).to.include('DeniesForGood');
  });

  describe('beside others who decide', () => {
    const approve = async (name: string, condition: object): Promise<{ status: object }> => {
      const request = buildCsrPem({ commonName: `system:node:${name}` });
      const csr = (await plane.admin.must('POST', CSRS, csrBody(name, request))) as object;
      const status = { conditions: [{ type: 'Approved', status: 'True', ...condition }] };
      return (await plane.admin.must('PUT', `${CSRS}/${name}/approval`, { ...csr, status })) as { status: object };
    };
    const remove = (name: string) => (): Promise<unknown> => plane.admin.must('DELETE', `${CSRS}/${name}`);

    it('names people who approve', async () => {
      const name = 'doctor-by-hand';
      const request = buildCsrPem({ commonName: `system:node:${name}` });
      const seen = await during(
        async () => {
          await plane.admin.must('POST', CSRS, csrBody(name, request));
          await kubectl('certificate', 'approve', name);
        },
        remove(name),
        async () => {
          const observing = await report({ config: { mode: 'observe' } });
          expect(found(observing, 'OthersInForce')).to.include('"KubectlApprove": 1 CSR');
          return telling(['OtherApprover']);
        },
      );
      expect(found(seen, 'OtherApprover')).to.equal(
        'CSRs of kubelets: approved with reason "KubectlApprove": 1 CSR, the newest doctor-by-hand (client)',
      );
    });

    it('names another CA, and a life that the config does not allow, in certificates', async () => {
      const name = 'doctor-signed';
      const ours = { reason: 'RenewalApproved', message: `kubelet-bootstrap: renewal of ${name} by itself` };
      const sign = async (ca: LocalCa): Promise<void> => {
        const csr = await approve(name, ours);
        const { certificate } = await ca.client(`system:node:${name}`, ['system:nodes']);
        const status = { ...csr.status, certificate: Buffer.from(certificate).toString('base64') };
        await plane.admin.must('PUT', `${CSRS}/${name}/status`, { ...csr, status });
      };
      const signedBy = (ca: LocalCa, codes: readonly string[], life: string): Promise<Report> =>
        during(
          () => sign(ca),
          remove(name),
          () =>
            telling(codes, { config: { signer: { ca: { vaultPath: 'kubernetes/ca' }, lifetime: { client: life } } } }),
        );
      await signedBy(plane.ca, [], '8760h');
      const long = await signedBy(plane.ca, ['OtherSigner'], '24h');
      expect(found(long, 'OtherSigner')).to.include('live longer than the config allows: 1 CSR');
      const foreign = await signedBy(await createCa('local cluster CA'), ['OtherSigner'], '8760h');
      expect(found(foreign, 'OtherSigner')).to.include('are not from the CA of the config: 1 CSR');
    });

    it('names kube-controller-manager by what it approved, by its lease, and by the flags of its pod', async () => {
      const message = 'Auto approving kubelet client certificate after SubjectAccessReview.';
      await during(
        () => approve('doctor-auto', { reason: 'AutoApproved', message }),
        remove('doctor-auto'),
        () => telling(['ControllerManagerApproves']),
      );

      // Ahead, so that it is fresh however long this takes.
      const renewTime = new Date(Date.now() + 600_000).toISOString().replace('Z', '000Z');
      const lease = { metadata: { name: 'kube-controller-manager' }, spec: { holderIdentity: 'cp-1', renewTime } };
      await plane.admin.must('POST', LEASES, lease);
      await telling(['ControllerManagerUnclear']);

      const pod = (...flags: string[]): object => ({
        metadata: { name: 'kube-controller-manager-cp-1', labels: { component: 'kube-controller-manager' } },
        spec: {
          serviceAccountName: 'kubelet-bootstrap',
          containers: [{ name: 'x', image: 'x', command: ['kube-controller-manager', ...flags] }],
        },
      });
      const withPod = (codes: readonly string[], ...flags: string[]): Promise<Report> =>
        during(
          () => plane.admin.must('POST', PODS, pod(...flags)),
          () => plane.admin.must('DELETE', `${PODS}/kube-controller-manager-cp-1?gracePeriodSeconds=0`),
          () => telling(codes),
        );
      const signing = '--cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt';
      await withPod(['GuardBypassed'], '--controllers=*,bootstrapsigner,tokencleaner', signing);
      await withPod(['ControllerManagerSigns'], '--controllers=*,-csrapproving', signing);
      await withPod([], '--controllers=*,-csrapproving');
      await plane.admin.must('DELETE', `${LEASES}/kube-controller-manager`);
    });
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
    const token = (await kubectl('create', 'token', 'kubelet-bootstrap', '-n', 'kube-system')).trim();
    const own = await telling(['NotChecked'], { kubeconfig: plane.tokenKubeconfig('doctor-service', token) });
    expect(own.findings.map(({ what }) => what)).to.deep.equal([
      'kube-controller-manager',
      'roles and bindings',
      'extension-apiserver-authentication',
    ]);
    expect(own.code).to.equal(10);
  });

  it('asks for the rights of another user when it is told to', async () => {
    const other = await telling(['RightMissing', 'ForeignApprover'], { args: ['--service-user', 'kubelet-bootstrap'] });
    expect(found(other, 'RightMissing')).to.equal('user kubelet-bootstrap: has none of the rights that it needs');
  });
});
