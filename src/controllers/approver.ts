import { isRemote } from '../errors.ts';
import { stateOf } from '../policy/csr-state.ts';
import { type ReasonCode, REMARKS } from '../policy/reasons.ts';
import type { RequestView } from '../policy/request.ts';
import { describeViolations, reasonOf, type Verdict } from '../policy/verdict.ts';
import type { Csr, CsrWriter, EventSink, Log, Store, Telemetry } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { decisionFields } from './decision-log.ts';
import { type Decider, type Decision, sourceOf } from './decider.ts';
import { Pace } from './pace.ts';
import { groupOf, type PendingRequests } from './pending-requests.ts';
import type { Seats } from './seats.ts';

export interface ApproverOptions {
  readonly csrs: Store<Csr>;
  readonly pending: PendingRequests;
  readonly decider: Decider;
  readonly writer: CsrWriter;
  readonly seats: Seats;
  /** Decides and reports, and writes nothing (mode `observe`). */
  readonly observes: boolean;
  /** Told of every CSR right after its approval, with the version that the write gave it. */
  readonly onApproved: (csr: Csr) => void;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly telemetry: Telemetry;
  readonly log: Log;
}

/** What can change without an event that leads to this CSR is looked at again this often. */
const SOON_MS = 30_000;
const SOON_OTHERWISE: ReadonlySet<ReasonCode> = new Set([
  'AccessNotGranted',
  'FactUnavailable',
  'AddressOfOtherNode',
  'DnsNameOfOtherNode',
]);
/** Everything else waits for a change, or this long. */
const LOOK_AGAIN_MS = 5 * 60_000;
const TAKEN_AGAIN_MS = 1_000;
/** Between two approvals for one requester, signer and name: of what comes faster, newer requests supersede the rest. */
const APART_MS = 1_000;

const MESSAGES = {
  deciding: { approve: 'CSR approved', deny: 'CSR denied', wait: 'CSR left waiting' },
  observing: { approve: 'CSR would be approved', deny: 'CSR would be denied', wait: 'CSR would be left waiting' },
} as const;

/** Decides on pending CSRs of the kubelet signers: one PUT to `/approval`, or none at all. */
export class Approver {
  readonly #options: ApproverOptions;
  readonly #pace: Pace;
  /** Decided by us, until the watch shows it: what is read meanwhile is old. */
  readonly #decided = new Set<string>();
  /** Mode `observe`: by name, until they were judged and are settled. */
  readonly #captured = new Map<string, RequestView>();
  /** The last reason that a waiting CSR was reported with. */
  readonly #reported = new Map<string, string>();
  /** Their Events were too many at that time. */
  readonly #untold = new Set<string>();

  constructor(options: ApproverOptions) {
    this.#options = options;
    this.#pace = new Pace(options.clock, APART_MS);
  }

  /** To be told when a CSR is settled or gone. */
  forget(csr: Csr): void {
    this.#decided.delete(csr.uid);
    // One that was not judged yet is kept until it is.
    if (this.#reported.has(csr.uid)) this.#captured.delete(csr.name);
    this.#reported.delete(csr.uid);
    this.#untold.delete(csr.uid);
  }

  /** Decides on the CSR of that name. Answers in how many ms it wants to look again, if at all. Throws to be retried. */
  async reconcile(name: string, signal: AbortSignal): Promise<number | undefined> {
    const request = this.#options.observes ? this.#captured.get(name) : this.#undecided(name);
    if (request === undefined) return undefined;
    const decision = await this.#options.decider.decide(request, signal);
    const { verdict } = decision;
    if (this.#options.observes) {
      this.#observe(request, decision);
      return LOOK_AGAIN_MS;
    }
    if (verdict.kind === 'approve') return this.#approve(request, decision, verdict, signal);
    if (verdict.kind === 'wait') {
      // `forget` was told of it, and will not be again.
      if (!this.#isShownPending(request.csr)) return undefined;
      this.#reportWaiting(request, decision, verdict);
      return verdict.violations.some(({ code }) => SOON_OTHERWISE.has(code)) ? SOON_MS : LOOK_AGAIN_MS;
    }
    await this.#write(request, decision, verdict, signal);
    return undefined;
  }

  async #approve(
    request: RequestView,
    decision: Decision,
    verdict: Extract<Verdict, { kind: 'approve' }>,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const group = groupOf(request);
    const left = this.#pace.take(group);
    if (left > 0) return left;
    let written = false;
    try {
      // Somebody took the last one since: what is known now says so.
      if (!(await this.#options.seats.take(request, decision, signal))) return TAKEN_AGAIN_MS;
      written = await this.#write(request, decision, verdict, signal);
      return undefined;
    } finally {
      // What came to nothing is tried again by the back-off of the queue.
      if (!written) this.#pace.giveBack(group);
    }
  }

  /** In mode `observe`, to be given every pending CSR: whoever decides on it may be faster than this service. */
  capture(request: RequestView): void {
    if (!this.#captured.has(request.csr.name)) this.#captured.set(request.csr.name, request);
  }

  #undecided(name: string): RequestView | undefined {
    const csr = this.#options.csrs.get(name);
    if (csr === undefined || stateOf(csr) !== 'pending' || this.#decided.has(csr.uid)) return undefined;
    return this.#options.pending.view(csr);
  }

  /** Whether the watch shows nothing yet of a decision, or of its end. */
  #isShownPending(csr: Csr): boolean {
    const shown = this.#options.csrs.get(csr.name);
    return shown?.uid === csr.uid && stateOf(shown) === 'pending';
  }

  /** Says what it would have done, and forgets a request that somebody else has settled. */
  #observe(request: RequestView, decision: Decision): void {
    const { verdict } = decision;
    const { uid, name } = request.csr;
    const key = `${verdict.kind} ${verdict.kind === 'approve' ? '' : describeViolations(verdict.violations)}`;
    const known = this.#reported.get(uid) === key;
    if (this.#isShownPending(request.csr)) this.#reported.set(uid, key);
    else this.#captured.delete(name);
    if (!known) this.#report(request, decision);
  }

  /** False when somebody else was first. */
  async #write(
    request: RequestView,
    decision: Decision,
    verdict: Exclude<Verdict, { kind: 'wait' }>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { writer, onApproved } = this.#options;
    const { csr } = request;
    const approves = verdict.kind === 'approve';
    const message = approves ? verdict.message : describeViolations(verdict.violations);
    try {
      const written = await writer.decide(csr, approves ? 'Approved' : 'Denied', reasonOf(verdict), message, signal);
      // Unless the watch was faster, and has shown it already.
      if (this.#isShownPending(csr)) this.#decided.add(csr.uid);
      // The node waits for the certificate, and nobody for the report.
      if (approves) onApproved(written);
      this.#report(request, decision);
      return true;
    } catch (error) {
      // Somebody else wrote or deleted it: the watch brings what it is now.
      if (!isRemote(error, 'Conflict', 'NotFound')) throw error;
      this.#options.log.debug({ csr: csr.name, code: error.code }, 'CSR changed while it was decided on');
      return false;
    }
  }

  #reportWaiting(request: RequestView, decision: Decision, verdict: Extract<Verdict, { kind: 'wait' }>): void {
    const key = describeViolations(verdict.violations);
    const { uid } = request.csr;
    if (this.#reported.get(uid) !== key) {
      this.#reported.set(uid, key);
      this.#report(request, decision);
    } else if (this.#untold.has(uid)) {
      this.#tell(request, verdict);
    }
  }

  #report(request: RequestView, decision: Decision): void {
    const { telemetry, log, observes } = this.#options;
    const { verdict } = decision;
    telemetry.decided(request.csr.signerName, verdict.kind, reasonOf(verdict));
    const fields = { ...decisionFields(request, decision) };
    const said = MESSAGES[observes ? 'observing' : 'deciding'][verdict.kind];
    if (verdict.kind === 'approve') {
      log.info(fields, said);
      this.#remark(request, verdict);
      return;
    }
    log.warn(fields, said);
    this.#tell(request, verdict);
  }

  /** Approvals make no Event (DESIGN D2), but for what may be somebody else with the node's identity. */
  #remark({ csr }: RequestView, { remarks }: Extract<Verdict, { kind: 'approve' }>): void {
    const { telemetry, events } = this.#options;
    for (const { code, message } of remarks) {
      telemetry.remarked(csr.signerName, code);
      if (REMARKS[code].alarm) events.warn({ csr, reason: code, message, source: csr.requester.username });
    }
  }

  #tell(request: RequestView, verdict: Exclude<Verdict, { kind: 'approve' }>): void {
    const { csr } = request;
    const reason = reasonOf(verdict);
    this.#untold.delete(csr.uid);
    if (reason === 'Superseded') return;
    const message = describeViolations(verdict.violations);
    const told = this.#options.events.warn({ csr, reason, message, source: sourceOf(request, reason) });
    if (!told && verdict.kind === 'wait') this.#untold.add(csr.uid);
  }
}
