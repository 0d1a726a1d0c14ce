import type { CaRole } from './schedule.ts';

/** When a CA is valid and when it signs, ms since the epoch. */
export interface CaTimes {
  readonly role: CaRole;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly from: number | undefined;
}

const SOON_MS = 30 * 24 * 3_600_000;
const at = (ms: number): string => new Date(ms).toISOString();

/** What is going to cost nodes their certificates, long before it does. */
export function warningsOf(cas: readonly CaTimes[], longestLifeMs: number, now: number): string[] {
  const signing = cas.find(({ role }) => role === 'signing');
  const next = cas.find(({ role }) => role === 'next');
  const warnings: string[] = [];
  if (signing !== undefined && endsSoon(signing, longestLifeMs, now)) {
    const left = signing.notAfter - now;
    const what = left < longestLifeMs ? 'before the certificates that it signs now' : 'within 30 days';
    if (next?.from === undefined) warnings.push(`the CA that signs ends at ${at(signing.notAfter)}, ${what}`);
  }
  if (next?.from !== undefined && signing !== undefined && next.from > signing.notAfter) {
    warnings.push(`the CA that signs ends at ${at(signing.notAfter)}, before the next one begins at ${at(next.from)}`);
  }
  if (next?.from !== undefined && next.from < next.notBefore) {
    warnings.push(`the next CA is to sign from ${at(next.from)}, and is not valid before ${at(next.notBefore)}`);
  }
  if (next?.from !== undefined && next.from >= next.notAfter) {
    warnings.push(`the next CA is to sign from ${at(next.from)}, and ends at ${at(next.notAfter)}`);
  }
  return warnings;
}

/** Whether it is time for another one. */
export function endsSoon({ notAfter }: Pick<CaTimes, 'notAfter'>, longestLifeMs: number, now: number): boolean {
  return notAfter - now <= Math.max(SOON_MS, longestLifeMs);
}
