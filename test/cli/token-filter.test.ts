import { expect } from 'chai';
import { describe, it } from 'mocha';
import { type TokenFilter, tokenFilter } from '../../src/cli/commands/token-list.ts';
import { UsageError } from '../../src/errors.ts';
import { type TokenRecord } from '../../src/tokens/token-secret.ts';
import { NOW, tokenRecord } from '../support/token-records.ts';

describe('cli: which tokens are listed', () => {
  const node = { groups: ['system:bootstrappers:node:worker-1:example'] };
  const pool = { groups: ['system:bootstrappers:pool:workers'] };
  const RECORDS: Readonly<Record<string, TokenRecord>> = {
    node: tokenRecord({ id: 'aaaaaa', ...node, expiresAt: NOW + 1 }),
    over: tokenRecord({ id: 'bbbbbb', ...node, expiresAt: NOW }),
    pool: tokenRecord({ id: 'cccccc', ...pool, expiresAt: NOW + 1 }),
    forever: tokenRecord({ id: 'dddddd', groups: [], expiresAt: undefined }),
    disabled: tokenRecord({ id: 'eeeeee', ...pool, authenticates: false }),
    unreadable: tokenRecord({ id: 'ffffff', groups: [], expiresAt: 0 }),
    leaving: tokenRecord({ id: 'gggggg', ...pool, beingDeleted: true }),
  };
  const ROWS: readonly (readonly [TokenFilter, readonly string[]])[] = [
    [{}, ['node', 'over', 'pool', 'forever', 'disabled', 'unreadable', 'leaving']],
    [{ forNode: 'worker-1.example' }, ['node', 'over']],
    [{ forNode: 'worker-1' }, []],
    [{ pool: 'workers' }, ['pool', 'disabled', 'leaving']],
    [{ expired: true }, ['over', 'unreadable']],
    [{ usable: true }, ['node', 'pool', 'forever']],
    [{ forNode: 'worker-1.example', expired: true }, ['over']],
    [{ pool: 'workers', usable: true }, ['pool']],
  ];
  for (const [filter, wanted] of ROWS) {
    it(`${JSON.stringify(filter)} leaves ${wanted.join(', ') || 'none'}`, () => {
      const left = tokenFilter(filter)(Object.values(RECORDS), NOW).map(({ id }) => id);
      expect(left).to.deep.equal(wanted.map((name) => RECORDS[name]?.id));
    });
  }

  it('refuses what excludes each other', () => {
    expect(() => tokenFilter({ forNode: 'a', pool: 'b' })).to.throw(UsageError, 'either --for-node or --pool');
    expect(() => tokenFilter({ expired: true, usable: true })).to.throw(UsageError, 'either --expired or --usable');
  });
});
