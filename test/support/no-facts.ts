import type { FactSources } from '../../src/controllers/fact-gatherer.ts';

/** Sources that know of no node, no claim and no owner of an address. */
export function noNodeFacts(): Pick<FactSources, 'records' | 'nodes' | 'leases' | 'claims' | 'addresses'> {
  return {
    records: { fresh: () => true, get: () => ({ known: true, value: undefined }), othersInPool: () => 0 },
    nodes: { fresh: () => true, get: () => undefined },
    leases: { renewedAt: () => Promise.resolve(undefined) },
    claims: { fresh: () => true, usedByOthers: () => 0 },
    addresses: {
      factsFor: () => ({
        known: true,
        value: {
          vouched: undefined,
          owners: new Map(),
          serviceRanges: { texts: [], contains: () => false },
          apiServer: [],
        },
      }),
    },
  };
}
