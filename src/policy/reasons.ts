import type { CsrProblemCode } from '../pki/kubelet-csr.ts';

/** Why a request is approved: also the reason of its Approved condition. */
export const APPROVAL_REASONS = {
  bootstrap: 'BootstrapApproved',
  renewal: 'RenewalApproved',
  serving: 'ServingApproved',
} as const;

/** What stands in the way of an approval, beyond what is wrong with the bytes of the CSR itself. */
export type PolicyReason =
  | 'RequesterNotRecognised'
  | 'RequesterNotToken'
  | 'RequesterGroupMissing'
  | 'TokenNotBound'
  | 'TokenBindingAmbiguous'
  | 'TokenBindingMalformed'
  | 'TokenPoolUnknown'
  | 'TokenNotFound'
  | 'TokenExpired'
  | 'TokenBeingDeleted'
  | 'TokenDisabled'
  | 'TokenBindingChanged'
  | 'TokenSpent'
  | 'TokenUsedUp'
  | 'PoolFull'
  | 'ControlPlaneName'
  | 'NodeBanned'
  | 'NodeIsLive'
  | 'NodeCertificateValid'
  | 'RejoinNotAllowed'
  | 'NodeObjectMissing'
  | 'CredentialUnknown'
  | 'CredentialConflict'
  | 'OrganizationNotSystemNodes'
  | 'CommonNameNotNode'
  | 'TokenBoundToOtherNode'
  | 'NodeNameNotInPool'
  | 'CommonNameNotRequester'
  | 'SanNotAllowed'
  | 'SanMissing'
  | 'DnsNameNotOfNode'
  | 'IpAddressOutOfRange'
  | 'UsagesNotExact'
  | 'DurationTooLong'
  | 'AccessNotGranted'
  | 'Superseded'
  | 'FactUnavailable';

/** What an approval can be worth a remark for. */
export type RemarkCode = 'CredentialAdopted' | 'CredentialConflict' | 'TokenReusedOtherKey';

/** What each remark says, and whether an Event tells of it. */
export const REMARKS: Readonly<Record<RemarkCode, { readonly alarm: boolean; readonly meaning: string }>> = {
  CredentialAdopted: { alarm: false, meaning: 'The certificate that it renews was not on record; the new one is.' },
  CredentialConflict: {
    alarm: true,
    meaning: 'The node renews with a certificate other than those on record: two may hold its identity.',
  },
  TokenReusedOtherKey: {
    alarm: false,
    meaning: 'The node asked again with another key before it was seen; kubelets do that after a lost reply.',
  },
};

/** Every code that a violation can carry; stable across releases. */
export type ReasonCode = CsrProblemCode | PolicyReason;

export interface ReasonEntry {
  /**
   * True when nothing outside the CSR can make it right: only these may be denied. What depends on a fact that can
   * change (a binding, a token, an address range in the config) is never final.
   */
  readonly final: boolean;
  /** What the owner of the node should do, one sentence. */
  readonly mend: string;
}

const REBUILD = 'Have the kubelet make its CSR itself; whatever made this one sends what no kubelet sends.';

/** Every reason code, in the order of the checks. The README's table is held against this one by a test. */
export const REASONS: Readonly<Record<ReasonCode, ReasonEntry>> = {
  RequesterNotRecognised: {
    final: false,
    mend: 'Only bootstrap tokens and nodes are served; whoever else needs a node certificate gets it by other means.',
  },
  RequesterNotToken: {
    final: true,
    mend: 'A client certificate carries the user name of a token: find out who issued it.',
  },
  RequesterGroupMissing: {
    final: true,
    mend: 'The requester must be in system:bootstrappers (tokens) or system:nodes (nodes): check its credential.',
  },
  RequestTooLarge: { final: true, mend: REBUILD },
  PemMalformed: { final: true, mend: REBUILD },
  DerMalformed: { final: true, mend: REBUILD },
  SubjectMalformed: { final: true, mend: REBUILD },
  AttributeNotAllowed: { final: true, mend: REBUILD },
  ExtensionNotAllowed: { final: true, mend: REBUILD },
  SanKindNotAllowed: { final: true, mend: REBUILD },
  SanMalformed: { final: true, mend: REBUILD },
  TooManySans: { final: true, mend: 'Give the node fewer addresses; 64 names and addresses are the limit.' },
  KeyNotAllowed: { final: true, mend: 'Use RSA 2048 to 8192, P-256, P-384, P-521 or Ed25519.' },
  SignatureAlgorithmNotAllowed: { final: true, mend: 'Sign the CSR with SHA-256 or better.' },
  SignatureInvalid: { final: true, mend: 'The requester does not hold the private key of the CSR.' },
  TokenNotBound: { final: false, mend: 'Issue a token with `bootstrap-token issue --for-node` or `--pool`.' },
  TokenBindingAmbiguous: { final: false, mend: 'Issue a token with exactly one binding group.' },
  TokenBindingMalformed: { final: false, mend: 'Issue the token with `bootstrap-token issue`.' },
  TokenPoolUnknown: { final: false, mend: 'Add the pool to `pools` in the config.' },
  TokenNotFound: { final: false, mend: 'The token was revoked or used up: issue a new one.' },
  TokenExpired: { final: false, mend: 'Issue a new token.' },
  TokenBeingDeleted: { final: false, mend: 'Issue a new token.' },
  TokenDisabled: {
    final: false,
    mend: "The token's Secret was edited so that it no longer logs in: issue a new token.",
  },
  TokenBindingChanged: {
    final: false,
    mend: "The groups of the token's Secret were edited after the request: issue a new token.",
  },
  TokenSpent: {
    final: false,
    mend: 'The node has its certificate: keep it, or issue a new token; if the node did not ask, its token was stolen.',
  },
  TokenUsedUp: { final: false, mend: "Fetch the pool's present token and restart the kubelet." },
  PoolFull: { final: false, mend: "Remove nodes that are gone, or raise the pool's `maxNodes`." },
  NodeBanned: { final: false, mend: 'Find out why it was banned; lift it with `kubelet-bootstrap node unban`.' },
  NodeIsLive: {
    final: false,
    mend: 'If the machine was replaced: `kubelet-bootstrap node release NAME`; if not, somebody else has its token.',
  },
  NodeCertificateValid: {
    final: false,
    mend: "Wait for the certificate's end, delete the Node object, or `kubelet-bootstrap node release NAME`.",
  },
  RejoinNotAllowed: { final: false, mend: 'Delete the Node object, or `kubelet-bootstrap node release NAME`.' },
  OrganizationNotSystemNodes: { final: true, mend: REBUILD },
  CommonNameNotNode: {
    final: true,
    mend: 'The name of the node must be a lower-case DNS name of at most 251 characters.',
  },
  TokenBoundToOtherNode: { final: false, mend: 'Issue a token for this node; find out who holds the one it used.' },
  NodeNameNotInPool: { final: false, mend: "Rename the node, or widen the pool's `nodeNames`." },
  ControlPlaneName: {
    final: false,
    mend: 'Issue a token for this node alone, or set `controlPlane` in the pool if its nodes are the control plane.',
  },
  CommonNameNotRequester: { final: true, mend: 'A node may only ask for itself.' },
  CredentialUnknown: {
    final: false,
    mend: 'Bootstrap the node anew, or set `approver.credentials: adopt` until every node is on record.',
  },
  CredentialConflict: {
    final: false,
    mend: 'Two hold certificates of this node: ban it, find the other, bootstrap it anew.',
  },
  NodeObjectMissing: { final: false, mend: 'Restart the kubelet, which registers its Node, or retire the machine.' },
  SanNotAllowed: { final: true, mend: 'A client certificate has no DNS names and addresses.' },
  SanMissing: { final: true, mend: 'Give the node an address: a serving certificate without one is of no use.' },
  DnsNameNotOfNode: { final: false, mend: 'Add the suffix to `serving.dnsSuffixes` if the name is legitimate.' },
  IpAddressOutOfRange: { final: false, mend: 'Add the range to `serving.addressRanges` if the address is legitimate.' },
  UsagesNotExact: { final: true, mend: REBUILD },
  DurationTooLong: { final: false, mend: 'Ask for less, or raise `approver.longestRequest`.' },
  AccessNotGranted: {
    final: false,
    mend: 'Bind the missing ClusterRole to the group that the message names; the CSR is looked at again every 30 s.',
  },
  Superseded: { final: false, mend: 'Nothing: the kubelet made a newer request, which is the one it waits for.' },
  FactUnavailable: {
    final: false,
    mend: 'Nothing on the node: the service could not read what it needs; see its log.',
  },
};
