import type { MetricSources } from '../../src/ops/metrics.ts';

/** Of a service that sees nothing. */
export const NO_SOURCES: MetricSources = {
  csrs: () => [],
  queues: () => [],
  configCurrent: () => true,
  breadth: () => 0,
  late: () => 0,
  signerHeld: () => false,
  expiring: () => [],
  expiryLookedAt: () => undefined,
  vaultProblems: () => [],
  authorityNotAfter: () => undefined,
  otherAuthorities: () => [],
  pools: () => [],
  informers: () => [],
};
