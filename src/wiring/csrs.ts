/** Everything about CSRs: watches, approver, signer and cleaner, and which event wakes which. */
import { randomUUID } from 'node:crypto';
import { longestLifetime, runningControllers } from '../config.ts';
import { AccessByClass } from '../controllers/access.ts';
import { Approver } from '../controllers/approver.ts';
import { Cleaner } from '../controllers/cleaner.ts';
import { Decider } from '../controllers/decider.ts';
import { type AddressSources, FactGatherer, type NodeRecords, recordFact } from '../controllers/fact-gatherer.ts';
import { PendingRequests } from '../controllers/pending-requests.ts';
import { placeOf } from '../controllers/place.ts';
import { Seats } from '../controllers/seats.ts';
import { Signer } from '../controllers/signer.ts';
import { accessReviews } from '../kubernetes/access-reviews.ts';
import { csrListWatch, csrWriter } from '../kubernetes/csrs.ts';
import { Events } from '../kubernetes/events.ts';
import { IssuedCertificates } from '../kubernetes/issued-certificates.ts';
import type { Transport } from '../kubernetes/transport.ts';
import { signerLabel } from '../ops/metrics.ts';
import { lifetimeOfNode } from '../pki/lifetimes.ts';
import { assumedFacts } from '../policy/assumed-facts.ts';
import { stateOf, waits } from '../policy/csr-state.ts';
import { reviewForSigning } from '../policy/review.ts';
import {
  type CertificateSigner,
  CLIENT_SIGNER,
  type Csr,
  type EventSink,
  KUBELET_SIGNERS,
  type Store,
} from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Controller } from '../runtime/controller.ts';
import type { Informer, ListWatch } from '../runtime/informer.ts';
import type { Part } from '../runtime/lifecycle.ts';
import { mergeStores } from '../runtime/merged-store.ts';
import { periodic } from '../runtime/periodic.ts';
import type { RoomLimits } from '../runtime/room.ts';
import type { TokenRecord } from '../tokens/token-secret.ts';
import { type Context, controllerOf, informerOf } from './context.ts';
import type { NodeState } from './node-state.ts';
import type { ConfigInForce } from './reload.ts';

export interface CsrSide {
  readonly csrs: Store<Csr>;
  readonly informers: readonly Informer<Csr>[];
  readonly controllers: readonly Controller[];
  /** True while nothing can be signed. */
  readonly signerHeld: () => boolean;
  /** Writes Events, or none where the service only observes. */
  readonly events: EventSink;
  /** Sweeps and the writer of Events. */
  readonly parts: readonly Part[];
  /** Has every unsettled CSR of this token looked at again. */
  readonly tokenChanged: (token: TokenRecord) => void;
}

/** Events are for the owners of nodes: a service that only observes tells its own owner. */
const SILENT_EVENTS: EventSink = { warn: () => true };

/** Whatever one requester makes at once, few keys of it wait, and of one node fewer. */
const WAITING_AT_MOST: RoomLimits = { ofUser: 500, ofFlow: 100 };

/** Where others approve, they count. */
const UNCOUNTED: Pick<Seats, 'take'> = { take: () => Promise.resolve(true) };

/** Where others approve, what they looked at is theirs to know (DESIGN D6); a ban is an admin's word to this service. */
function trusting(clock: Clock, records: NodeRecords): Pick<FactGatherer, 'gather'> {
  return {
    gather: (request) => {
      const record = recordFact(records, request.nodeName);
      return Promise.resolve({ ...assumedFacts(request, clock.now()), record });
    },
  };
}

/** Wires the CSR half of the service; nothing runs before its parts are started. */
export function csrSide(
  context: Context,
  transport: Transport,
  tokens: Store<TokenRecord>,
  inForce: ConfigInForce,
  state: NodeState,
  addresses: AddressSources,
  backend: CertificateSigner,
): CsrSide {
  const { config, foreground, clock, log, metrics } = context;
  const runs = runningControllers(config);
  const observes = config.mode === 'observe';
  const watched: readonly string[] = KUBELET_SIGNERS;
  const served = config.serving.enabled ? watched : [CLIENT_SIGNER];
  const certificates = new IssuedCertificates();
  const listWatch = (signer: string | undefined): ListWatch<Csr> => csrListWatch(transport, signer, certificates);
  const informers =
    config.cleaner.allSigners && runs.has('cleaner')
      ? [informerOf(context, 'csrs', listWatch(undefined))]
      : watched.map((name) => informerOf(context, `csrs-${signerLabel(name)}`, listWatch(name)));
  const csrs = mergeStores(informers);
  const pending = new PendingRequests(csrs, () => clock.now());
  const events = new Events({
    transport,
    clock,
    instance: `kubelet-bootstrap-${randomUUID().slice(0, 8)}`,
    unique: randomUUID,
    onDropped: (why) => metrics.eventDropped(why),
  });
  const facts = new FactGatherer({
    ...state.facts,
    addresses,
    tokens,
    access: new AccessByClass({ reviewer: accessReviews(transport), clock, mode: config.approver.accessReview }),
    clock,
  });
  const decider =
    config.mode === 'sign-only'
      ? new Decider({
          policy: () => inForce.policy,
          facts: trusting(clock, state.records),
          review: reviewForSigning,
        })
      : new Decider({ policy: () => inForce.policy, facts, later: pending });
  const shared = {
    csrs,
    pending,
    decider,
    writer: csrWriter(transport, certificates),
    events: observes ? SILENT_EVENTS : events,
    telemetry: metrics,
    log,
    clock,
  };

  const seats = new Seats({
    claims: state.claims,
    records: state.records,
    releases: state.records.releases,
    policy: () => inForce.policy,
    clock,
  });
  const signer = new Signer({
    ...shared,
    seats: config.mode === 'sign-only' ? UNCOUNTED : seats,
    backend,
    lifetime: (usage, nodeName, pool) =>
      lifetimeOfNode(nodeName, longestLifetime(inForce.config, usage, pool), inForce.config.signer.lifetime.steps),
    onEarlyEnd: () => inForce.config.signer.ca.onEarlyEnd,
    onIssued: (csr) => state.records.saw(csr),
    onRecovered: () => requeue([...csrs.values()].filter((csr) => stateOf(csr) === 'approved').map(({ name }) => name)),
  });
  const approver = new Approver({
    ...shared,
    seats,
    observes,
    onApproved: (csr) => {
      if (!runs.has('signer')) return;
      signer.offer(csr);
      if (!signing.add(csr.name)) signer.withdraw(csr);
    },
  });
  const place = (name: string): ReturnType<typeof placeOf> => {
    const csr = csrs.get(name);
    return placeOf(csr === undefined ? undefined : pending.view(csr));
  };
  const approving = controllerOf(context, {
    name: 'approver',
    concurrency: config.approver.concurrency,
    reconcile: (name, signal) => foreground.hold(() => approver.reconcile(name, signal)),
    placeOf: place,
    // What is only observed may be settled by others before its turn comes, and be reported all the same.
    limits: observes ? undefined : WAITING_AT_MOST,
    onRoom: (user) => queueMissing(approving, 'pending', user),
  });
  const signing = controllerOf(context, {
    name: 'signer',
    drains: true,
    concurrency: config.signer.concurrency,
    reconcile: (name, signal) => foreground.hold(() => signer.reconcile(name, signal)),
    placeOf: place,
    limits: WAITING_AT_MOST,
    onRoom: (user) => queueMissing(signing, 'approved', user),
  });

  const queue = (csr: Csr): void => {
    if (!served.includes(csr.signerName)) return;
    const stage = stateOf(csr);
    if (stage === 'pending' && observes) approver.capture(pending.view(csr));
    if (stage === 'pending' && runs.has('approver')) approving.add(csr.name);
    if (stage === 'approved' && runs.has('signer')) signing.add(csr.name);
  };
  /** The copy in memory knows what was turned away: whatever waits, and nobody plans to look at. */
  const queueMissing = ({ queue: line }: Controller, stage: 'pending' | 'approved', user: string): void => {
    for (const name of pending.ofRequester(user)) {
      const csr = csrs.get(name);
      if (csr === undefined || stateOf(csr) !== stage || line.has(name)) continue;
      queue(csr);
      if (!line.admits(user)) return;
    }
  };
  const settle = (csr: Csr): void => {
    approver.forget(csr);
    signer.forget(csr);
    facts.forget(csr.uid);
    approving.queue.forget(csr.name);
    signing.queue.forget(csr.name);
  };
  for (const informer of informers) {
    informer.subscribe({
      put: (csr) => {
        if (!watched.includes(csr.signerName)) return;
        state.records.saw(csr);
        pending.put(csr);
        if (stateOf(csr) !== 'pending') approver.forget(csr);
        if (!waits(csr)) settle(csr);
        // What the signer has in hand already it need not look at again.
        else if (!signer.wasOffered(csr) || !signing.queue.has(csr.name)) queue(csr);
      },
      gone: (csr) => {
        pending.gone(csr);
        settle(csr);
      },
    });
  }

  const requeue = (names: readonly string[]): void => {
    for (const name of names) {
      const csr = csrs.get(name);
      if (csr !== undefined) queue(csr);
    }
  };
  state.subscribe((node) => requeue(pending.ofNode(node)));
  inForce.subscribe(() => requeue([...csrs.values()].map(({ name }) => name)));

  const cleaner = new Cleaner({
    ...shared,
    ...config.cleaner,
    foreground,
    isRecorded: (csr) => state.records.isRecorded(csr),
    windows: config.cleaner.retention,
    dryRun: config.cleaner.dryRun || observes,
  });
  const sweep = periodic('cleaner', config.cleaner.interval, clock, (signal) => cleaner.sweep(signal));
  return {
    csrs,
    informers,
    // Stopped in reverse: what the approver finishes is still signed.
    controllers: [...(runs.has('signer') ? [signing] : []), ...(runs.has('approver') ? [approving] : [])],
    parts: [
      { name: 'events', start: () => {}, stop: (signal) => events.stop(signal) },
      ...(runs.has('cleaner') ? [sweep] : []),
    ],
    signerHeld: () => signer.isHeld,
    events: shared.events,
    tokenChanged: (token) => requeue(pending.ofRequester(`system:bootstrap:${token.id}`)),
  };
}
