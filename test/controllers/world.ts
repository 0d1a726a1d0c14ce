/** The controllers over ports in memory, wired as the service wires them; a test does the work of the queues. */
import { AccessByClass } from '../../src/controllers/access.ts';
import { Approver } from '../../src/controllers/approver.ts';
import type { Claimed } from '../../src/controllers/claim-desk.ts';
import { Cleaner } from '../../src/controllers/cleaner.ts';
import { Decider } from '../../src/controllers/decider.ts';
import { FactGatherer } from '../../src/controllers/fact-gatherer.ts';
import { noNodeFacts } from '../support/no-facts.ts';
import { PendingRequests } from '../../src/controllers/pending-requests.ts';
import { Releases } from '../../src/controllers/releases.ts';
import { Seats } from '../../src/controllers/seats.ts';
import { Signer } from '../../src/controllers/signer.ts';
import { localSigner } from '../../src/local-ca/signer.ts';
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import { stateOf } from '../../src/policy/csr-state.ts';
import type { PolicyConfig } from '../../src/policy/policy-config.ts';
import type { RetentionWindows } from '../../src/policy/retention.ts';
import { type CertificateSigner, CLIENT_SIGNER, type Csr, type Requester, SERVING_SIGNER } from '../../src/ports.ts';
import { type Binding, groupOfBinding } from '../../src/tokens/binding.ts';
import { formatTime, type TokenSecretParts } from '../../src/tokens/token-secret.ts';
import { buildCsrPem, type CsrParts, testAuthority } from '../support/csr-builder.ts';
import { HELD, onViolation, pool, servingPolicy } from '../policy/good-request.ts';
import { Foreground } from '../../src/runtime/foreground.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { Calls, MemoryAccess, MemoryCsrs, Reports } from '../support/memory-ports.ts';
import { MemoryTokenSecrets } from '../support/memory-tokens.ts';

export const never = new AbortController().signal;
export const HOUR = 3_600_000;
export const TOKEN_ID = 'abcdef';
export const SECRET_PART = '0123456789abcdef';

export const WINDOWS: RetentionWindows = {
  issued: HOUR,
  denied: HOUR,
  failed: HOUR,
  pending: 24 * HOUR,
  approvedUnissued: 2 * HOUR,
  superseded: HOUR / 2,
};

/** A bootstrap token's requester, as the API server authenticates it. */
export function bootstrapUser(binding: Binding = { kind: 'node', node: 'worker-1' }, id = TOKEN_ID): Requester {
  const groups = ['system:bootstrappers', groupOfBinding(binding), 'system:authenticated'];
  return { username: `system:bootstrap:${id}`, uid: '', groups, extra: {} };
}

export function nodeUser(node = 'worker-1'): Requester {
  return {
    username: `system:node:${node}`,
    uid: '',
    groups: ['system:nodes', 'system:authenticated'],
    extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${HELD}`] },
  };
}

/** The Secret of a token that an admin made by hand. */
export function tokenParts(
  id: string,
  options: { binding?: Binding; expiresAt?: number; data?: Readonly<Record<string, string>> } = {},
): TokenSecretParts {
  const { binding = { kind: 'node', node: 'worker-1' } } = options;
  return {
    name: `bootstrap-token-${id}`,
    labels: {},
    annotations: {},
    data: {
      'token-id': id,
      'token-secret': SECRET_PART,
      'usage-bootstrap-authentication': 'true',
      'auth-extra-groups': groupOfBinding(binding),
      ...(options.expiresAt === undefined ? {} : { expiration: formatTime(options.expiresAt) }),
      ...options.data,
    },
  };
}

export interface WorldOptions {
  readonly onViolation?: 'wait' | 'deny';
  readonly accessReview?: 'class' | 'full';
  readonly backend?: (real: CertificateSigner) => CertificateSigner;
  readonly perSecond?: number;
  readonly dryRun?: boolean;
  readonly withSigner?: boolean;
  readonly observes?: boolean;
}

/** Everything about CSRs in one place. A good token, `abcdef` for worker-1, is there, and the bindings are granted. */
export class World {
  readonly clock = new FakeClock(Math.floor(Date.now() / 1000) * 1000);
  readonly calls = new Calls();
  readonly csrs = new MemoryCsrs(this.calls);
  readonly tokens = new MemoryTokenSecrets(this.calls);
  readonly access = new MemoryAccess(this.calls);
  readonly reports = new Reports();
  readonly pending = new PendingRequests(this.csrs.view, () => this.clock.now());
  /** Of nodes of which something else is on record. */
  readonly records = new Map<string, Partial<NodeRecord>>();
  /** CSRs whose certificate the signer told of. */
  readonly issued: string[] = [];
  /** Names of issued CSRs that are not on record yet. */
  readonly unrecorded = new Set<string>();
  readonly policy: PolicyConfig;
  readonly releases = new Releases(this.clock);
  readonly decider: Decider;
  readonly approver: Approver;
  readonly signer: Signer;
  readonly cleaner: Cleaner;
  readonly authorityPem: string;
  /** Whether a use of the token is left for who asks. */
  claimed: Claimed = 'claimed';
  /** What is being signed, for the cleaner. */
  readonly foreground = new Foreground(this.clock);
  /** How often the signer said that its backend is back. */
  recovered = 0;
  onEarlyEnd: 'shorten' | 'refuse' = 'shorten';
  #made = 0;

  static async make(options: WorldOptions = {}): Promise<World> {
    const { certPem, keyPem } = await testAuthority();
    return new World(options, certPem, keyPem);
  }

  private constructor(options: WorldOptions, certPem: string, keyPem: string) {
    const { clock, csrs, tokens, pending } = this;
    this.authorityPem = certPem;
    this.policy = {
      pools: new Map([['workers', pool('workers', 'worker-.*')]]),
      unboundTokensUntil: undefined,
      longestRequestSeconds: 86_400,
      ...servingPolicy('10.0.0.0/8'),
      onViolation: onViolation(options.onViolation ?? 'wait'),
      controlPlane: undefined,
      staleAfterMs: HOUR / 4,
      renewWithoutNodeMs: HOUR,
      credentials: 'adopt',
    };
    const facts = new FactGatherer({
      releases: this.releases,
      ...noNodeFacts(),
      records: {
        fresh: () => true,
        get: (node) => ({ known: true, value: this.recordOf(node) }),
        othersInPool: () => 0,
      },
      nodes: { fresh: () => true, get: (name) => ({ name, uid: name, createdAt: 0, beingDeleted: false }) },
      tokens: tokens.view,
      access: new AccessByClass({ reviewer: this.access, clock, mode: options.accessReview ?? 'class' }),
      clock,
    });
    this.decider = new Decider({ policy: () => this.policy, facts, later: pending });
    const { events, telemetry, log } = this.reports;
    const shared = { csrs: csrs.view, pending, decider: this.decider, writer: csrs, events, telemetry, log, clock };
    const source = { describe: () => 'test', load: () => Promise.resolve({ certPem, keyPem }) };
    const real = localSigner({ source, clock, onProblem: () => {} });
    const seats = new Seats({
      claims: { claim: () => Promise.resolve(this.claimed) },
      records: { othersInPool: () => 0, reserve: () => {} },
      releases: this.releases,
      policy: () => this.policy,
      clock,
    });
    this.signer = new Signer({
      ...shared,
      seats,
      backend: options.backend?.(real) ?? real,
      onRecovered: () => {
        this.recovered += 1;
      },
      lifetime: (usage, nodeName, pool) =>
        (nodeName === 'worker-9' ? 9 : pool === 'workers' ? 6 : usage === 'client' ? 24 : 12) * HOUR,
      onEarlyEnd: () => this.onEarlyEnd,
      onIssued: (csr) => this.issued.push(csr.name),
    });
    this.approver = new Approver({
      ...shared,
      seats,
      observes: options.observes ?? false,
      onApproved: (csr) => {
        if (options.withSigner !== false) this.signer.offer(csr);
      },
    });
    this.cleaner = new Cleaner({
      ...shared,
      isRecorded: ({ name }) => !this.unrecorded.has(name),
      windows: WINDOWS,
      concurrency: 4,
      perSecond: options.perSecond ?? Number.POSITIVE_INFINITY,
      foreground: this.foreground,
      dryRun: options.dryRun ?? false,
    });
    const settle = (csr: Csr): void => {
      this.approver.forget(csr);
      this.signer.forget(csr);
    };
    csrs.view.subscribe({
      put: (csr) => {
        const state = stateOf(csr);
        if (state !== 'pending') this.approver.forget(csr);
        pending.put(csr);
        if (state !== 'pending' && state !== 'approved') settle(csr);
      },
      gone: (csr) => {
        pending.gone(csr);
        settle(csr);
      },
    });
    for (const group of ['nodeclient system:bootstrappers', 'selfnodeclient system:nodes'])
      this.access.granted.add(group);
    tokens.store(tokenParts(TOKEN_ID, { expiresAt: clock.now() + 24 * HOUR }));
  }

  /** What is on record of a node: the certificate that `nodeUser` presents, unless a test says otherwise. */
  recordOf(node: string): NodeRecord {
    const notAfter = this.clock.now() + 24 * HOUR;
    const certificates = [{ fingerprint: HELD, notAfter, issuedAt: this.clock.now(), issuer: '' }];
    return { ...emptyRecord(node), certificates, ...this.records.get(node) };
  }

  /** A CSR as a kubelet makes it now: a first client certificate, unless told otherwise. */
  addCsr(parts: Partial<Csr> = {}, request: CsrParts = {}): Csr {
    this.#made += 1;
    return this.csrs.store({
      name: `csr-${this.#made}`,
      uid: `uid-csr-${this.#made}`,
      resourceVersion: '',
      createdAt: this.clock.now(),
      labels: {},
      annotations: {},
      finalizers: [],
      hasLargeMetadata: false,
      beingDeleted: false,
      signerName: CLIENT_SIGNER,
      requester: bootstrapUser(),
      usages: ['digital signature', 'client auth'],
      expirationSeconds: undefined,
      request: Buffer.from(buildCsrPem(request)),
      conditions: [],
      issued: false,
      certificate: undefined,
      ...parts,
    });
  }

  addRenewal(parts: Partial<Csr> = {}, request: CsrParts = {}): Csr {
    return this.addCsr({ requester: nodeUser(), ...parts }, request);
  }

  addServing(parts: Partial<Csr> = {}, request: CsrParts = {}): Csr {
    return this.addCsr(
      {
        signerName: SERVING_SIGNER,
        requester: nodeUser(),
        usages: ['digital signature', 'server auth'],
        ...parts,
      },
      { dns: ['worker-1'], ips: ['10.1.2.3'], ...request },
    );
  }

  /** The CSR as an admin approves it by hand, with the same checks as nobody's. */
  approveByHand(csr: Csr, type = 'Approved'): Csr {
    const stored = this.csrs.stored(csr.name) ?? csr;
    const at = this.clock.now();
    const condition = {
      type,
      status: 'True',
      reason: 'ByHand',
      message: '',
      lastUpdateTime: at,
      lastTransitionTime: at,
    };
    return this.csrs.store({ ...stored, conditions: [...stored.conditions, condition] });
  }
}

/** What a promise that has to fail fails with. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  const outcome = await work.then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  if (outcome === undefined) throw new Error('it succeeded');
  return outcome.error;
}
