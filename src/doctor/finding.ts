/** What `doctor` can find, and how bad it is. */
import type { Fact } from '../policy/facts.ts';

/** `error`: nodes wait, or the wrong machine can become a node. `warning`: so it may come. `info`: good to know. */
export type Severity = 'error' | 'warning' | 'info';

/** The checks, in the order in which they are made, and what each looks at. */
export const CHECKS = {
  'api server': 'whether it answers, and accepts the credential',
  clock: "the API server's clock against this host's",
  'access matrix': 'whether RBAC lets tokens and nodes create CSRs and have them approved',
  'service rights': "what RBAC allows the service's account, against what it needs",
  rivals: 'who else has decided on or signed the CSRs of kubelets that are in the cluster; kube-controller-manager',
  privileges: 'who else may approve, sign or read tokens; what bootstrap tokens may do besides',
  'node records': 'whether every Node has a record, and how many were adopted',
  config: 'rules of the config that admit nearly everything',
  authority: 'the CA that is signed with, against those that the API server trusts for client certificates',
  vault: "whether Vault can be used, and what the service's login may do there",
} as const;
export type CheckName = keyof typeof CHECKS;

interface FindingEntry {
  readonly check: CheckName;
  readonly severity: Severity;
  readonly meaning: string;
}

/** Every finding in the order of the checks; codes are stable. The README's table is held against this one by a test. */
export const FINDINGS = {
  ApiServerUnusable: {
    check: 'api server',
    severity: 'error',
    meaning: 'The API server does not answer, or refuses the credential: nothing in the cluster could be looked at.',
  },
  ClockOff: {
    check: 'clock',
    severity: 'warning',
    meaning: "The API server's clock and this host's are more than 30 s apart.",
  },
  AccessMissing: {
    check: 'access matrix',
    severity: 'error',
    meaning: 'A class of nodes may not create CSRs, or not have them approved: it waits for ever.',
  },
  RightMissing: {
    check: 'service rights',
    severity: 'error',
    meaning: 'The service lacks a right that one of its controllers cannot do without.',
  },
  EventsNotAllowed: {
    check: 'service rights',
    severity: 'warning',
    meaning: 'The service cannot write Events: nodes wait without saying why.',
  },
  EndsNotSeen: {
    check: 'service rights',
    severity: 'warning',
    meaning: 'The service cannot look at something that ends: webhooks, API services, client CAs or TLS Secrets.',
  },
  RightsTooMany: {
    check: 'service rights',
    severity: 'warning',
    meaning: 'Whoever steals the account of the service gets more than the certificates of nodes.',
  },
  GuardBypassed: {
    check: 'rivals',
    severity: 'error',
    meaning: 'kube-controller-manager approves and somebody else than this config signs: a token makes any node.',
  },
  ControllerManagerSigns: {
    check: 'rivals',
    severity: 'error',
    meaning: 'kube-controller-manager signs for kubelets: its lifetimes and its CA, and whatever anybody approves.',
  },
  ControllerManagerApproves: {
    check: 'rivals',
    severity: 'warning',
    meaning: 'kube-controller-manager approves for kubelets; what this service would not, it leaves unsigned.',
  },
  ControllerManagerUnclear: {
    check: 'rivals',
    severity: 'warning',
    meaning: 'kube-controller-manager runs, its flags cannot be seen, and by default it approves and signs.',
  },
  OtherSigner: {
    check: 'rivals',
    severity: 'error',
    meaning: 'Certificates in CSRs of kubelets are not from the CA of the config, or live longer than it allows.',
  },
  OtherApprover: {
    check: 'rivals',
    severity: 'warning',
    meaning: 'Somebody else approved or denied CSRs of kubelets that are in the cluster.',
  },
  OthersInForce: {
    check: 'rivals',
    severity: 'info',
    meaning: 'Who approves or signs where `mode` leaves that to others.',
  },
  ApproverTrusted: {
    check: 'privileges',
    severity: 'error',
    meaning: 'Somebody else may approve, and this config does not sign: what signs believes every approval.',
  },
  ForeignApprover: {
    check: 'privileges',
    severity: 'warning',
    meaning: 'Somebody else may approve or sign for kubelets.',
  },
  ApproverInForce: {
    check: 'privileges',
    severity: 'info',
    meaning: 'Who may approve where `mode` leaves that to others: they decide who becomes which node.',
  },
  OrdinaryApprovers: {
    check: 'privileges',
    severity: 'info',
    meaning: 'Who may approve or sign in every cluster: administrators, and kube-controller-manager.',
  },
  TokensMayHarm: {
    check: 'privileges',
    severity: 'error',
    meaning: 'Whoever has a bootstrap token can read Secrets, or approve or sign CSRs.',
  },
  TokensMayMore: {
    check: 'privileges',
    severity: 'warning',
    meaning: 'A bootstrap token is good for more than CSRs.',
  },
  TokenReaders: {
    check: 'privileges',
    severity: 'info',
    meaning: 'Who may read the bootstrap tokens themselves: the Secrets of kube-system.',
  },
  StrictTooSoon: {
    check: 'node records',
    severity: 'warning',
    meaning: '`approver.credentials` is `strict`, and the renewals of some nodes wait because they are not on record.',
  },
  RecordUnreadable: {
    check: 'node records',
    severity: 'warning',
    meaning: 'The record of a node cannot be read: its requests wait.',
  },
  NodesNotOnRecord: {
    check: 'node records',
    severity: 'info',
    meaning: 'Some nodes have not renewed yet since the service came: leave `approver.credentials` at `adopt`.',
  },
  EveryNodeOnRecord: {
    check: 'node records',
    severity: 'info',
    meaning: 'Nothing unknown is left: `approver.credentials: strict` can be switched on.',
  },
  PoolPatternWide: {
    check: 'config',
    severity: 'warning',
    meaning: '`nodeNames` of a pool admits any name, as acknowledged: its token is good for nearly every node.',
  },
  AddressRangesWide: {
    check: 'config',
    severity: 'warning',
    meaning: 'Half of all addresses or more, as acknowledged: nodes get serving certificates for addresses of others.',
  },
  PoolUnlimited: {
    check: 'config',
    severity: 'info',
    meaning: 'A pool has no `maxNodes`: who has its token can make any number of nodes.',
  },
  UnboundTokensAdmitted: {
    check: 'config',
    severity: 'warning',
    meaning: 'Until `approver.unboundTokensUntil` any token of the cluster is good for any node.',
  },
  LongRequestsAdmitted: {
    check: 'config',
    severity: 'warning',
    meaning: 'Certificates of more than a year may be asked for.',
  },
  DeniesForGood: {
    check: 'config',
    severity: 'info',
    meaning: '`approver.onViolation: deny`: a denied kubelet makes 28 times more CSRs than a waiting one.',
  },
  ReviewsInFull: {
    check: 'config',
    severity: 'info',
    meaning: '`approver.accessReview: full`: one more call to the API server for every CSR.',
  },
  SigningCaUnusable: {
    check: 'authority',
    severity: 'error',
    meaning: 'There is no CA that can sign, or it cannot sign every kind of certificate.',
  },
  SigningCaNotTrusted: {
    check: 'authority',
    severity: 'error',
    meaning: 'The API server does not know the CA that is signed with: no node can log in with what it gets.',
  },
  SigningCaEndsSoon: {
    check: 'authority',
    severity: 'warning',
    meaning: 'The CA that is signed with ends within 30 days, or before the certificates that it would sign.',
  },
  OtherClientCas: {
    check: 'authority',
    severity: 'info',
    meaning: 'Other CAs whose client certificates the API server trusts: each can make any node, and any admin.',
  },
  VaultUnusable: {
    check: 'vault',
    severity: 'error',
    meaning: 'Vault is sealed, does not answer, or refuses the login.',
  },
  VaultRightMissing: {
    check: 'vault',
    severity: 'error',
    meaning: "The service's login lacks a right that manifests/vault/service.hcl gives.",
  },
  VaultTokenLacksRight: {
    check: 'vault',
    severity: 'warning',
    meaning: 'The token of VAULT_TOKEN lacks such a right; whether it is that of the service is not known here.',
  },
  VaultRightsTooMany: {
    check: 'vault',
    severity: 'warning',
    meaning: "The service's login is root, has sudo, or can write the CA key.",
  },
} as const satisfies Readonly<Record<string, FindingEntry>>;
export type FindingCode = keyof typeof FINDINGS | 'NotChecked';

/** Of what keeps a check from being made; it belongs to every check. */
export const NOT_CHECKED: Omit<FindingEntry, 'check'> = {
  severity: 'warning',
  meaning: 'A check could not be made; `found` says why.',
};

/** One thing that an admin should know, and what to do about it. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly check: CheckName;
  /** What was looked at. */
  readonly what: string;
  readonly found: string;
  readonly mend: string;
}

/** A finding with the severity that its code has. */
export function finding(code: keyof typeof FINDINGS, what: string, found: string, mend: string): Finding {
  const { check, severity } = FINDINGS[code];
  return { code, severity, check, what, found, mend };
}

/** That a check could not be made. */
export function notChecked(check: CheckName, what: string, why: string): Finding {
  const mend = 'Mend what stands in the way, or run this with a credential that may look at it.';
  return {
    code: 'NotChecked',
    severity: NOT_CHECKED.severity,
    check,
    what,
    found: `could not be checked: ${why}`,
    mend,
  };
}

/** What `look` finds in the value, or that it is not known. */
export function whenKnown<T>(
  check: CheckName,
  what: string,
  fact: Fact<T>,
  look: (value: T) => readonly Finding[],
): readonly Finding[] {
  return fact.known ? look(fact.value) : [notChecked(check, what, fact.why)];
}

/** The worst severity among these; undefined where there is none. */
export function worstOf(findings: readonly Finding[]): Severity | undefined {
  return (['error', 'warning', 'info'] as const).find((level) => findings.some(({ severity }) => severity === level));
}
