/** What broke at Datadog: the two classes of kubelets, and whether RBAC lets each create CSRs and have them approved. */
import type { Fact } from '../policy/facts.ts';
import type { AccessKind, Requester, ResourceAttributes } from '../ports.ts';
import { BOOTSTRAPPERS_GROUP, groupOfBinding } from '../tokens/binding.ts';
import { type Finding, finding, whenKnown } from './finding.ts';

/** A row of the matrix: a class of requesters, and what its approval is asked by. */
export interface AccessClass {
  /** The group that makes the class. */
  readonly who: string;
  readonly kind: AccessKind;
  /** With whom to ask for creating CSRs and watching them. */
  readonly creator: Requester;
  /** With whom to ask for the approval: the groups alone, as the service does (DESIGN D7). */
  readonly approved: Requester;
}

/** What RBAC does not give to the class; words as `wordOf` makes them. */
export interface AccessRow {
  readonly of: AccessClass;
  readonly missing: Fact<readonly string[]>;
}

const AUTHENTICATED = 'system:authenticated';
const NODES_GROUP = 'system:nodes';
/** The Node authorizer only answers for a name; for CSRs any does. */
const ANY_NODE = 'system:node:kubelet-bootstrap-doctor';
/** A kubelet creates its CSR and watches it until the certificate is there. */
const CSR_VERBS = ['create', 'get', 'list', 'watch'] as const;
const CSRS = { group: 'certificates.k8s.io', resource: 'certificatesigningrequests' } as const;
const ROLE_OF_KIND = 'system:certificates.k8s.io:certificatesigningrequests:';

const anybody = (groups: readonly string[], username = ''): Requester => ({
  username,
  uid: '',
  groups: [...groups, AUTHENTICATED],
  extra: {},
});

/** Both classes, and every pool by its group. */
export function accessClasses(pools: Iterable<string>): AccessClass[] {
  const bootstrap = (who: string, groups: readonly string[]): AccessClass => ({
    who,
    kind: 'nodeclient',
    creator: anybody(groups),
    approved: anybody(groups),
  });
  return [
    bootstrap(BOOTSTRAPPERS_GROUP, [BOOTSTRAPPERS_GROUP]),
    {
      who: NODES_GROUP,
      kind: 'selfnodeclient',
      creator: anybody([NODES_GROUP], ANY_NODE),
      approved: anybody([NODES_GROUP]),
    },
    ...[...pools].map((pool) => {
      const group = groupOfBinding({ kind: 'pool', pool });
      return bootstrap(group, [BOOTSTRAPPERS_GROUP, group]);
    }),
  ];
}

/** Everything to ask for a class, and the word that stands for it in `missing`. */
export function accessQuestions({ kind, creator, approved }: AccessClass): {
  readonly word: string;
  readonly subject: Requester;
  readonly attributes: ResourceAttributes;
}[] {
  return [
    ...CSR_VERBS.map((verb) => ({ word: verb, subject: creator, attributes: { ...CSRS, verb } })),
    { word: kind, subject: approved, attributes: { ...CSRS, verb: 'create', subresource: kind } },
  ];
}

/** What stands in a cell of the matrix: `yes`, `no`, `unknown`, or which of the verbs are missing. */
export function accessCell({ of, missing }: AccessRow, column: 'create' | 'approval'): string {
  if (!missing.known) return 'unknown';
  if (column === 'approval') return missing.value.includes(of.kind) ? 'no' : 'yes';
  const verbs = CSR_VERBS.filter((verb) => missing.value.includes(verb));
  if (verbs.length === 0) return 'yes';
  return verbs.includes('create') ? 'no' : `yes, but not ${verbs.join(', ')}`;
}

/** A missing cell is an error; one that a pool only shares with every token is told once. */
export function checkAccess(rows: readonly AccessRow[]): readonly Finding[] {
  const lacking = new Set<string>();
  return rows.flatMap((row) =>
    whenKnown('access matrix', row.of.who, row.missing, (missing) => {
      const { who, kind } = row.of;
      const common = who.startsWith(`${BOOTSTRAPPERS_GROUP}:`) ? lacking : new Set<string>();
      const own = missing.filter((word) => !common.has(word));
      if (who === BOOTSTRAPPERS_GROUP) for (const word of missing) lacking.add(word);
      const verbs = own.filter((word) => word !== kind);
      return [
        ...(verbs.length === 0 ? [] : [missingCreation(who, verbs)]),
        ...(own.includes(kind) ? [missingApproval(who, kind)] : []),
      ];
    }),
  );
}

function missingCreation(who: string, verbs: readonly string[]): Finding {
  const mend =
    who === NODES_GROUP
      ? 'Run the API server with --authorization-mode=Node,RBAC: this is part of the Node authorizer.'
      : bindingOf(who, 'system:node-bootstrapper');
  return finding('AccessMissing', `CSRs of ${who}`, `RBAC does not allow to ${verbs.join(', ')} them`, mend);
}

function missingApproval(who: string, kind: AccessKind): Finding {
  const after = kind === 'nodeclient' ? 'new nodes wait for ever' : 'nodes are lost when their certificate ends';
  return finding(
    'AccessMissing',
    `approval for ${who}`,
    `RBAC does not allow ${kind}: ${after}`,
    bindingOf(who, ROLE_OF_KIND + kind),
  );
}

function bindingOf(group: string, role: string): string {
  const ready = group === BOOTSTRAPPERS_GROUP || group === NODES_GROUP;
  return `Bind ClusterRole ${role} to group ${group}${ready ? ': manifests/base/21-node-bindings.yaml' : ''}.`;
}
