/** What the controllers need from outside, in their own words. Adapters implement these; tests may, too. */
import type { Latitude } from './pki/certificate-check.ts';
import type { ExpiryKind, ObjectReference, Thing } from './expiry/thing.ts';
import type { CertificatePlan } from './pki/certificate-plan.ts';
import type { IssuedCertificate } from './pki/certificate-summary.ts';
import type { StoredRecord } from './nodes/record-format.ts';
import type { Claim } from './nodes/token-claims.ts';

export const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client-kubelet';
export const SERVING_SIGNER = 'kubernetes.io/kubelet-serving';
/** The only two signers that this service ever touches, unless the cleaner is told otherwise. */
export const KUBELET_SIGNERS = [CLIENT_SIGNER, SERVING_SIGNER] as const;

/** Who made a CSR, as the API server authenticated it; the client cannot influence any of it. */
export interface Requester {
  readonly username: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  /** Others can write these times: never the only proof of age. Milliseconds since the epoch. */
  readonly lastUpdateTime: number | undefined;
  readonly lastTransitionTime: number | undefined;
}

/** A CertificateSigningRequest, every field required and of one shape whether it came from a list or a watch. */
export interface Csr {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Set by the API server, in ms since the epoch. */
  readonly createdAt: number;
  /** Echoed on every write: what a PUT does not send is wiped. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly finalizers: readonly string[];
  /** Labels, annotations and finalizers were too many and are not kept: nothing may be written to this CSR. */
  readonly hasLargeMetadata: boolean;
  readonly beingDeleted: boolean;
  readonly signerName: string;
  readonly requester: Requester;
  readonly usages: readonly string[];
  readonly expirationSeconds: number | undefined;
  /** The bytes of `spec.request`: PEM text as the requester sent it. Empty once a certificate is there or Denied. */
  readonly request: Uint8Array;
  readonly conditions: readonly Condition[];
  /** A certificate stands in the status. Its PEM is not kept: 50,000 settled CSRs must fit into memory. */
  readonly issued: boolean;
  /** What the certificate says; undefined when there is none or it is unreadable. */
  readonly certificate: IssuedCertificate | undefined;
}

/** Writes to CSRs. Every write names uid and resourceVersion; a `Conflict` or `NotFound` is an ordinary outcome. */
export interface CsrWriter {
  /** Reads one CSR afresh; undefined when it is gone. */
  get(name: string, signal: AbortSignal): Promise<Csr | undefined>;
  /** Adds Approved or Denied through `/approval`. Answers the CSR as it is after the write. */
  decide(csr: Csr, type: 'Approved' | 'Denied', reason: string, message: string, signal: AbortSignal): Promise<Csr>;
  /** Puts the certificate into the status. */
  issue(csr: Csr, certificatePem: string, signal: AbortSignal): Promise<Csr>;
  /** Adds Failed: for what can never succeed. */
  fail(csr: Csr, reason: string, message: string, signal: AbortSignal): Promise<Csr>;
  /** Deletes exactly this version of this CSR. */
  remove(csr: Csr, signal: AbortSignal): Promise<void>;
}

/** A ConfigMap that holds node records or the claims of a token (DESIGN D16); one of the two is empty. */
export interface StateMap {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** ms since the epoch. */
  readonly createdAt: number;
  readonly records: ReadonlyMap<string, StoredRecord>;
  readonly claims: ReadonlyMap<string, Claim>;
}

/** Writes to these ConfigMaps. */
export interface StateMaps {
  list(signal: AbortSignal): Promise<StateMap[]>;
  /** Read from the API server itself; undefined when there is none. */
  get(name: string, signal: AbortSignal): Promise<StateMap | undefined>;
  /**
   * Sets these keys and removes those that are null; other keys stay. Creates the map where it is missing. With
   * `expected` (a resourceVersion, or '' for "must not exist") throws `Conflict` when somebody else wrote first.
   */
  write(
    name: string,
    changes: Readonly<Record<string, string | null>>,
    expected: string | undefined,
    signal: AbortSignal,
  ): Promise<StateMap>;
  /** Gone is fine. */
  remove(map: StateMap, signal: AbortSignal): Promise<void>;
}

/** A Node object, of which only the metadata is watched. */
export interface NodeObject {
  readonly name: string;
  readonly uid: string;
  /** ms since the epoch. */
  readonly createdAt: number;
  readonly beingDeleted: boolean;
}

/** The Leases in kube-node-lease that kubelets renew. */
export interface NodeLeases {
  /** Last renewal, ms since the epoch; undefined when the node has no Lease. */
  renewedAt(node: string, signal: AbortSignal): Promise<number | undefined>;
}

/** What an informer keeps and what the controllers read from it. */
export interface Store<T> {
  get(key: string): T | undefined;
  values(): Iterable<T>;
  readonly size: number;
  /** False until the first complete list, and whenever the watch has been silent for too long. */
  fresh(): boolean;
}

export type AccessKind = 'nodeclient' | 'selfnodeclient';
export interface AccessAnswer {
  readonly allowed: boolean;
  /** What the authorizer said, such as the name of the binding. */
  readonly reason: string;
}

/** What an access review asks for, as RBAC names it; what is left out is '' to the authorizers. */
export interface ResourceAttributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly name?: string;
  readonly namespace?: string;
}

/** SubjectAccessReview for creating `certificatesigningrequests/nodeclient` or `/selfnodeclient` (upstream sarapprove.go). */
export interface AccessReviewer {
  review(kind: AccessKind, subject: Requester, signal: AbortSignal): Promise<AccessAnswer>;
}

/** The CA that certificates will be issued with; what a plan needs to know of it. */
export interface Authority {
  readonly subjectDer: Uint8Array;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly notBefore: number;
  readonly notAfter: number;
  /** Leaf comes first in what `sign` answers; these PEMs follow it (none for a root). */
  readonly certificatePem: string;
  /** What its certificates may have otherwise than planned. */
  readonly latitude: Latitude;
}

/** A signer backend (DESIGN D12). It never decides: it is handed a plan and answers a certificate. */
export interface CertificateSigner {
  /**
   * The CA in force; the same object for as long as nothing was read anew. Throws RefusedError `AuthorityUnusable` or a
   * RemoteError when there is none to use now.
   */
  authority(signal: AbortSignal): Promise<Authority>;
  /**
   * PEM of a certificate as planned; checking it is the caller's. `request` is the CSR that the plan was made from, PEM,
   * for backends that sign nothing without one: of it they may take the public key and the names, which were checked.
   */
  sign(plan: CertificatePlan, request: Uint8Array, signal: AbortSignal): Promise<string>;
  /**
   * What keeps it from signing certificates of some kind although it has a CA, in a line; undefined when nothing does.
   * Throws as `authority` does.
   */
  problem(signal: AbortSignal): Promise<string | undefined>;
}

/** Where things with an end are read; each look reads them anew. */
export interface ExpirySource {
  /** What it reads: of this kind and name is the row that tells that it could not. */
  readonly kind: ExpiryKind;
  /** Undefined where it reads all of the kind. */
  readonly name?: string;
  /** Throws what keeps it from reading. */
  read(signal: AbortSignal): Promise<readonly Thing[]>;
}

/** One thing worth telling the owner of a CSR, or of another object; the adapter limits the rate. */
export type Notice = NoticeText &
  ({ readonly csr: { readonly name: string; readonly uid: string } } | { readonly object: ObjectReference });

export interface NoticeText {
  /** Stable reason code. */
  readonly reason: string;
  readonly message: string;
  /** One Event per source and reason in ten minutes: the requester, or the class when a whole class is hit. */
  readonly source: string;
}

export interface EventSink {
  /**
   * Never throws and never waits. Answers false when there are too many now: say it again at the next look. One that
   * then cannot be written is counted and dropped.
   */
  warn(notice: Notice): boolean;
}

/** Structured log lines; fields never hold a secret. */
export interface Log {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** What is counted. Every label comes from a closed set. */
export interface Telemetry {
  decided(signerName: string, verdict: 'approve' | 'wait' | 'deny', reason: string): void;
  /** An approval that is worth a remark. */
  remarked(signerName: string, code: string): void;
  /** `seconds` from the creation of the CSR to its certificate. */
  issued(signerName: string, seconds: number): void;
  /** Approved by somebody, and not signed. */
  withheld(signerName: string, reason: string): void;
  failed(signerName: string, reason: string): void;
  /** A certificate that differed from its plan was thrown away. */
  notAsPlanned(signerName: string): void;
  removedCsr(why: string): void;
  removedToken(why: 'expired' | 'spent' | 'half-done' | 'revoked'): void;
  minted(kind: 'node' | 'pool'): void;
  mintFailed(pool: string): void;
}
