import type { TokenRecord } from '../../src/tokens/token-secret.ts';

export const NOW = Date.UTC(2027, 0, 31, 12);

/** A token of node worker-1 that is good for an hour, with what is changed. */
export function tokenRecord(change: Partial<TokenRecord> = {}): TokenRecord {
  return {
    id: 'abcdef',
    uid: 'uid-1',
    resourceVersion: '1',
    description: 'first of its kind',
    groups: ['system:bootstrappers:node:worker-1'],
    binding: { kind: 'node', node: 'worker-1' },
    expiresAt: NOW + 3_600_000,
    authenticates: true,
    beingDeleted: false,
    ours: true,
    publishingUntil: undefined,
    vaultPath: 'nodes/worker-1',
    issuedAt: NOW,
    uses: undefined,
    replacesLive: false,
    reportedStolen: false,
    reentry: false,
    addresses: [],
    ...change,
  };
}
