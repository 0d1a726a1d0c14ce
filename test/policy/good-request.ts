import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import type { IssuedCertificate } from '../../src/pki/certificate-summary.ts';
import type { AddressFacts, Facts } from '../../src/policy/facts.ts';
import { parseRanges } from '../../src/policy/addresses.ts';
import type { PolicyConfig, PoolPolicy } from '../../src/policy/policy-config.ts';
import type { ReasonCode } from '../../src/policy/reasons.ts';
import { viewRequest } from '../../src/policy/request.ts';
import { review } from '../../src/policy/review.ts';
import type { RuleInput } from '../../src/policy/rule.ts';
import type { RequestPath, Verdict } from '../../src/policy/verdict.ts';
import { CLIENT_SIGNER, type Csr, type Requester, SERVING_SIGNER } from '../../src/ports.ts';
import type { TokenRecord } from '../../src/tokens/token-secret.ts';
import { buildCsrPem, type CsrParts } from '../support/csr-builder.ts';

export const NOW = Date.UTC(2027, 0, 31, 12);
export const NODE = 'worker-1.example.org';
export const NODE_GROUP = 'system:bootstrappers:node:worker-1:example:org';
export const POOL_GROUP = 'system:bootstrappers:pool:workers';

/** What one row of a table changes in a request that is approved as it is. */
export interface Change {
  readonly parts?: CsrParts;
  /** Instead of what `parts` makes. */
  readonly request?: Uint8Array;
  readonly csr?: Partial<Csr>;
  readonly requester?: Partial<Requester>;
  readonly token?: Partial<TokenRecord>;
  readonly facts?: Partial<Facts>;
  readonly policy?: Partial<PolicyConfig>;
}

export const CREATED = NOW - 1000;
/** Fingerprint of the client certificate that the node has. */
export const HELD = 'f'.repeat(64);
const CREDENTIAL = { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${HELD}`] };

const REQUESTERS: Readonly<Record<RequestPath, Requester>> = {
  bootstrap: {
    username: 'system:bootstrap:abcdef',
    uid: '',
    groups: ['system:bootstrappers', NODE_GROUP, 'system:authenticated'],
    extra: {},
  },
  renewal: {
    username: `system:node:${NODE}`,
    uid: '',
    groups: ['system:nodes', 'system:authenticated'],
    extra: CREDENTIAL,
  },
  serving: {
    username: `system:node:${NODE}`,
    uid: '',
    groups: ['system:nodes', 'system:authenticated'],
    extra: CREDENTIAL,
  },
  other: { username: 'jane', uid: '', groups: ['system:authenticated'], extra: {} },
};

const SERVING_PARTS: CsrParts = { dns: [NODE, `${NODE}.ec2.internal`], ips: ['10.1.2.3', 'fd00::17'] };

/** A request that is approved (but for `other`), a good token, an allowed access review, and one change in it. */
export function ruleInput(path: RequestPath, change: Change = {}): RuleInput {
  const facts: Facts = {
    now: NOW,
    token: { known: true, value: { ...TOKEN, ...change.token } },
    access: { known: true, value: { allowed: true, reason: 'RBAC: allowed' } },
    record: { known: true, value: path === 'bootstrap' ? undefined : recorded() },
    presence: { known: true, value: { exists: path !== 'bootstrap', renewedAt: undefined, wasLive: false } },
    claims: { known: true, value: { uses: undefined, usedByOthers: 0, othersInPool: 0 } },
    addresses: { known: true, value: NO_OWNERS },
    supersededBy: undefined,
    ...change.facts,
  };
  return { request: viewRequest(goodCsr(path, change)), facts, policy: { ...POLICY, ...change.policy } };
}

/** The CSR in `ruleInput`. */
export function goodCsr(path: RequestPath, change: Change = {}): Csr {
  const parts: CsrParts = {
    commonName: `system:node:${NODE}`,
    ...(path === 'serving' ? SERVING_PARTS : {}),
    ...change.parts,
  };
  return {
    name: 'csr-x7k2p',
    uid: 'uid-1',
    resourceVersion: '1',
    createdAt: CREATED,
    labels: {},
    annotations: {},
    finalizers: [],
    hasLargeMetadata: false,
    beingDeleted: false,
    signerName: path === 'serving' ? SERVING_SIGNER : CLIENT_SIGNER,
    requester: { ...REQUESTERS[path], ...change.requester },
    usages: ['digital signature', path === 'serving' ? 'server auth' : 'client auth'],
    expirationSeconds: undefined,
    request: change.request ?? Buffer.from(buildCsrPem(parts)),
    conditions: [],
    issued: false,
    certificate: undefined,
    ...change.csr,
  };
}

/** What is on record of a node with one certificate. */
export function recorded(change: Partial<NodeRecord> = {}): NodeRecord {
  const certificates = [{ fingerprint: HELD, notAfter: NOW + 3_600_000, issuedAt: NOW - 1000, issuer: '' }];
  return { ...emptyRecord(NODE), certificates, ...change };
}

/** Nobody vouches for an address by name, and nobody owns one. */
export const NO_OWNERS: AddressFacts = {
  vouched: undefined,
  owners: new Map(),
  serviceRanges: parseRanges([]).ranges,
  apiServer: [],
};

/** A token in force that is bound in both ways. */
export const TOKEN: TokenRecord = {
  id: 'abcdef',
  uid: 'uid-2',
  resourceVersion: '1',
  description: '',
  groups: [NODE_GROUP, POOL_GROUP],
  binding: undefined,
  expiresAt: NOW + 1,
  authenticates: true,
  beingDeleted: false,
  ours: true,
  publishingUntil: undefined,
  vaultPath: undefined,
  issuedAt: undefined,
  uses: undefined,
  replacesLive: false,
  reportedStolen: false,
  reentry: false,
  addresses: [],
};

/** A certificate of the node that ends then. */
export function certificateUntil(notAfter: number): IssuedCertificate {
  return {
    fingerprint: HELD,
    key: 'e'.repeat(64),
    commonName: `system:node:${NODE}`,
    serial: '01',
    notBefore: notAfter - 3_600_000,
    notAfter,
    issuer: '',
    addresses: [],
  };
}

/** A pool that admits what matches the whole of the pattern. */
export function pool(name: string, pattern: string, change: Partial<PoolPolicy> = {}): PoolPolicy {
  return {
    name,
    ...nodeNames(pattern),
    controlPlane: false,
    rejoin: 'whenCertificateExpired',
    maxNodes: undefined,
    longestRequestSeconds: undefined,
    ranges: undefined,
    dnsSuffixes: undefined,
    ...change,
  };
}

/** Names that match the whole of the pattern. */
export function nodeNames(pattern: string): Pick<PoolPolicy, 'pattern' | 'admitsNodeName'> {
  const whole = new RegExp(`^(?:${pattern})$`);
  return { pattern, admitsNodeName: (nodeName) => whole.test(nodeName) };
}

/** Serving as `goodCsr` needs it, with these ranges. */
export function servingPolicy(...texts: readonly string[]): Pick<PolicyConfig, 'serving'> {
  const ranges = parseRanges(texts).ranges;
  const names = { clusterDomain: 'cluster.local', apiServerHost: 'api.example.org' };
  return { serving: { dnsSuffixes: ['ec2.internal'], ranges, ...names } };
}

/** The same for every class of reasons. */
export function onViolation(what: 'wait' | 'deny'): PolicyConfig['onViolation'] {
  return { form: what, identity: what, names: what, terms: what };
}

const POLICY: PolicyConfig = {
  pools: new Map([['workers', pool('workers', 'worker-[0-9]+\\.example\\.org')]]),
  unboundTokensUntil: undefined,
  longestRequestSeconds: 86_400,
  ...servingPolicy('10.0.0.0/8', 'fd00::/8'),
  onViolation: onViolation('wait'),
  controlPlane: undefined,
  staleAfterMs: 900_000,
  renewWithoutNodeMs: 3_600_000,
  credentials: 'adopt',
};

/** The codes of a verdict in its order; none for an approval. */
export function codesOf(verdict: Verdict): ReasonCode[] {
  return verdict.kind === 'approve' ? [] : verdict.violations.map(({ code }) => code);
}

/** The verdict, and the one where the config asks for denial. */
export function verdicts(input: RuleInput): { readonly waiting: Verdict; readonly denying: Verdict } {
  return {
    waiting: review(input),
    denying: review({ ...input, policy: { ...input.policy, onViolation: onViolation('deny') } }),
  };
}
