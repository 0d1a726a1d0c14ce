import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readCapabilities } from '../../src/vault/capabilities.ts';
import type { JsonObject, VaultRequest } from '../../src/vault/client.ts';
import { failureOf } from './manual-clock.ts';

const never = new AbortController().signal;

describe('readCapabilities', () => {
  const asked: VaultRequest[] = [];
  const answering = (body: JsonObject): Parameters<typeof readCapabilities>[0] => ({
    call: (request) => {
      asked.push(request);
      return Promise.resolve({ found: true, body });
    },
  });

  it('asks for all paths at once, and answers those of each', async () => {
    const data = { a: ['read'], 'b/c': ['create', 'update'], capabilities: ['read'] };
    const answer = await readCapabilities(answering({ data, a: ['root'] }), ['a', 'b/c'], never);
    expect([...answer]).to.deep.equal([
      ['a', ['read']],
      ['b/c', ['create', 'update']],
    ]);
    expect(asked).to.deep.equal([
      { operation: 'lookup', method: 'POST', path: ['sys', 'capabilities-self'], body: { paths: ['a', 'b/c'] } },
    ]);
  });

  for (const [what, body] of [
    ['without data', {}],
    ['without a path that was asked for', { data: { b: ['read'] } }],
    ['with what is no list', { data: { a: 'read' } }],
  ] as const) {
    it(`does not take an answer ${what} for "nothing allowed"`, async () => {
      const error = await failureOf(readCapabilities(answering(body), ['a'], never));
      expect(error).to.include({ code: 'Unreadable' });
    });
  }
});
