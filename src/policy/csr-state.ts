import type { Csr } from '../ports.ts';

/** Where a CSR stands; every CSR is in exactly one of these. */
export type CsrState = 'pending' | 'approved' | 'issued' | 'denied' | 'failed';

export const CSR_STATES: readonly CsrState[] = ['pending', 'approved', 'issued', 'denied', 'failed'];

/** Denied and Failed win over Approved, a certificate wins over everything: that is what a kubelet goes by. */
export function stateOf(csr: Csr): CsrState {
  if (csr.issued) return 'issued';
  if (hasCondition(csr, 'Denied')) return 'denied';
  if (hasCondition(csr, 'Failed')) return 'failed';
  return hasCondition(csr, 'Approved') ? 'approved' : 'pending';
}

/** True while it waits for its verdict or its certificate. */
export function waits(csr: Csr): boolean {
  const state = stateOf(csr);
  return state === 'pending' || state === 'approved';
}

/** True when the condition is there with status True. */
export function hasCondition(csr: Csr, type: string): boolean {
  return csr.conditions.some((condition) => condition.type === type && condition.status === 'True');
}
