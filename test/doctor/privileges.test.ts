import { expect } from 'chai';
import { describe, it } from 'mocha';
import { checkPrivileges, type Part } from '../../src/doctor/privileges.ts';
import type { Rbac, RbacBinding, RbacRule, RbacSubject } from '../../src/doctor/rbac.ts';
import { CLIENT_SIGNER, SERVING_SIGNER } from '../../src/ports.ts';

const OWN = 'system:serviceaccount:kube-system:kubelet-bootstrap';
const CERTIFICATES = 'certificates.k8s.io';

const rule = (verbs: string[], apiGroup: string, resources: string[], resourceNames: string[] = []): RbacRule => ({
  verbs,
  apiGroups: [apiGroup],
  resources,
  resourceNames,
});
const group = (name: string): RbacSubject => ({ kind: 'Group', name, namespace: '' });
const account = (namespace: string, name: string): RbacSubject => ({ kind: 'ServiceAccount', name, namespace });

const APPROVAL = rule(['update'], CERTIFICATES, ['certificatesigningrequests/approval']);
const STATUS = rule(['update'], CERTIFICATES, ['certificatesigningrequests/status']);
const EVERYTHING = rule(['*'], '*', ['*']);
const CSRS = rule(['create', 'get', 'list', 'watch'], CERTIFICATES, ['certificatesigningrequests']);
const approve = (...names: string[]): RbacRule => rule(['approve'], CERTIFICATES, ['signers'], names);
const sign = (...names: string[]): RbacRule => rule(['sign'], CERTIFICATES, ['signers'], names);
const TOKENS = 'system:bootstrappers';

/** A cluster with the bindings of every cluster, and one binding more to these rules. */
function cluster(subject?: RbacSubject, rules: readonly RbacRule[] = [], namespace = '', ownNamespace = ''): Rbac {
  const bind = (name: string, roleName: string, ...subjects: RbacSubject[]): RbacBinding => ({
    namespace: '',
    name,
    roleKind: 'ClusterRole',
    roleName,
    subjects,
  });
  const roles = [
    { namespace: '', name: 'cluster-admin', rules: [EVERYTHING] },
    {
      namespace: '',
      name: 'kubelet-bootstrap',
      rules: [APPROVAL, STATUS, approve(CLIENT_SIGNER), sign(CLIENT_SIGNER)],
    },
    { namespace: '', name: 'node-bootstrapper', rules: [CSRS] },
    {
      namespace: '',
      name: 'nodeclient',
      rules: [rule(['create'], CERTIFICATES, ['certificatesigningrequests/nodeclient'])],
    },
    { namespace: ownNamespace, name: 'extra', rules },
  ];
  const extra: RbacBinding[] =
    subject === undefined
      ? []
      : [
          {
            namespace,
            name: 'extra',
            roleKind: ownNamespace === '' ? 'ClusterRole' : 'Role',
            roleName: 'extra',
            subjects: [subject],
          },
        ];
  return {
    roles,
    bindings: [
      bind('cluster-admin', 'cluster-admin', group('system:masters')),
      bind('kubelet-bootstrap', 'kubelet-bootstrap', account('kube-system', 'kubelet-bootstrap')),
      bind('node-bootstrapper', 'node-bootstrapper', group(TOKENS)),
      bind('nodeclient', 'nodeclient', group(TOKENS)),
      bind('dangling', 'gone', group('nobody')),
      ...extra,
    ],
  };
}

type Expected = readonly (readonly [code: string, what: string, found: string])[];
const BOTH: Part = { approves: true, signs: true };
const findings = (rbac: Rbac, part = BOTH): string[][] =>
  checkPrivileges(rbac, OWN, part)
    .filter(({ severity }) => severity !== 'info')
    .map(({ code, what, found }) => [code, what, found]);

function holds(actual: readonly string[][], expected: Expected): void {
  expect(actual.map(([code, what]) => [code, what])).to.deep.equal(expected.map(([code, what]) => [code, what]));
  for (const [index, [, , found]] of expected.entries()) expect(actual[index]?.[2]).to.include(found);
}

describe('doctor/privileges: who else may approve or sign', () => {
  const DEVS = group('devs');
  const ROWS: readonly (readonly [string, readonly RbacRule[], string?])[] = [
    ['nobody, with nothing', []],
    ['nobody, with the right to write approvals alone', [APPROVAL, STATUS]],
    ['nobody, with other signers', [APPROVAL, approve('kubernetes.io/kube-apiserver-client'), sign('example.org/*')]],
    ['nobody, with a star for a name: admission knows none', [APPROVAL, approve('*')]],
    ['nobody, who may only attest', [rule(['attest'], CERTIFICATES, ['signers'])]],
    ['nobody, with signers of another group', [APPROVAL, rule(['approve'], 'example.org', ['signers'])]],
    ['who may approve one signer', [APPROVAL, approve(SERVING_SIGNER)], 'may approve (serving) for kubelets'],
    ['who may approve every signer', [APPROVAL, approve()], 'may approve (client, serving)'],
    ['who may approve the whole domain', [APPROVAL, approve('kubernetes.io/*')], 'may approve (client, serving)'],
    [
      'who may patch approvals',
      [rule(['patch'], CERTIFICATES, ['*/approval']), approve()],
      'may approve (client, serving)',
    ],
    [
      'who may approve by a star for the verb',
      [APPROVAL, rule(['*'], CERTIFICATES, ['signers'])],
      'and sign (client, serving, once',
    ],
    ['who may sign', [STATUS, sign(CLIENT_SIGNER)], 'may sign (client) for kubelets, by ClusterRoleBinding extra'],
    ['who may do everything', [EVERYTHING], 'may approve (client, serving) and sign (client, serving)'],
    ['who could approve once it may write', [approve()], 'may approve (client, serving, once it may write CSRs)'],
    ['who could sign, and may only write approvals', [APPROVAL, sign()], 'once it may write CSRs'],
  ];
  for (const [what, rules, found] of ROWS) {
    it(what, () => {
      const expected: Expected = found === undefined ? [] : [['ForeignApprover', 'group devs', found]];
      holds(findings(cluster(DEVS, rules)), expected);
    });
  }

  it('names service accounts as such, also where they are bound as users', () => {
    const expected: Expected = [['ForeignApprover', 'service account ci/deployer', 'may approve']];
    holds(findings(cluster(account('ci', 'deployer'), [EVERYTHING])), expected);
    const user = { kind: 'User', name: 'system:serviceaccount:ci:deployer', namespace: '' };
    holds(findings(cluster(user, [EVERYTHING])), expected);
  });

  it('does not count a RoleBinding: CSRs have no namespace', () => {
    expect(findings(cluster(DEVS, [APPROVAL, approve()], 'team'))).to.deep.equal([]);
    expect(findings(cluster(DEVS, [APPROVAL, approve()], 'team', 'team'))).to.deep.equal([]);
  });

  it('does not mix a Role with a ClusterRole of its name, nor with one of another namespace', () => {
    const rbac = cluster(DEVS, [EVERYTHING], 'team', 'other');
    expect(findings(rbac)).to.deep.equal([]);
  });

  it('is an error where what signs believes it, and only for approving', () => {
    const part = { approves: true, signs: false };
    holds(findings(cluster(DEVS, [APPROVAL, approve()]), part), [['ApproverTrusted', 'group devs', 'may approve']]);
    holds(findings(cluster(DEVS, [STATUS, sign()]), part), [['ForeignApprover', 'group devs', 'may sign']]);
  });

  it('is information where the mode leaves approving to others', () => {
    for (const signs of [true, false]) {
      const found = checkPrivileges(cluster(DEVS, [APPROVAL, approve()]), OWN, { approves: false, signs });
      expect(found[0]).to.include({ code: 'ApproverInForce', severity: 'info', what: 'group devs' });
    }
  });

  it('tells of those who may in every cluster as information', () => {
    for (const subject of [group('kubeadm:cluster-admins'), account('kube-system', 'certificate-controller')]) {
      const found = checkPrivileges(cluster(subject, [EVERYTHING]), OWN, BOTH);
      expect(found.map(({ code }) => code)).to.deep.equal(['OrdinaryApprovers', 'TokenReaders']);
      expect(found[0]?.what).to.include('group system:masters, ');
    }
  });

  it('tells of the account by its own name when the service runs as another', () => {
    const found = checkPrivileges(cluster(), 'kubelet-bootstrap', BOTH).filter(
      ({ code }) => code === 'ForeignApprover',
    );
    expect(found.map(({ what }) => what)).to.deep.equal(['service account kube-system/kubelet-bootstrap']);
  });
});

describe('doctor/privileges: what tokens are good for besides', () => {
  const ROWS: readonly (readonly [string, string, readonly RbacRule[], string | undefined, string?, string?])[] = [
    ['CSRs of another binding', TOKENS, [CSRS], undefined],
    ['deleting CSRs', TOKENS, [rule(['delete'], CERTIFICATES, ['certificatesigningrequests'])], 'TokensMayMore'],
    [
      'a self-renewal',
      TOKENS,
      [rule(['create'], CERTIFICATES, ['certificatesigningrequests/selfnodeclient'])],
      'TokensMayMore',
    ],
    ['Pods, by the group of a pool', `${TOKENS}:pool:workers`, [rule(['get', 'list'], '', ['pods'])], 'TokensMayMore'],
    [
      'what kubeadm join reads: a Node',
      `${TOKENS}:kubeadm:default-node-token`,
      [rule(['get'], '', ['nodes'])],
      undefined,
    ],
    ['listing Nodes', TOKENS, [rule(['list'], '', ['nodes'])], 'TokensMayMore'],
    [
      'what kubeadm join reads: its ConfigMaps',
      `${TOKENS}:kubeadm:default-node-token`,
      [rule(['get'], '', ['configmaps'], ['kubeadm-config', 'kubelet-config-1.30'])],
      undefined,
      'kube-system',
    ],
    [
      'these in another namespace',
      TOKENS,
      [rule(['get'], '', ['configmaps'], ['kubeadm-config'])],
      'TokensMayMore',
      'x',
    ],
    ['other ConfigMaps', TOKENS, [rule(['get'], '', ['configmaps'], ['coredns'])], 'TokensMayMore', 'kube-system'],
    ['any ConfigMap', TOKENS, [rule(['get'], '', ['configmaps'])], 'TokensMayMore', 'kube-system'],
    ['Secrets', TOKENS, [rule(['list'], '', ['secrets'])], 'TokensMayHarm'],
    ['Secrets of one namespace', TOKENS, [rule(['get'], '', ['secrets'])], 'TokensMayHarm', 'kube-system'],
    ['everything', TOKENS, [EVERYTHING], 'TokensMayHarm'],
    ['everything, for whoever logs in', 'system:authenticated', [EVERYTHING], 'TokensMayHarm'],
    ['Pods, for whoever logs in', 'system:authenticated', [rule(['get'], '', ['pods'])], undefined],
    ['approving', TOKENS, [approve(SERVING_SIGNER)], 'TokensMayHarm'],
    ['nothing, for a group that only looks like one', `${TOKENS}-of-ours`, [rule(['get'], '', ['pods'])], undefined],
  ];
  for (const [what, name, rules, code, namespace = ''] of ROWS) {
    it(`${what}: ${code ?? 'nothing to tell'}`, () => {
      const found = findings(cluster(group(name), rules, namespace)).filter(([each]) => each !== 'ForeignApprover');
      expect(found.map(([each, of]) => [each, of])).to.deep.equal(code === undefined ? [] : [[code, `group ${name}`]]);
    });
  }

  it('tells each binding once, with its rules', () => {
    const rules = [rule(['get'], '', ['pods']), rule(['list'], '', ['events']), rule(['get'], '', ['secrets'], ['x'])];
    holds(findings(cluster(group(TOKENS), rules)), [
      ['TokensMayHarm', `group ${TOKENS}`, 'may get pods, list events, get secrets x, by ClusterRoleBinding extra'],
    ]);
  });
});

describe('doctor/privileges: who may read tokens', () => {
  const readers = (rbac: Rbac): string | undefined =>
    checkPrivileges(rbac, OWN, BOTH).find(({ code }) => code === 'TokenReaders')?.found;
  const SECRETS = rule(['list'], '', ['secrets']);

  it('names those of the whole cluster and of kube-system, and nobody else', () => {
    const devs = group('devs');
    expect(readers(cluster(devs, [SECRETS]))).to.equal('can be read by group devs, group system:masters');
    expect(readers(cluster(devs, [SECRETS], 'kube-system'))).to.include('group devs');
    expect(readers(cluster(devs, [SECRETS], 'default'))).to.equal('can be read by group system:masters');
    expect(readers(cluster(devs, [rule(['get'], '', ['secrets'], ['one'])]))).to.not.include('devs');
    expect(readers(cluster(devs, [rule(['create'], '', ['secrets'])]))).to.not.include('devs');
  });

  it('leaves the service out, and says how many more there are', () => {
    const rbac = cluster(account('kube-system', 'kubelet-bootstrap'), [SECRETS]);
    expect(readers(rbac)).to.equal('can be read by group system:masters');
    const subjects = Array.from({ length: 25 }, (_, index) => group(`g-${index}`));
    const role = { namespace: '', name: 'reader', rules: [SECRETS] };
    const binding = { namespace: '', name: 'readers', roleKind: 'ClusterRole', roleName: 'reader', subjects };
    expect(readers({ roles: [role], bindings: [binding] })).to.match(/g-0, .* and 5 more$/);
  });
});
