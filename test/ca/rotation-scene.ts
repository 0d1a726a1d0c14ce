/** A rotation between two CAs with ten days behind it, for the tables of what is safe and what is next. */
import type { HeldCertificate } from '../../src/ca/holdings.ts';
import type { CaView, Standing } from '../../src/ca/standing.ts';

export const DAY = 24 * 3_600_000;
export const NOW = Date.UTC(2026, 5, 1);
const OLD = 'aa'.repeat(20);
const NEW = 'bb'.repeat(20);

export interface Scene {
  /** Whether the next one signs already. */
  readonly stage?: 'alone' | 'next' | 'begun';
  readonly from?: number | undefined;
  readonly old?: Partial<CaView>;
  readonly fresh?: Partial<CaView>;
  readonly held?: readonly Partial<HeldCertificate>[];
  readonly unreadable?: readonly string[];
  readonly unrecorded?: readonly string[];
  readonly unusable?: Standing['unusable'];
}

/** As it is without the changes, nothing stands in the way of the next step. */
export function standing(scene: Scene): Standing {
  const { stage = 'begun', held = [], unreadable = [], unrecorded = [], unusable = [] } = scene;
  const certificates = held.map((change) => ({
    node: 'worker-1',
    usage: 'client' as const,
    issuer: OLD,
    notAfter: NOW + DAY,
    replaced: false,
    ...change,
  }));
  const ca = (role: CaView['role'], keyId: string, change: Partial<CaView> = {}): CaView => ({
    role,
    from: undefined,
    subject: `CN=${keyId.slice(0, 2)}`,
    keyId,
    fingerprint: keyId,
    notBefore: NOW - 10 * DAY,
    notAfter: NOW + 900 * DAY,
    trustedUntil: NOW + 900 * DAY,
    isSameAsSigning: role === 'signing',
    held: certificates.filter(({ issuer }) => issuer === (change.keyId ?? keyId)),
    ...change,
  });
  const { old, fresh, from } = scene;
  const cas = {
    alone: [ca('signing', OLD, old)],
    next: [ca('signing', OLD, old), ca('next', NEW, { from, ...fresh })],
    begun: [ca('signing', NEW, { from: NOW - DAY, ...fresh }), ca('previous', OLD, old)],
  }[stage].filter(({ role }) => !unusable.some((each) => each.role === role));
  return { cas, unusable, holdings: { certificates, unreadable, unrecorded }, longestLifeMs: 7 * DAY, now: NOW };
}

export const UNTRUSTED: Partial<CaView> = { trustedUntil: 0 };
export const UNKNOWN: Partial<CaView> = { trustedUntil: undefined };
export { NEW, OLD };
