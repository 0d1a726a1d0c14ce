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
  | 'MetadataTooLarge'
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
  | 'DnsNameReserved'
  | 'DnsNameOfOtherNode'
  | 'IpAddressOutOfRange'
  | 'IpAddressNotVouched'
  | 'AddressReserved'
  | 'AddressOfOtherNode'
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
    meaning:
      'The certificate is none of those on record, or not of the line that was renewed last: two may hold the identity.',
  },
  TokenReusedOtherKey: {
    alarm: false,
    meaning: 'The node asked again with another key before it was seen; kubelets do that after a lost reply.',
  },
};

/** Every code that a violation can carry; stable across releases. */
export type ReasonCode = CsrProblemCode | PolicyReason;

/**
 * What a reason is about: the bytes of the CSR, who asks for whom, names and addresses, usages and duration. Only these can
 * be final: nothing outside the CSR makes them right.
 */
export type FinalReasonClass = 'form' | 'identity' | 'names' | 'terms';

export interface ReasonEntry {
  /**
   * `state`: it depends on something that can change (a binding, a token, a range in the config), so it is never final
   * and never denied.
   */
  readonly class: FinalReasonClass | 'state';
  /** What the owner of the node should do, one sentence. */
  readonly mend: string;
}

/** True when nothing outside the CSR can make it right: only these may be denied. */
export function isFinal(code: ReasonCode): boolean {
  return REASONS[code].class !== 'state';
}

/** What keeps a CSR from being written off, whatever else is wrong with it. */
const HOLDING: ReadonlySet<ReasonCode> = new Set(['FactUnavailable', 'MetadataTooLarge']);

/** True when these leave the CSR to wait, even where another is final: something is not known, or it cannot be written to. */
export function isHeld(codes: readonly ReasonCode[]): boolean {
  return codes.some((code) => HOLDING.has(code));
}

const REBUILD = 'Have the kubelet make its CSR itself; whatever made this one sends what no kubelet sends.';

/** Every reason code, in the order of the checks. The README's table is held against this one by a test. */
export const REASONS: Readonly<Record<ReasonCode, ReasonEntry>> = {
  RequesterNotRecognised: {
    class: 'state',
    mend: 'Only bootstrap tokens and nodes are served; whoever else needs a node certificate gets it by other means.',
  },
  RequesterNotToken: {
    class: 'identity',
    mend: 'A client certificate carries the user name of a token: find out who issued it.',
  },
  RequesterGroupMissing: {
    class: 'identity',
    mend: 'The requester must be in system:bootstrappers (tokens) or system:nodes (nodes): check its credential.',
  },
  MetadataTooLarge: {
    class: 'state',
    mend: 'Find out who wrote so much into labels, annotations or finalizers of the CSR; the kubelet makes another one.',
  },
  RequestTooLarge: { class: 'form', mend: REBUILD },
  PemMalformed: { class: 'form', mend: REBUILD },
  DerMalformed: { class: 'form', mend: REBUILD },
  SubjectMalformed: { class: 'form', mend: REBUILD },
  AttributeNotAllowed: { class: 'form', mend: REBUILD },
  ExtensionNotAllowed: { class: 'form', mend: REBUILD },
  SanKindNotAllowed: { class: 'form', mend: REBUILD },
  SanMalformed: { class: 'form', mend: REBUILD },
  TooManySans: { class: 'form', mend: 'Give the node fewer addresses; 64 names and addresses are the limit.' },
  KeyNotAllowed: { class: 'form', mend: 'Use RSA 2048 to 8192, P-256, P-384, P-521 or Ed25519.' },
  SignatureAlgorithmNotAllowed: { class: 'form', mend: 'Sign the CSR with SHA-256 or better.' },
  SignatureInvalid: { class: 'form', mend: 'The requester does not hold the private key of the CSR.' },
  TokenNotBound: { class: 'state', mend: 'Issue a token with `bootstrap-token issue --for-node` or `--pool`.' },
  TokenBindingAmbiguous: { class: 'state', mend: 'Issue a token with exactly one binding group.' },
  TokenBindingMalformed: { class: 'state', mend: 'Issue the token with `bootstrap-token issue`.' },
  TokenPoolUnknown: { class: 'state', mend: 'Add the pool to `pools` in the config.' },
  TokenNotFound: { class: 'state', mend: 'The token was revoked or used up: issue a new one.' },
  TokenExpired: { class: 'state', mend: 'Issue a new token.' },
  TokenBeingDeleted: { class: 'state', mend: 'Issue a new token.' },
  TokenDisabled: {
    class: 'state',
    mend: "The token's Secret was edited so that it no longer logs in: issue a new token.",
  },
  TokenBindingChanged: {
    class: 'state',
    mend: "The groups of the token's Secret were edited after the request: issue a new token.",
  },
  TokenSpent: {
    class: 'state',
    mend: 'The node has its certificate: keep it, or issue a new token; if the node did not ask, its token was stolen.',
  },
  TokenUsedUp: { class: 'state', mend: "Fetch the pool's present token and restart the kubelet." },
  PoolFull: { class: 'state', mend: "Remove nodes that are gone, or raise the pool's `maxNodes`." },
  NodeBanned: { class: 'state', mend: 'Find out why it was banned; lift it with `kubelet-bootstrap node unban`.' },
  NodeIsLive: {
    class: 'state',
    mend: 'If the machine was replaced: `kubelet-bootstrap node release NAME`; if not, somebody else has its token.',
  },
  NodeCertificateValid: {
    class: 'state',
    mend: "Wait for the certificate's end, delete the Node object, or `kubelet-bootstrap node release NAME`.",
  },
  RejoinNotAllowed: { class: 'state', mend: 'Delete the Node object, or `kubelet-bootstrap node release NAME`.' },
  OrganizationNotSystemNodes: { class: 'identity', mend: REBUILD },
  CommonNameNotNode: {
    class: 'identity',
    mend: 'The name of the node must be a lower-case DNS name of at most 251 characters.',
  },
  TokenBoundToOtherNode: { class: 'state', mend: 'Issue a token for this node; find out who holds the one it used.' },
  NodeNameNotInPool: { class: 'state', mend: "Rename the node, or widen the pool's `nodeNames`." },
  ControlPlaneName: {
    class: 'state',
    mend: 'Issue a token for this node alone, or set `controlPlane` in the pool if its nodes are the control plane.',
  },
  CommonNameNotRequester: { class: 'identity', mend: 'A node may only ask for itself.' },
  CredentialUnknown: {
    class: 'state',
    mend: 'Bootstrap the node anew, or set `approver.credentials: adopt` until every node is on record.',
  },
  CredentialConflict: {
    class: 'state',
    mend: 'Two hold certificates of this node: ban it, find the other, bootstrap it anew.',
  },
  NodeObjectMissing: { class: 'state', mend: 'Restart the kubelet, which registers its Node, or retire the machine.' },
  SanNotAllowed: { class: 'names', mend: 'A client certificate has no DNS names and addresses.' },
  SanMissing: { class: 'names', mend: 'Give the node an address: a serving certificate without one is of no use.' },
  DnsNameNotOfNode: { class: 'state', mend: 'Add the suffix to `serving.dnsSuffixes` if the name is legitimate.' },
  DnsNameReserved: {
    class: 'state',
    mend: "Rename the node: the name is a Service's, or the API server's and the node none of `controlPlane.nodeNames`.",
  },
  DnsNameOfOtherNode: {
    class: 'state',
    mend: 'Find out which of the two nodes has the name, and rename the other or correct the inventory.',
  },
  IpAddressOutOfRange: {
    class: 'state',
    mend: 'Add the range to `serving.addressRanges` if the address is legitimate.',
  },
  IpAddressNotVouched: {
    class: 'state',
    mend: "Correct the node's entry in the inventory, or issue its token with `--address`.",
  },
  AddressReserved: {
    class: 'state',
    mend: "Take the address off the node: it is the API server's, a Service's, or that of no host.",
  },
  AddressOfOtherNode: {
    class: 'state',
    mend: 'Find out which of the two nodes has the address, and correct the other.',
  },
  UsagesNotExact: { class: 'terms', mend: REBUILD },
  DurationTooLong: { class: 'state', mend: 'Ask for less, or raise `approver.longestRequest`.' },
  AccessNotGranted: {
    class: 'state',
    mend: 'Bind the missing ClusterRole to the group that the message names; the CSR is looked at again every 30 s.',
  },
  Superseded: { class: 'state', mend: 'Nothing: the kubelet made a newer request, which is the one it waits for.' },
  FactUnavailable: {
    class: 'state',
    mend: 'Nothing on the node: the service could not read what it needs; see its log.',
  },
};
