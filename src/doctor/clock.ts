import { type Finding, finding } from './finding.ts';
import type { ClockReading } from './observations.ts';

/** Certificates are backdated by 5 minutes; a host that is off by more than this is not synchronised at all. */
const MOST_MS = 30_000;
/** The Date header has whole seconds, cut off. */
const HALF_SECOND_MS = 500;

/** The clocks, give or take half the time that the answer took. */
export function checkClock({ server, before, after }: ClockReading): readonly Finding[] {
  const ahead = server + HALF_SECOND_MS - (before + after) / 2;
  if (Math.abs(ahead) <= MOST_MS + (after - before) / 2) return [];
  const found = `${Math.round(Math.abs(ahead) / 1000)} s ${ahead > 0 ? 'ahead of' : 'behind'} the clock of this host`;
  const mend = 'Synchronise both: certificates may not be valid yet, and tokens end too early or too late.';
  return [finding('ClockOff', "the API server's clock", found, mend)];
}
