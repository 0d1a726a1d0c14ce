import { expect } from 'chai';
import { describe, it } from 'mocha';
import { checkConfig } from '../../src/doctor/config-breadth.ts';
import type { SetUp } from '../../src/doctor/observations.ts';
import type { PolicyConfig } from '../../src/policy/policy-config.ts';
import { NOW, pool, ruleInput } from '../policy/good-request.ts';

const YEAR_SECONDS = 31_536_000;
const { policy: plain } = ruleInput('bootstrap');
const policy = { ...plain, pools: new Map([['workers', pool('workers', 'worker-.*', { maxNodes: 10 })]]) };

function setUp(change: Partial<PolicyConfig> = {}, more: Partial<SetUp> = {}): SetUp {
  return {
    policy: { ...policy, ...change },
    accessReview: 'class',
    approves: true,
    signs: true,
    breadth: [],
    longestLifeMs: 0,
    ...more,
  };
}

const breadth = (...paths: string[]): Partial<SetUp> => ({ breadth: paths.map((path) => ({ path })) });
const pools = (...all: ReturnType<typeof pool>[]): Partial<PolicyConfig> => ({
  pools: new Map(all.map((each) => [each.name, each])),
});

describe('doctor/config-breadth', () => {
  const ROWS: readonly (readonly [string, SetUp, readonly (readonly [string, string])[]])[] = [
    ['a narrow config', setUp(), []],
    ['no pools, and no serving', setUp({ pools: new Map(), serving: undefined }), []],
    [
      'what admits nearly everything, though acknowledged',
      setUp({}, breadth('serving.addressRanges', 'pools.blue.nodeNames', 'pools.blue.addressRanges')),
      [
        ['AddressRangesWide', 'serving.addressRanges'],
        ['PoolPatternWide', 'pools.blue.nodeNames'],
        ['AddressRangesWide', 'pools.blue.addressRanges'],
      ],
    ],
    [
      'a pool without a limit',
      setUp(pools(pool('blue', 'blue-.*'), pool('red', 'red-.*', { maxNodes: 1 }))),
      [['PoolUnlimited', 'pools.blue.maxNodes']],
    ],
    [
      'unbound tokens, still',
      setUp({ unboundTokensUntil: NOW + 1 }),
      [['UnboundTokensAdmitted', 'approver.unboundTokensUntil']],
    ],
    ['unbound tokens, no more', setUp({ unboundTokensUntil: NOW }), []],
    ['requests of a year', setUp({ longestRequestSeconds: YEAR_SECONDS }), []],
    [
      'requests of a second more',
      setUp({ longestRequestSeconds: YEAR_SECONDS + 1 }),
      [['LongRequestsAdmitted', 'approver.longestRequest']],
    ],
    [
      'requests of two years in one pool',
      setUp(pools(pool('blue', 'blue-.*', { maxNodes: 10, longestRequestSeconds: 2 * YEAR_SECONDS }))),
      [['LongRequestsAdmitted', 'pools.blue.longestRequest']],
    ],
    [
      'denial',
      setUp({ onViolation: { ...policy.onViolation, form: 'deny' } }),
      [['DeniesForGood', 'approver.onViolation']],
    ],
    ['reviews in full', setUp({}, { accessReview: 'full' }), [['ReviewsInFull', 'approver.accessReview']]],
  ];
  for (const [what, given, wanted] of ROWS) {
    it(`${what}: ${wanted.map(([code]) => code).join(', ') || 'nothing to tell'}`, () => {
      expect(checkConfig(given, NOW).map((each) => [each.code, each.what])).to.deep.equal(wanted);
    });
  }
});
