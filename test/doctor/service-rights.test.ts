import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseAllDocuments } from 'yaml';
import { CONTROLLERS } from '../../src/config/schema.ts';
import {
  attributesOf,
  checkServiceRights,
  type ControllerName,
  EXCESSIVE_RIGHTS,
  neededRights,
  requesterOf,
  type Right,
  type RightAnswer,
} from '../../src/doctor/service-rights.ts';
import { read } from '../support/readme.ts';

const USER = 'system:serviceaccount:kube-system:kubelet-bootstrap';

const needed = (
  controllers: readonly ControllerName[] = CONTROLLERS,
  change: Partial<Parameters<typeof neededRights>[0]> = {},
): Right[] =>
  neededRights({
    controllers: new Set(controllers),
    observes: false,
    serving: true,
    stateNamespace: 'kubelet-bootstrap',
    expiry: { secretNamespaces: ['kube-system'] },
    ...change,
  });

/** `update certificatesigningrequests/approval`, with name and namespace where there are some. */
function words(right: RightAnswer['right'], verb: string): string {
  const { resource, subresource, name, namespace } = attributesOf(right, verb);
  return [verb, subresource === undefined ? resource : `${resource}/${subresource}`, name, namespace]
    .filter((each) => each !== undefined)
    .join(' ');
}

/** Every right as the manifest gives it, but for those that `wrong` names. */
function answers(...wrong: readonly string[]): RightAnswer[] {
  const of = (rights: Right[], isNeeded: boolean): RightAnswer[] =>
    rights.flatMap((right) =>
      right.verbs.map((verb) => ({
        right,
        verb,
        needed: isNeeded,
        answer: { known: true, value: { allowed: isNeeded !== wrong.includes(words(right, verb)), reason: '' } },
      })),
    );
  return [...of(needed(), true), ...of([...EXCESSIVE_RIGHTS], false)];
}

const CLIENT = 'kubernetes.io/kube-apiserver-client-kubelet';

describe('doctor/service-rights', () => {
  const ROWS: readonly (readonly [string, readonly string[], readonly (readonly [string, string])[]])[] = [
    ['nothing is found with the rights of the manifest', [], []],
    [
      'no approval',
      ['update certificatesigningrequests/approval'],
      [['RightMissing', 'may not update certificatesigningrequests/approval']],
    ],
    ['no signature', [`sign signers ${CLIENT}`], [['RightMissing', `may not sign signers ${CLIENT}`]]],
    [
      'two verbs of one object are one finding',
      ['get secrets kube-system', 'delete secrets kube-system'],
      [['RightMissing', 'may not get, delete secrets in kube-system']],
    ],
    ['no Events is less bad', ['create events default'], [['EventsNotAllowed', 'may not create events in default']]],
    [
      'what ends and cannot be looked at is less bad, too',
      ['list apiservices', 'get configmaps extension-apiserver-authentication kube-system'],
      [
        ['EndsNotSeen', 'may not list apiservices'],
        ['EndsNotSeen', 'may not get configmaps extension-apiserver-authentication in kube-system'],
      ],
    ],
    [
      "no Leases of nodes, and no Nodes: the live-node guard's",
      ['get leases kube-node-lease', 'list nodes'],
      [
        ['RightMissing', 'may not list nodes'],
        ['RightMissing', 'may not get leases in kube-node-lease'],
      ],
    ],
    [
      'approval of administrators is too much',
      ['approve signers kubernetes.io/kube-apiserver-client'],
      [['RightsTooMany', 'may approve signers kubernetes.io/kube-apiserver-client']],
    ],
    ['Secrets of every namespace are too much', ['get secrets'], [['RightsTooMany', 'may get secrets']]],
    [
      'everything is told once',
      ['* *', 'get secrets', 'impersonate users', 'create certificatesigningrequests'],
      [['RightsTooMany', 'may do everything']],
    ],
  ];
  for (const [what, wrong, wanted] of ROWS) {
    it(what, () => {
      const found = checkServiceRights(USER, answers(...wrong));
      expect(found.map((each) => [each.code, each.found])).to.deep.equal(wanted);
    });
  }

  it('has one finding for an account without any right', () => {
    const none = answers().map(
      (each) => ({ ...each, answer: { known: true, value: { allowed: false, reason: '' } } }) as const,
    );
    const [found, ...more] = checkServiceRights(USER, none);
    expect(more).to.deep.equal([]);
    expect(found).to.include({ code: 'RightMissing', what: 'service account kube-system/kubelet-bootstrap' });
    expect(found?.mend).to.include('manifests/base/20-rbac.yaml').and.include('--service-user');
  });

  it('that could not be asked is told once and not taken for missing', () => {
    const unknown = answers().map((each) => ({ ...each, answer: { known: false, why: 'forbidden' } }) as const);
    expect(checkServiceRights(USER, unknown).map(({ code }) => code)).to.deep.equal(['NotChecked']);
  });

  it('wants what manifests/base/20-rbac.yaml gives, no more and no less', () => {
    interface Rule {
      readonly apiGroups: readonly string[];
      readonly resources: readonly string[];
      readonly resourceNames?: readonly string[];
      readonly verbs: readonly string[];
    }
    const documents = parseAllDocuments(read('manifests/base/20-rbac.yaml')).map(
      (document) => document.toJS() as { metadata: { namespace?: string }; rules?: readonly Rule[] },
    );
    const given = documents.flatMap(({ metadata, rules = [] }) =>
      rules.flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
        resources.flatMap((resource) =>
          (resourceNames ?? [undefined]).flatMap((name) =>
            verbs.map((verb) => [apiGroups[0], verb, resource, name, metadata.namespace].filter(Boolean).join(' ')),
          ),
        ),
      ),
    );
    const wanted = needed().flatMap((right) =>
      right.verbs.map((verb) => [right.group, words(right, verb)].filter(Boolean).join(' ')),
    );
    expect(wanted).to.have.members(given);
  });

  it('wants no more than the controllers of the config need', () => {
    const of = (...controllers: ControllerName[]): string[] =>
      needed(controllers, { serving: false }).flatMap((right) => right.verbs.map((verb) => words(right, verb)));
    expect(of('approver')).to.include(`approve signers ${CLIENT}`).and.not.include(`sign signers ${CLIENT}`);
    expect(of('signer')).to.include('update certificatesigningrequests/status');
    expect(of('signer')).to.not.include('update certificatesigningrequests/approval');
    expect(of('cleaner')).to.include('delete certificatesigningrequests').and.not.include('create events default');
    expect(of('minter')).to.include('create secrets kube-system').and.not.include('delete certificatesigningrequests');
    expect(of(...CONTROLLERS).join('\n')).to.not.include('kubelet-serving');
  });

  it('wants to list TLS Secrets in the namespaces that are named, and to look at nothing where it is switched off', () => {
    const of = (expiry: Parameters<typeof neededRights>[0]['expiry']): string[] =>
      needed(CONTROLLERS, { expiry }).flatMap((right) => right.verbs.map((verb) => words(right, verb)));
    expect(of({ secretNamespaces: ['hooks'] })).to.include('list secrets hooks');
    expect(of(undefined).join('\n')).to.not.match(/webhook|apiservices|customresource|extension-apiserver/);
  });

  it('wants no right to decide where it only observes', () => {
    const wanted = needed(CONTROLLERS, { observes: true }).flatMap((right) =>
      right.verbs.map((verb) => words(right, verb)),
    );
    expect(wanted).to.include('watch certificatesigningrequests').and.include('create subjectaccessreviews');
    expect(wanted.join('\n')).to.not.match(/signers|approval|status|events|delete certificatesigningrequests/);
  });

  it('puts a service account into its groups, and any other user into none', () => {
    expect(requesterOf(USER).groups).to.deep.equal([
      'system:serviceaccounts',
      'system:serviceaccounts:kube-system',
      'system:authenticated',
    ]);
    expect(requesterOf('kubelet-bootstrap').groups).to.deep.equal(['system:authenticated']);
  });
});
