/** Who else may decide on the CSRs of kubelets or read tokens, and what a bootstrap token may do besides (A20, A30). */
import { listed } from '../pki/quote.ts';
import { CLIENT_SIGNER, KUBELET_SIGNERS } from '../ports.ts';
import { BOOTSTRAPPERS_GROUP } from '../tokens/binding.ts';
import { TOKEN_NAMESPACE } from '../tokens/token-secret.ts';
import { type Finding, finding } from './finding.ts';
import { allows, describeRule, describeSubject, type Grant, grantsOf, type Rbac, type RbacRule } from './rbac.ts';

const CERTIFICATES = 'certificates.k8s.io';
const CSRS = 'certificatesigningrequests';
const WRITE = ['update', 'patch'];
/** Admission takes the name of the signer or of its domain; `*` as a name is none (measured). */
const DOMAIN = 'kubernetes.io/*';
const READ = ['get', 'list', 'watch'];

/** Those who may decide in every cluster: what kubeadm and the API server itself bind, and kube-controller-manager. */
const ORDINARY: readonly string[] = [
  'group system:masters',
  'group kubeadm:cluster-admins',
  'user system:serviceaccount:kube-system:certificate-controller',
];

const mayDecide = (rule: RbacRule, verb: 'approve' | 'sign', signer: string): boolean =>
  allows(rule, { verbs: [verb], group: CERTIFICATES, resource: 'signers', names: [signer, DOMAIN] });

/** What this config does: only where it does both is an approval worth nothing more than a request. */
export interface Part {
  readonly approves: boolean;
  readonly signs: boolean;
}

/** `user` is the service's own account. */
export function checkPrivileges(rbac: Rbac, user: string, part: Part): readonly Finding[] {
  const grants = grantsOf(rbac);
  return [...approvers(grants, `user ${user}`, part), ...tokenRights(grants), ...tokenReaders(grants, `user ${user}`)];
}

interface Power {
  readonly words: readonly string[];
  readonly by: readonly string[];
}

function approvers(grants: readonly Grant[], own: string, { approves, signs }: Part): readonly Finding[] {
  const everywhere = grants.filter(({ namespace }) => namespace === '');
  const powers = [...Map.groupBy(everywhere, ({ subject }) => subject)].flatMap(([subject, held]) => {
    const power = subject === own ? undefined : powerOf(held);
    return power === undefined ? [] : [{ subject, ...power }];
  });
  const foreign = powers.filter(({ subject }) => !ORDINARY.includes(subject));
  const ordinary = powers
    .filter(({ subject }) => ORDINARY.includes(subject))
    .map(({ subject }) => describeSubject(subject));
  const mend = 'Take the right away from whoever does not need it.';
  return [
    ...foreign.map(({ subject, words, by }) => {
      const decides = words.some((word) => word.startsWith('approve'));
      const code =
        !decides || (approves && signs) ? 'ForeignApprover' : approves ? 'ApproverTrusted' : 'ApproverInForce';
      return finding(code, describeSubject(subject), `may ${words.join(' and ')} for kubelets, by ${listed(by)}`, mend);
    }),
    ...(ordinary.length === 0
      ? []
      : [finding('OrdinaryApprovers', listed(ordinary), 'may approve or sign for kubelets', 'Nothing.')]),
  ];
}

/** Of one subject's rules alone; what its groups add is told of the groups. */
function powerOf(grants: readonly Grant[]): Power | undefined {
  const writes = (subresource: string): boolean =>
    grants.some(({ rule }) => allows(rule, { verbs: WRITE, group: CERTIFICATES, resource: `${CSRS}/${subresource}` }));
  const by = new Set<string>();
  const words = (['approve', 'sign'] as const).flatMap((verb) => {
    const signers = KUBELET_SIGNERS.filter((signer) => {
      const giving = grants.filter(({ rule }) => mayDecide(rule, verb, signer));
      for (const grant of giving) by.add(grant.by);
      return giving.length > 0;
    });
    if (signers.length === 0) return [];
    const kinds = signers.map((signer) => (signer === CLIENT_SIGNER ? 'client' : 'serving')).join(', ');
    const half = writes(verb === 'approve' ? 'approval' : 'status') ? '' : ', once it may write CSRs';
    return [`${verb} (${kinds}${half})`];
  });
  return words.length === 0 ? undefined : { words, by: [...by] };
}

/** Rights of the groups that every token is in, or can be in. */
function tokenRights(grants: readonly Grant[]): readonly Finding[] {
  const told = grants.filter((grant) => {
    const { subject } = grant;
    const ofTokens = subject === `group ${BOOTSTRAPPERS_GROUP}` || subject.startsWith(`group ${BOOTSTRAPPERS_GROUP}:`);
    // What everybody may do is not the tokens' own, unless it gives the cluster away.
    return ofTokens ? !isOrdinary(grant) : subject === 'group system:authenticated' && harms(grant);
  });
  const byBinding = Map.groupBy(told, ({ subject, by }) => `${subject} ${by}`);
  return [...byBinding.values()].map((group) => {
    const [{ subject, by } = { subject: '', by: '' }] = group;
    const code = group.some(harms) ? 'TokensMayHarm' : 'TokensMayMore';
    const rules = group.map(({ rule }) => describeRule(rule));
    return finding(code, subject, `may ${listed(rules)}, by ${by}`, 'Remove the binding: tokens need CSRs alone.');
  });
}

function harms({ rule, namespace }: Grant): boolean {
  const reads = allows(rule, { verbs: READ, group: '', resource: 'secrets' });
  const decides = KUBELET_SIGNERS.some(
    (signer) => mayDecide(rule, 'approve', signer) || mayDecide(rule, 'sign', signer),
  );
  return reads || (namespace === '' && decides);
}

/** What TLS bootstrap needs, and what `kubeadm join` reads with a token before it. */
function isOrdinary({ rule, namespace }: Grant): boolean {
  const only = (list: readonly string[], allowed: readonly string[]): boolean =>
    list.length > 0 && list.every((item) => allowed.includes(item));
  const { verbs, apiGroups, resources, resourceNames } = rule;
  if (only(apiGroups, [CERTIFICATES])) {
    if (only(resources, [CSRS])) return only(verbs, ['create', ...READ]);
    return only(resources, [`${CSRS}/nodeclient`]) && only(verbs, ['create']);
  }
  if (!only(apiGroups, ['']) || !only(verbs, ['get'])) return false;
  if (only(resources, ['nodes'])) return true;
  const files = /^(kubeadm-config|kube-proxy|kubelet-config(-1\.\d+)?)$/;
  const known = resourceNames.length > 0 && resourceNames.every((name) => files.test(name));
  return namespace === TOKEN_NAMESPACE && only(resources, ['configmaps']) && known;
}

const MOST_NAMES = 20;

function tokenReaders(grants: readonly Grant[], own: string): readonly Finding[] {
  const readers = grants
    .filter(({ namespace }) => namespace === '' || namespace === TOKEN_NAMESPACE)
    .filter(
      ({ rule }) => allows(rule, { verbs: READ, group: '', resource: 'secrets' }) && rule.resourceNames.length === 0,
    )
    .map(({ subject }) => subject)
    .filter((subject) => subject !== own);
  const names = [...new Set(readers)].map(describeSubject).toSorted();
  if (names.length === 0) return [];
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  const found = `${names.slice(0, MOST_NAMES).join(', ')}${more}`;
  const mend = 'Guard these as you guard the control plane.';
  return [finding('TokenReaders', `Secrets of ${TOKEN_NAMESPACE}`, `can be read by ${found}`, mend)];
}
