import { expect } from 'chai';
import { describe, it } from 'mocha';
import { checkConfig } from '../../src/doctor/config-breadth.ts';
import type { SetUp } from '../../src/doctor/observations.ts';
import { parseRanges } from '../../src/policy/addresses.ts';
import type { PolicyConfig } from '../../src/policy/policy-config.ts';
import { NOW, pool, ruleInput, servingPolicy } from '../policy/good-request.ts';

const YEAR_SECONDS = 31_536_000;
const { policy } = ruleInput('bootstrap');

function setUp(change: Partial<PolicyConfig> = {}, accessReview: SetUp['accessReview'] = 'class'): SetUp {
  return {
    policy: { ...policy, ...change },
    accessReview,
    controllers: ['minter', 'approver', 'signer', 'cleaner'],
    longestLifeMs: 0,
  };
}

const pools = (...all: ReturnType<typeof pool>[]): Partial<PolicyConfig> => ({
  pools: new Map(all.map((each) => [each.name, each])),
});

describe('doctor/config-breadth', () => {
  const ROWS: readonly (readonly [string, SetUp, readonly (readonly [string, string])[]])[] = [
    ['a narrow config', setUp(), []],
    ['no pools, and no serving', setUp({ pools: new Map(), serving: undefined }), []],
    [
      'a pool that admits any name, and one that does not',
      setUp(pools(pool('blue', '.*'), pool('green', 'green-.*'))),
      [['PoolPatternWide', 'pools.blue.nodeNames']],
    ],
    ['every IPv4 address', setUp(servingPolicy('0.0.0.0/0')), [['AddressRangesWide', 'serving.addressRanges']]],
    [
      'half of IPv6 for one pool',
      setUp(pools(pool('blue', 'blue-.*', { ranges: parseRanges(['::/1']).ranges }))),
      [['AddressRangesWide', 'pools.blue.addressRanges']],
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
      setUp(pools(pool('blue', 'blue-.*', { longestRequestSeconds: 2 * YEAR_SECONDS }))),
      [['LongRequestsAdmitted', 'pools.blue.longestRequest']],
    ],
    ['denial', setUp({ onViolation: 'deny' }), [['DeniesForGood', 'approver.onViolation']]],
    ['reviews in full', setUp({}, 'full'), [['ReviewsInFull', 'approver.accessReview']]],
  ];
  for (const [what, given, wanted] of ROWS) {
    it(`${what}: ${wanted.map(([code]) => code).join(', ') || 'nothing to tell'}`, () => {
      expect(checkConfig(given, NOW).map((each) => [each.code, each.what])).to.deep.equal(wanted);
    });
  }
});
