/** Rules of the config that rule out nearly nothing, and settings that are worth a second thought. */
import { admitsAnyName, widelyCovered } from '../policy/breadth.ts';
import { type Finding, finding } from './finding.ts';
import type { SetUp } from './observations.ts';

const YEAR_SECONDS = 365 * 24 * 3600;

/** `now` in ms since the epoch. */
export function checkConfig({ policy, accessReview }: SetUp, now: number): readonly Finding[] {
  const pools = [...policy.pools.values()];
  const found: Finding[] = [];
  for (const { name, pattern, admitsNodeName } of pools) {
    if (!admitsAnyName(admitsNodeName)) continue;
    const mend = 'Write what the names of its nodes have in common, and of nobody else.';
    found.push(
      finding('PoolPatternWide', `pools.${name}.nodeNames`, `${JSON.stringify(pattern)} admits any name`, mend),
    );
  }
  const ranges = [
    { key: 'serving.addressRanges', texts: policy.serving?.ranges.texts ?? [] },
    ...pools.map(({ name, ranges }) => ({ key: `pools.${name}.addressRanges`, texts: ranges?.texts ?? [] })),
  ];
  for (const { key, texts } of ranges) {
    const families = widelyCovered(texts);
    if (families.length === 0) continue;
    const mend = 'Name the networks of the nodes alone.';
    found.push(finding('AddressRangesWide', key, `half of ${families.join(' and of ')} or more`, mend));
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
  if (policy.onViolation === 'deny') {
    const mend = 'Set it to `wait` unless something has to see the denials.';
    found.push(finding('DeniesForGood', 'approver.onViolation', '`deny`', mend));
  }
  if (accessReview === 'full') {
    const mend = 'Set it to `class` unless an authorizer of yours denies single users.';
    found.push(finding('ReviewsInFull', 'approver.accessReview', '`full`', mend));
  }
  return found;
}
