/** What the service's account has to be allowed (manifests/base/20-rbac.yaml), and what it had better not be. */
import type { Fact } from '../policy/facts.ts';
import { type AccessAnswer, CLIENT_SIGNER, type Requester, type ResourceAttributes, SERVING_SIGNER } from '../ports.ts';
import { TOKEN_NAMESPACE } from '../tokens/token-secret.ts';
import { type Finding, finding, notChecked } from './finding.ts';
import { describeSubject } from './rbac.ts';

export type ControllerName = 'minter' | 'approver' | 'signer' | 'cleaner';

/** One rule of the manifest, or a part of one. */
export interface Right extends Omit<ResourceAttributes, 'verb'> {
  readonly verbs: readonly string[];
  /** Controllers that need it; empty: every one does. */
  readonly neededBy: readonly ControllerName[];
  /** No controller needs it: only what watches for things that end. */
  readonly forExpiry?: true;
}

/** What was answered for one verb of a right, or for something that should not be allowed. */
export interface RightAnswer {
  readonly right: Right;
  readonly verb: string;
  /** `needed`, or allowed too much when it is allowed. */
  readonly needed: boolean;
  readonly answer: Fact<AccessAnswer>;
}

const CERTIFICATES = 'certificates.k8s.io';
const CSRS = { group: CERTIFICATES, resource: 'certificatesigningrequests' } as const;
const DECIDERS: readonly ControllerName[] = ['approver', 'signer'];
const EVENTS = 'events';

/** All that the controllers of the config need. */
export function neededRights(config: {
  readonly controllers: ReadonlySet<ControllerName>;
  /** Decides and writes no decision. */
  readonly observes: boolean;
  readonly serving: boolean;
  readonly stateNamespace: string;
  /** Of `expiry` in the config; undefined where it is switched off. */
  readonly expiry: { readonly secretNamespaces: readonly string[] } | undefined;
}): Right[] {
  const signers = config.serving ? [CLIENT_SIGNER, SERVING_SIGNER] : [CLIENT_SIGNER];
  const decisions: Right[] = [
    { ...CSRS, verbs: ['delete'], neededBy: ['cleaner'] },
    { ...CSRS, subresource: 'approval', verbs: ['update'], neededBy: ['approver'] },
    { ...CSRS, subresource: 'status', verbs: ['update'], neededBy: ['signer'] },
    ...signers.flatMap((name): Right[] => [
      { group: CERTIFICATES, resource: 'signers', name, verbs: ['approve'], neededBy: ['approver'] },
      { group: CERTIFICATES, resource: 'signers', name, verbs: ['sign'], neededBy: ['signer'] },
    ]),
    { group: 'events.k8s.io', resource: EVENTS, namespace: 'default', verbs: ['create'], neededBy: DECIDERS },
  ];
  const addresses: Right[] = [
    { group: 'networking.k8s.io', resource: 'servicecidrs', verbs: ['list'], neededBy: DECIDERS },
    {
      group: 'discovery.k8s.io',
      resource: 'endpointslices',
      namespace: 'default',
      verbs: ['list'],
      neededBy: DECIDERS,
    },
  ];
  const rights: Right[] = [
    { ...CSRS, verbs: ['get', 'list', 'watch'], neededBy: [] },
    ...(config.observes ? [] : decisions),
    ...(config.serving ? addresses : []),
    { group: 'authorization.k8s.io', resource: 'subjectaccessreviews', verbs: ['create'], neededBy: DECIDERS },
    { group: '', resource: 'nodes', verbs: ['list', 'watch'], neededBy: [] },
    { group: '', resource: 'secrets', namespace: TOKEN_NAMESPACE, verbs: ['get', 'list', 'watch'], neededBy: [] },
    { group: '', resource: 'secrets', namespace: TOKEN_NAMESPACE, verbs: ['create', 'patch'], neededBy: ['minter'] },
    {
      group: '',
      resource: 'secrets',
      namespace: TOKEN_NAMESPACE,
      verbs: ['delete'],
      neededBy: ['minter', 'cleaner'],
    },
    {
      group: '',
      resource: 'configmaps',
      namespace: config.stateNamespace,
      verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
      neededBy: [],
    },
    {
      group: 'coordination.k8s.io',
      resource: 'leases',
      namespace: 'kube-node-lease',
      verbs: ['get'],
      neededBy: DECIDERS,
    },
    ...(config.expiry === undefined ? [] : expiryRights(config.expiry.secretNamespaces)),
  ];
  return rights.filter(
    ({ neededBy }) => neededBy.length === 0 || neededBy.some((name) => config.controllers.has(name)),
  );
}

function expiryRights(secretNamespaces: readonly string[]): Right[] {
  const list = (group: string, resource: string, namespace?: string): Right => ({
    group,
    resource,
    ...(namespace === undefined ? {} : { namespace }),
    verbs: ['list'],
    neededBy: [],
    forExpiry: true,
  });
  return [
    list('admissionregistration.k8s.io', 'validatingwebhookconfigurations'),
    list('admissionregistration.k8s.io', 'mutatingwebhookconfigurations'),
    list('apiextensions.k8s.io', 'customresourcedefinitions'),
    list('apiregistration.k8s.io', 'apiservices'),
    {
      group: '',
      resource: 'configmaps',
      name: 'extension-apiserver-authentication',
      namespace: 'kube-system',
      verbs: ['get'],
      neededBy: [],
      forExpiry: true,
    },
    ...secretNamespaces.filter((each) => each !== TOKEN_NAMESPACE).map((each) => list('', 'secrets', each)),
  ];
}

const ADMIN_SIGNER = 'kubernetes.io/kube-apiserver-client';
const EVERYTHING: Right = { verbs: ['*'], group: '*', resource: '*', neededBy: [] };

/** With one of these a stolen account makes itself an administrator, or takes what is not its own. */
export const EXCESSIVE_RIGHTS: readonly Right[] = [
  EVERYTHING,
  { verbs: ['approve', 'sign'], group: CERTIFICATES, resource: 'signers', name: ADMIN_SIGNER, neededBy: [] },
  { ...CSRS, verbs: ['create'], neededBy: [] },
  { group: '', resource: 'secrets', verbs: ['get'], neededBy: [] },
  { group: '', resource: 'users', verbs: ['impersonate'], neededBy: [] },
];

/** What to ask the API server for one verb of a right. */
export function attributesOf(
  { verbs: _verbs, neededBy: _neededBy, forExpiry: _forExpiry, ...object }: Right,
  verb: string,
): ResourceAttributes {
  return { verb, ...object };
}

/** A user as an access review takes it; a service account is in the groups that the API server puts it into. */
export function requesterOf(username: string): Requester {
  const [, namespace] = /^system:serviceaccount:([^:]+):[^:]+$/.exec(username) ?? [];
  const groups = namespace === undefined ? [] : ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
  return { username, uid: '', groups: [...groups, 'system:authenticated'], extra: {} };
}

const SERVICE_USER = 'if the service runs as another user, name it with --service-user.';
const MEND_MISSING = `kubectl apply -f manifests/base/20-rbac.yaml; ${SERVICE_USER}`;

/** Rights that are missing or too many, one finding for each object that they are about. */
export function checkServiceRights(user: string, answers: readonly RightAnswer[]): readonly Finding[] {
  const who = describeSubject(`user ${user}`);
  const unknown = answers.flatMap(({ answer }) => (answer.known ? [] : [answer.why]));
  const missing = answers.filter((each) => each.needed && isAllowed(each) === false);
  const tooMany = answers.filter((each) => !each.needed && isAllowed(each) === true);
  const all = tooMany.filter(({ right }) => right === EVERYTHING);
  return [
    ...unknown.slice(0, 1).map((why) => notChecked('service rights', who, why)),
    ...(missing.length > 0 && missing.length === answers.filter(({ needed }) => needed).length
      ? [finding('RightMissing', who, 'has none of the rights that it needs', MEND_MISSING)]
      : byObject(missing).map(([object, [first, verbs]]) => {
          return finding(codeOf(first.right), who, `may not ${verbs} ${object}`, MEND_MISSING);
        })),
    ...byObject(all.length > 0 ? all : tooMany).map(([object, [, verbs]]) =>
      finding(
        'RightsTooMany',
        who,
        object === '*' ? 'may do everything' : `may ${verbs} ${object}`,
        `Take the right away; ${SERVICE_USER}`,
      ),
    ),
  ];
}

function codeOf({ resource, forExpiry }: Right): 'RightMissing' | 'EventsNotAllowed' | 'EndsNotSeen' {
  if (forExpiry === true) return 'EndsNotSeen';
  return resource === EVENTS ? 'EventsNotAllowed' : 'RightMissing';
}

function isAllowed({ answer }: RightAnswer): boolean | undefined {
  return answer.known ? answer.value.allowed : undefined;
}

/** The first answer for each object, and all verbs there are for it. */
function byObject(answers: readonly RightAnswer[]): [string, [RightAnswer, string]][] {
  const objects = new Map<string, [RightAnswer, string]>();
  for (const each of answers) {
    const object = objectOf(each.right);
    const [first, verbs] = objects.get(object) ?? [each, ''];
    objects.set(object, [first, verbs === '' ? each.verb : `${verbs}, ${each.verb}`]);
  }
  return [...objects];
}

function objectOf({ resource, subresource, name, namespace }: Right): string {
  return [
    subresource === undefined ? resource : `${resource}/${subresource}`,
    ...(name === undefined ? [] : [name]),
    ...(namespace === undefined ? [] : [`in ${namespace}`]),
  ].join(' ');
}
