import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { PublicationState } from '../../src/ports/tokens.ts';
import { planRotation, type RotationInput, type RotationStep } from '../../src/tokens/rotation.ts';
import type { TokenRecord } from '../../src/tokens/token-secret.ts';

const HOUR = 3_600_000;
const NOW = Date.UTC(2027, 0, 31, 12);
const DAY = 24 * HOUR;

function token(change: Partial<TokenRecord> = {}): TokenRecord {
  return {
    id: 'abcdef',
    uid: 'uid-1',
    resourceVersion: '1',
    description: '',
    groups: [],
    binding: { kind: 'pool', pool: 'workers' },
    expiresAt: NOW + DAY,
    authenticates: true,
    beingDeleted: false,
    ours: true,
    publishingUntil: undefined,
    vaultPath: 'pools/workers',
    issuedAt: NOW,
    uses: undefined,
    replacesLive: false,
    reportedStolen: false,
    reentry: false,
    addresses: [],
    ...change,
  };
}

const live = (tokenId: string | undefined): PublicationState => ({
  kind: 'live',
  version: 1,
  tokenId,
  updatedAt: NOW,
  endsAt: NOW,
});
const gone: PublicationState = { kind: 'gone', version: 2, tokenId: 'abcdef', updatedAt: NOW, endsAt: NOW };
const absent: PublicationState = {
  kind: 'absent',
  version: 0,
  tokenId: undefined,
  updatedAt: undefined,
  endsAt: undefined,
};
const mint = (why: Extract<RotationStep, { kind: 'mint' }>['why']): RotationStep => ({ kind: 'mint', why });
const wait = (untilMs: number): RotationStep => ({ kind: 'wait', untilMs });
/** A token whose half life is over at `at`. */
const halfOverAt = (at: number): TokenRecord => token({ expiresAt: at + DAY / 2 });

const ROWS: readonly (readonly [sentence: string, change: Partial<RotationInput>, step: RotationStep])[] = [
  ['waits until half the life of a fresh token is over', {}, wait(NOW + DAY / 2)],
  ['mints the first token', { tokens: [], published: absent }, mint('no token')],
  ['mints when the Secret was deleted, whatever stands in Vault', { tokens: [] }, mint('no token')],
  ['mints when the token has expired', { tokens: [token({ expiresAt: NOW })] }, mint('no token')],
  ['mints when the token is being deleted', { tokens: [token({ beingDeleted: true })] }, mint('no token')],
  ['mints when the token may not log in', { tokens: [token({ authenticates: false })] }, mint('no token')],
  ['mints when nothing stands in Vault', { published: absent }, mint('not in Vault')],
  ['mints when the entry in Vault was withdrawn', { published: gone }, mint('not in Vault')],
  ['mints when Vault has a token that the cluster does not know', { published: live('zzzzzz') }, mint('not in Vault')],
  ['mints when the entry in Vault names no token', { published: live(undefined) }, mint('not in Vault')],
  ['mints at half-life', { tokens: [halfOverAt(NOW)] }, mint('half-life')],
  ['waits a millisecond before half-life', { tokens: [halfOverAt(NOW + 1)] }, wait(NOW + 1)],
  [
    'goes by the token that stands in Vault, not by its predecessor',
    { tokens: [token({ id: 'older1', expiresAt: NOW + 1 }), token()] },
    wait(NOW + DAY / 2),
  ],
  [
    'goes by it even while a newer one is on its way',
    { tokens: [halfOverAt(NOW), token({ id: 'newer1' })] },
    mint('half-life'),
  ],
  ['spreads rotations over the tenth before half-life', { spread: 1 }, wait(NOW + 0.4 * DAY)],
  ['waits with a quarter of the uses left', { tokens: [token({ uses: 8 })], usesOf: () => 6 }, wait(NOW + DAY / 2)],
  [
    'rotates with less than a quarter of them left',
    { tokens: [token({ uses: 8 })], usesOf: () => 7 },
    mint('few uses left'),
  ],
  [
    'rotates a token of one use after its use',
    { tokens: [token({ uses: 1 })], usesOf: () => 1 },
    mint('few uses left'),
  ],
  ['rotates at once when the configured life was made three times as long', { lifetimeMs: 3 * DAY }, mint('half-life')],
  ['rotates later when it was halved', { lifetimeMs: DAY / 2 }, wait(NOW + 0.75 * DAY)],
  [
    'never rotates a token without an end',
    { tokens: [token({ expiresAt: undefined })] },
    wait(Number.POSITIVE_INFINITY),
  ],
];

describe('tokens/rotation', () => {
  for (const [sentence, change, step] of ROWS) {
    it(sentence, () => {
      const input = {
        now: NOW,
        tokens: [token()],
        published: live('abcdef'),
        lifetimeMs: DAY,
        usesOf: () => 0,
        spread: 0,
        ...change,
      };
      expect(planRotation(input)).to.deep.equal(step);
    });
  }
});
