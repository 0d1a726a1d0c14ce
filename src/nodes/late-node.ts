import type { NodeRecord } from './node-record.ts';

/** A kubelet renews at 70 to 90 % of a certificate's life (client-go `certificate_manager.go`): later it cannot. */
const LATE_SHARE = 0.05;

/**
 * Whether the node's newest client certificate is about to end, or ended less than `withinMs` ago, and was not renewed:
 * the machine sleeps, or nobody could sign for it. A banned node is not late, it is out.
 */
export function isLate({ certificates, ban }: NodeRecord, now: number, withinMs: number): boolean {
  const ends = certificates.map(({ notAfter }) => notAfter);
  const newest = certificates[ends.indexOf(Math.max(...ends))];
  if (newest === undefined || ban !== undefined) return false;
  const lateAt = newest.notAfter - (newest.notAfter - newest.issuedAt) * LATE_SHARE;
  return lateAt <= now && now < newest.notAfter + withinMs;
}
