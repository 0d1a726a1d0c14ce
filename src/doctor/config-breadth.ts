/** Rules of the config that rule out nearly nothing, and settings that are worth a second thought. */
import { type Finding, finding } from './finding.ts';
import type { SetUp } from './observations.ts';

const YEAR_SECONDS = 365 * 24 * 3600;

/** `now` in ms since the epoch. */
export function checkConfig({ policy, accessReview, breadth }: SetUp, now: number): readonly Finding[] {
  const pools = [...policy.pools.values()];
  const found: Finding[] = breadth.map(({ path }) =>
    path.endsWith('.nodeNames')
      ? finding('PoolPatternWide', path, 'admits any name', 'Write what the names of its nodes alone have in common.')
      : finding('AddressRangesWide', path, 'covers half of all addresses or more', 'Name the networks of nodes alone.'),
  );
  for (const { name, maxNodes } of pools) {
    if (maxNodes !== undefined) continue;
    const mend = 'Set it to the most that the pool will ever have, a reserve included.';
    found.push(finding('PoolUnlimited', `pools.${name}.maxNodes`, 'any number of nodes', mend));
  }
  if (policy.unboundTokensUntil !== undefined && policy.unboundTokensUntil > now) {
    const until = `unbound tokens are admitted until ${new Date(policy.unboundTokensUntil).toISOString()}`;
    const mend = 'Issue bound tokens, and take the key out when the old ones are gone.';
    found.push(finding('UnboundTokensAdmitted', 'approver.unboundTokensUntil', until, mend));
  }
  const requests = [
    { key: 'approver.longestRequest', seconds: policy.longestRequestSeconds },
    ...pools.map(({ name, longestRequestSeconds }) => ({
      key: `pools.${name}.longestRequest`,
      seconds: longestRequestSeconds ?? 0,
    })),
  ];
  for (const { key, seconds } of requests) {
    if (seconds <= YEAR_SECONDS) continue;
    const mend = 'There is no revocation but the end of a certificate: ask for less.';
    found.push(finding('LongRequestsAdmitted', key, `${Math.floor(seconds / 3600)}h may be asked for`, mend));
  }
  const denied = Object.entries(policy.onViolation).flatMap(([name, what]) => (what === 'deny' ? [name] : []));
  if (denied.length > 0) {
    const mend = 'Set it to `wait` unless something has to see the denials.';
    found.push(finding('DeniesForGood', 'approver.onViolation', `denies for reasons of ${denied.join(', ')}`, mend));
  }
  if (accessReview === 'full') {
    const mend = 'Set it to `class` unless an authorizer of yours denies single users.';
    found.push(finding('ReviewsInFull', 'approver.accessReview', '`full`', mend));
  }
  return found;
}
