import { expect } from 'chai';
import { describe, it } from 'mocha';
import { emptyRecord, type RecordedToken } from '../../src/nodes/node-record.ts';
import { isSpent } from '../../src/nodes/spent-token.ts';
import type { TokenRecord } from '../../src/tokens/token-secret.ts';
import { NOW, TOKEN } from '../policy/good-request.ts';

const HOUR = 3_600_000;
const NODE: Partial<TokenRecord> = { binding: { kind: 'node', node: 'a' } };
const POOL: Partial<TokenRecord> = { binding: { kind: 'pool', pool: 'workers' }, uses: 2 };
type Uses = Readonly<Record<string, Partial<RecordedToken>>>;
const seen = { seenAt: NOW };

const ROWS: readonly (readonly [
  string,
  Partial<TokenRecord>,
  Uses,
  readonly (readonly [string, number])[],
  boolean,
])[] = [
  ['a token that its node has not used', NODE, {}, [], false],
  ['one that its node has used and was not seen with', NODE, { a: {} }, [], false],
  ['one that its node was seen with', NODE, { a: seen }, [], true],
  ['one that its node used an hour ago', NODE, { a: { usedAt: NOW - HOUR } }, [], true],
  ['one that its node used a millisecond less ago', NODE, { a: { usedAt: NOW - HOUR + 1 } }, [], false],
  ['one whose node was seen with another', NODE, { a: { ...seen, id: 'zzzzzz' } }, [], false],
  ['one that another node was seen with', NODE, { b: seen }, [], false],
  ['one of a pool with a use left', POOL, { a: seen }, [['a', NOW]], false],
  [
    'one of a pool whose nodes were all seen',
    POOL,
    { a: seen, b: seen },
    [
      ['a', NOW],
      ['b', NOW],
    ],
    true,
  ],
  [
    'one of a pool of which one node was not seen',
    POOL,
    { a: seen, b: {} },
    [
      ['a', NOW],
      ['b', NOW],
    ],
    false,
  ],
  [
    'one of a pool of which one node never came',
    POOL,
    { a: seen },
    [
      ['a', NOW],
      ['b', NOW - HOUR],
    ],
    true,
  ],
  ['one of a pool of any number of uses', { ...POOL, uses: undefined }, { a: seen }, [['a', NOW]], false],
  ['one whose number of uses was edited', { ...POOL, uses: 0 }, {}, [], false],
  ['one without a binding', { binding: undefined }, { a: seen }, [], false],
];

describe('nodes/spent-token', () => {
  for (const [what, change, uses, claims, spent] of ROWS) {
    it(`${what} is ${spent ? '' : 'not '}spent`, () => {
      const token = { ...TOKEN, ...change };
      const recordOf = (node: string) => {
        const used = uses[node];
        const record = { id: token.id, pool: undefined, key: '', usedAt: NOW, seenAt: undefined, ...used };
        return used === undefined ? undefined : { ...emptyRecord(node), token: record };
      };
      const claimed = new Map(claims.map(([node, at]) => [node, { node, key: '', at }]));
      expect(isSpent(token, { recordOf, claims: claimed, now: NOW })).to.equal(spent);
    });
  }
});
