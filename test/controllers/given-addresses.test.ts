import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { GivenAddresses } from '../../src/controllers/given-addresses.ts';
import type { TokenRecord } from '../../src/tokens/token-secret.ts';
import { NOW, TOKEN } from '../policy/good-request.ts';

const GIVEN: TokenRecord = {
  ...TOKEN,
  binding: { kind: 'node', node: 'worker-1' },
  addresses: ['10.0.0.1', 'FD00::1'],
};
const V6 = 'fd00:0:0:0:0:0:0:1';

describe('controllers/given-addresses', () => {
  let tokens: Map<string, TokenRecord>;
  let given: GivenAddresses;
  beforeEach(() => {
    tokens = new Map();
    given = new GivenAddresses({ get: (id) => tokens.get(id), fresh: () => true });
  });
  function put(token: TokenRecord): void {
    given.put(token, tokens.get(token.id));
    tokens.set(token.id, token);
  }

  it('names the node of the token, however the address is written', () => {
    put(GIVEN);
    expect(given.ownersOf('10.0.0.1', NOW)).to.deep.equal(['worker-1']);
    expect(given.ownersOf(V6, NOW)).to.deep.equal(['worker-1']);
    expect(given.ownersOf('10.0.0.2', NOW)).to.deep.equal([]);
  });

  it('names both nodes of two tokens', () => {
    put(GIVEN);
    put({ ...GIVEN, id: 'zzzzzz', binding: { kind: 'node', node: 'worker-2' } });
    expect(given.ownersOf('10.0.0.1', NOW)).to.deep.equal(['worker-1', 'worker-2']);
  });

  for (const [what, change] of [
    ['has expired', { expiresAt: NOW }],
    ['may not log in', { authenticates: false }],
    ['is being deleted', { beingDeleted: true }],
    ['is of a pool', { binding: { kind: 'pool', pool: 'workers' } as const }],
    ['was edited to have another address', { addresses: ['10.0.0.9'] }],
  ] as const) {
    it(`names nobody for a token that ${what}`, () => {
      put(GIVEN);
      put({ ...GIVEN, ...change });
      expect(given.ownersOf('10.0.0.1', NOW)).to.deep.equal([]);
    });
  }

  it('names nobody for a token that is gone', () => {
    put(GIVEN);
    given.gone(GIVEN);
    expect(given.ownersOf('10.0.0.1', NOW)).to.deep.equal([]);
  });
});
