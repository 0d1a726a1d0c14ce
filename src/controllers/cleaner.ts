import { askedMs, isRemote, messageOf } from '../errors.ts';
import { waits } from '../policy/csr-state.ts';
import { type Retention, type RetentionWindows, retentionOf } from '../policy/retention.ts';
import { type Csr, type CsrWriter, KUBELET_SIGNERS, type Log, type Store, type Telemetry } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Foreground } from '../runtime/foreground.ts';
import { Rate } from '../runtime/rate.ts';
import { groupOf, type PendingRequests } from './pending-requests.ts';

export interface CleanerOptions {
  readonly csrs: Store<Csr>;
  readonly pending: PendingRequests;
  readonly writer: CsrWriter;
  readonly windows: RetentionWindows;
  /** An issued CSR is the journal of the node's record until that is written (DESIGN D16). */
  readonly isRecorded: (csr: Csr) => boolean;
  readonly concurrency: number;
  /** Deletions that begin in a second at most. */
  readonly perSecond: number;
  /** What decides and signs: a node may wait for what they have in hand, and nobody for a deletion. */
  readonly foreground: Pick<Foreground, 'lull'>;
  /** Names what would go, and deletes nothing. */
  readonly dryRun: boolean;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly log: Log;
}

/** Deletes CSRs whose time is over, singly, each by uid and resourceVersion, when nothing else is in hand if it can. */
export class Cleaner {
  readonly #options: CleanerOptions;

  constructor(options: CleanerOptions) {
    this.#options = options;
  }

  /**
   * One pass. Failures of single deletions are logged and left to the next pass; one never stops the others, but where
   * the API server asks for a rest (`Retry-After`) they have it, too.
   */
  async sweep(signal: AbortSignal): Promise<number> {
    const { csrs, concurrency, perSecond, foreground, dryRun, clock } = this.#options;
    if (!csrs.fresh()) return 0;
    const rate = new Rate(clock, perSecond);
    let line = Promise.resolve();
    /** One after the other, however many are at work. */
    const turn = (): Promise<void> => {
      line = line.then(() => rate.turn(signal)).then(() => foreground.lull(signal));
      return line;
    };
    const due = this.due().values();
    let removed = 0;
    let isOver = false;
    const removeNext = async (): Promise<void> => {
      for (const { csr, retention } of due) {
        if (!dryRun) await turn();
        isOver ||= signal.aborted || !csrs.fresh();
        if (isOver) return;
        if (await this.#remove(csr, retention, rate, signal)) removed += 1;
      }
    };
    await Promise.all(Array.from({ length: concurrency }, removeNext));
    return removed;
  }

  /** What a pass would delete now. */
  due(): { csr: Csr; retention: Retention }[] {
    const now = this.#options.clock.now();
    const superseded = this.#superseded();
    const due: { csr: Csr; retention: Retention }[] = [];
    for (const csr of this.#options.csrs.values()) {
      if (csr.beingDeleted) continue;
      const retention = retentionOf(csr, now, this.#options.windows, superseded.has(csr));
      if (retention.until < now && (!csr.issued || this.#options.isRecorded(csr))) due.push({ csr, retention });
    }
    return due;
  }

  /** Requests that wait, with a later one that waits or has its certificate; one pass, however many one node made. */
  #superseded(): ReadonlySet<Csr> {
    const { csrs, pending } = this.#options;
    const waiting = [...csrs.values()]
      .filter((csr) => waits(csr) && (KUBELET_SIGNERS as readonly string[]).includes(csr.signerName))
      .map((csr) => pending.view(csr));
    const newest = new Map<string, number>();
    for (const view of waiting) {
      const group = groupOf(view);
      newest.set(group, Math.max(newest.get(group) ?? 0, view.csr.createdAt));
    }
    const superseded = waiting.filter(
      (view) => view.csr.createdAt < (newest.get(groupOf(view)) ?? 0) || pending.issuedAfter(view) !== undefined,
    );
    return new Set(superseded.map(({ csr }) => csr));
  }

  async #remove(csr: Csr, retention: Retention, rate: Rate, signal: AbortSignal): Promise<boolean> {
    const { writer, dryRun, telemetry, log } = this.#options;
    const fields = { csr: csr.name, signer: csr.signerName, requester: csr.requester.username, why: retention.class };
    if (dryRun) {
      log.info(fields, 'CSR would be removed (dry run)');
      return false;
    }
    try {
      await writer.remove(csr, signal);
      telemetry.removedCsr(retention.class);
      log.info(fields, 'CSR removed');
      return true;
    } catch (error) {
      rate.pause(askedMs(error));
      // Gone, or changed since, or let go of: the next pass judges it afresh.
      const isOrdinary = signal.aborted || isRemote(error, 'NotFound', 'Conflict');
      if (!isOrdinary) log.warn({ ...fields, error: messageOf(error) }, 'CSR not removed');
      return false;
    }
  }
}
