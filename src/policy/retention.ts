import type { Csr } from '../ports.ts';
import { type CsrState, stateOf, waits } from './csr-state.ts';

/** How long a CSR of each state stays, in ms. Upstream's ages are the defaults (`pkg/controller/certificates/cleaner`). */
export interface RetentionWindows {
  readonly issued: number;
  readonly denied: number;
  readonly failed: number;
  readonly pending: number;
  readonly approvedUnissued: number;
  /** Pending or approved, and a newer one of the same requester, node and signer waits or has its certificate. */
  readonly superseded: number;
}

/** Why a CSR goes: the label of the metric and the word in the log. */
export type RetentionClass = keyof RetentionWindows | 'expiredCertificate';

export interface Retention {
  readonly class: RetentionClass;
  /** ms since the epoch; at this instant it stays, after it it goes. */
  readonly until: number;
}

const WINDOW_OF: Readonly<Record<CsrState, keyof RetentionWindows>> = {
  issued: 'issued',
  denied: 'denied',
  failed: 'failed',
  pending: 'pending',
  approved: 'approvedUnissued',
};

const CONDITION_OF: Readonly<Partial<Record<CsrState, string>>> = {
  issued: 'Approved',
  approved: 'Approved',
  denied: 'Denied',
  failed: 'Failed',
};

/**
 * How long this CSR stays. Ages run from the condition that made its state, as upstream has it, but never from before
 * the creation nor from the future: whoever may approve can write any time into a condition.
 */
export function retentionOf(csr: Csr, now: number, windows: RetentionWindows, superseded: boolean): Retention {
  const state = stateOf(csr);
  const kept = superseded && waits(csr) ? 'superseded' : WINDOW_OF[state];
  const until = settledAt(csr, state, now) + windows[kept];
  if (state === 'issued' && csr.certificate !== undefined && csr.certificate.notAfter < until) {
    return { class: 'expiredCertificate', until: csr.certificate.notAfter };
  }
  return { class: kept, until };
}

function settledAt(csr: Csr, state: CsrState, now: number): number {
  const type = CONDITION_OF[state];
  const written = csr.conditions.find((condition) => condition.type === type)?.lastUpdateTime;
  return written !== undefined && written >= csr.createdAt && written <= now ? written : csr.createdAt;
}
