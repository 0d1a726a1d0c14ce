import { isRemote, messageOf, RefusedError } from '../errors.ts';
import { asksForEncipherment, type CertificateKind, kindOf } from '../pki/certificate-plan.ts';
import { stateOf, waits } from '../policy/csr-state.ts';
import { isFinal, isHeld } from '../policy/reasons.ts';
import type { RequestView } from '../policy/request.ts';
import { describeViolations, reasonOf, type Verdict } from '../policy/verdict.ts';
import type { Csr, CsrWriter, EventSink, Store, Telemetry } from '../ports.ts';
import { BackendGuard, isOutage } from './backend-guard.ts';
import { CertificateMaker, type CertificateMakerOptions, type MadeCertificate } from './certificate-maker.ts';
import { type Decider, type Decision, sourceOf } from './decider.ts';
import { decisionFields } from './decision-log.ts';
import type { PendingRequests } from './pending-requests.ts';
import type { Seats } from './seats.ts';

export interface SignerOptions extends CertificateMakerOptions {
  readonly csrs: Store<Csr>;
  readonly pending: PendingRequests;
  readonly decider: Decider;
  readonly writer: CsrWriter;
  /** Taken again before signing: whoever else approved has counted nothing. */
  readonly seats: Pick<Seats, 'take'>;
  /** Told when the backend signs again after an outage: everything that waits may be looked at. */
  readonly onRecovered: () => void;
  /** Told of every CSR right after its certificate was written. */
  readonly onIssued: (csr: Csr) => void;
  readonly events: EventSink;
  readonly telemetry: Telemetry;
}

const LOOK_AGAIN_MS = 5 * 60_000;
/** What may be granted or readable again at any moment. */
const UNSURE_AGAIN_MS = 30_000;
/** The copy at hand was old, and its newer version may have come from the watch before the write failed. */
const CONFLICT_AGAIN_MS = 1_000;
/** Somebody took the last use since: what is known by then says so. */
const TAKEN_AGAIN_MS = 1_000;

/**
 * Signs approved CSRs of the kubelet signers. It trusts no approval (DESIGN D6): it makes the same decision again, and
 * signs only what it would approve itself.
 */
export class Signer {
  readonly #options: SignerOptions;
  /** Fresh copies from the approver, newer than what the watch has shown. */
  readonly #offered = new Map<string, Csr>();
  /** Written by us, until the watch shows it. */
  readonly #settled = new Set<string>();
  readonly #reported = new Map<string, string>();
  /** By kind of certificate: what stops one need not stop another. */
  readonly #guards = new Map<CertificateKind, BackendGuard>();
  readonly #maker: CertificateMaker;

  constructor(options: SignerOptions) {
    this.#options = options;
    this.#maker = new CertificateMaker(options);
  }

  /** True while nothing, or nothing of some kind, can be signed because the backend does not answer, or refuses. */
  get isHeld(): boolean {
    return [...this.#guards.values()].some((guard) => guard.isHolding);
  }

  /** Takes the copy that an approval just made, so that signing need not wait for the watch. */
  offer(csr: Csr): void {
    if (this.#isShownWaiting(csr)) this.#offered.set(csr.name, csr);
  }

  /** Takes the offer back: it will come by the watch. */
  withdraw(csr: Csr): void {
    this.#offered.delete(csr.name);
  }

  /** Whether just this version was offered: the watch shows nothing new with it. */
  wasOffered(csr: Csr): boolean {
    const offered = this.#offered.get(csr.name);
    return offered?.uid === csr.uid && offered.resourceVersion === csr.resourceVersion;
  }

  /** To be told when a CSR is settled or gone. */
  forget(csr: Csr): void {
    this.#settled.delete(csr.uid);
    this.#reported.delete(csr.uid);
    if (this.#offered.get(csr.name)?.uid === csr.uid) this.#offered.delete(csr.name);
  }

  /** Signs the CSR of that name if it is to be. Answers in how many ms to look again. Throws to be retried. */
  async reconcile(name: string, signal: AbortSignal): Promise<number | undefined> {
    const csr = this.#newestOf(name);
    if (csr === undefined || stateOf(csr) !== 'approved' || this.#settled.has(csr.uid)) return undefined;
    const request = this.#options.pending.view(csr);
    const held = this.#guardOf(request).heldMs();
    if (held !== undefined) return held;
    const decision = await this.#options.decider.decide(request, signal);
    const { verdict } = decision;
    if (verdict.kind !== 'approve') return this.#withhold(request, decision, verdict, signal);
    if (!(await this.#options.seats.take(request, decision, signal))) return TAKEN_AGAIN_MS;
    return this.#sign(request, decision, signal);
  }

  /** Whether the watch shows nothing yet of its end. */
  #isShownWaiting(csr: Csr): boolean {
    const shown = this.#options.csrs.get(csr.name);
    return shown?.uid === csr.uid && waits(shown);
  }

  /** The copy of the approver for as long as the watch shows the CSR without the approval. */
  #newestOf(name: string): Csr | undefined {
    const shown = this.#options.csrs.get(name);
    const offered = this.#offered.get(name);
    if (offered !== undefined && shown?.uid === offered.uid && stateOf(shown) === 'pending') return offered;
    this.#offered.delete(name);
    return shown;
  }

  async #sign(request: RequestView, decision: Decision, signal: AbortSignal): Promise<number | undefined> {
    const { writer, telemetry, log, clock } = this.#options;
    const { csr } = request;
    const { certificate, plan } = await this.#certify(request, decision, signal);
    const createdAt = this.#options.pending.createdAt(csr);
    const written = await this.#settle(csr, () => writer.issue(csr, certificate, signal));
    if (typeof written === 'string') return againAfter(written);
    const seconds = (clock.now() - createdAt) / 1000;
    telemetry.issued(csr.signerName, seconds);
    const { serial, fingerprint } = written.certificate ?? {};
    const notAfter = new Date(written.certificate?.notAfter ?? plan.notAfter);
    const fields = { ...decisionFields(request, decision), serial, fingerprint, notAfter, seconds };
    log.info(fields, 'certificate issued');
    return undefined;
  }

  /** Throws what is worth a retry, and tells of an outage once for all who wait. */
  async #certify(request: RequestView, decision: Decision, signal: AbortSignal): Promise<MadeCertificate> {
    const { events } = this.#options;
    const { csr } = request;
    try {
      return await this.#guardOf(request).run(() => this.#maker.make(request, decision.facts, signal));
    } catch (error) {
      const reason = unsignedBecause(error);
      if (reason !== undefined) {
        const message = `approved, and not signed for now: ${messageOf(error)}`;
        const source = reason === 'SignerRefused' ? sourceOf(request, reason) : 'signer';
        events.warn({ csr, reason, message, source });
      }
      throw error;
    }
  }

  #guardOf({ usage, csr }: RequestView): BackendGuard {
    const kind = kindOf({ usage, keyEncipherment: asksForEncipherment(csr.usages) });
    const known = this.#guards.get(kind);
    if (known !== undefined) return known;
    const guard = new BackendGuard(this.#options.clock, this.#options.onRecovered);
    this.#guards.set(kind, guard);
    return guard;
  }

  async #withhold(
    request: RequestView,
    decision: Decision,
    verdict: Exclude<Verdict, { kind: 'approve' }>,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { writer, telemetry, events, log } = this.#options;
    const { csr } = request;
    const reason = reasonOf(verdict);
    const message = describeViolations(verdict.violations);
    const codes = verdict.violations.map(({ code }) => code);
    if (!isHeld(codes) && codes.some((code) => isFinal(code))) {
      const written = await this.#settle(csr, () => writer.fail(csr, reason, message, signal));
      if (typeof written === 'string') return againAfter(written);
      telemetry.failed(csr.signerName, reason);
      log.warn({ ...decisionFields(request, decision) }, 'approved CSR failed');
      return undefined;
    }
    // `forget` was told of it, and will not be again.
    if (!this.#isShownWaiting(csr)) return undefined;
    if (this.#reported.get(csr.uid) !== message) {
      this.#reported.set(csr.uid, message);
      telemetry.withheld(csr.signerName, reason);
      log.warn({ ...decisionFields(request, decision) }, 'approved CSR not signed');
      if (reason !== 'Superseded') {
        events.warn({
          csr,
          reason,
          message: `approved, but not signed: ${message}`,
          source: sourceOf(request, reason),
        });
      }
    }
    return codes.includes('FactUnavailable') || codes.includes('AccessNotGranted') ? UNSURE_AGAIN_MS : LOOK_AGAIN_MS;
  }

  /** Writes the last word on a CSR, unless somebody else was first. */
  async #settle(csr: Csr, write: () => Promise<Csr>): Promise<Csr | Lost> {
    try {
      const written = await write();
      // Unless the watch was faster, and has shown it already.
      if (this.#isShownWaiting(csr)) this.#settled.add(csr.uid);
      if (written.issued) this.#options.onIssued(written);
      return written;
    } catch (error) {
      if (!isRemote(error, 'Conflict', 'NotFound')) throw error;
      this.#options.log.debug({ csr: csr.name, code: error.code }, 'CSR changed while it was signed');
      return error.code === 'Conflict' ? 'changed' : 'gone';
    }
  }
}

/** The reason of the Event for what is held; none for what only this process need know. */
function unsignedBecause(
  error: unknown,
): 'SignerUnavailable' | 'SignerRefused' | 'CertificateNotAsPlanned' | 'AuthorityEndsFirst' | undefined {
  if (isOutage(error)) return 'SignerUnavailable';
  if (error instanceof RefusedError) {
    return error.code === 'CertificateNotAsPlanned' || error.code === 'AuthorityEndsFirst' ? error.code : undefined;
  }
  return isRemote(error, 'Invalid') && error.system === 'vault' ? 'SignerRefused' : undefined;
}

/** Somebody else wrote first. */
type Lost = 'changed' | 'gone';

function againAfter(lost: Lost): number | undefined {
  return lost === 'changed' ? CONFLICT_AGAIN_MS : undefined;
}
