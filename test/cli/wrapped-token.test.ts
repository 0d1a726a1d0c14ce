import { expect } from 'chai';
import { describe, it } from 'mocha';
import { wrapLifetime, wrapOrRevoke } from '../../src/cli/wrapped-token.ts';
import { RemoteError, UsageError } from '../../src/errors.ts';

const HOUR = 3_600_000;
const issued = {
  token: { id: 'aaaaaa', secret: '0123456789abcdef' },
  record: { id: 'aaaaaa' },
  vaultPath: 'nodes/worker-1',
} as unknown as Parameters<typeof wrapOrRevoke>[0];

describe('cli/wrapped-token', () => {
  const lifetimes: readonly (readonly [string | undefined, string, number | undefined])[] = [
    [undefined, 'bootstrap-kubeconfig', undefined],
    ['1s', 'token', 1_000],
    ['30m', 'json', HOUR / 2],
    ['1h', 'yaml', HOUR],
  ];
  for (const [text, output, ms] of lifetimes) {
    it(`reads --wrap-ttl ${text} with -o ${output} as ${ms} ms`, () => {
      expect(wrapLifetime(text, output, HOUR)).to.equal(ms);
    });
  }

  for (const [text, output] of [
    ['1', 'token'],
    ['500ms', 'token'],
    ['61m', 'token'],
    ['1h', 'bootstrap-kubeconfig'],
    ['1h', 'join'],
  ] as const) {
    it(`refuses --wrap-ttl ${text} with -o ${output}`, () => {
      expect(() => wrapLifetime(text, output, HOUR)).to.throw(UsageError, '--wrap-ttl');
    });
  }

  for (const [outcome, said] of [
    ['revoked', 'token aaaaaa could not be wrapped and was revoked\n'],
    ['not revoked', 'token aaaaaa could not be wrapped; revoke it: no answer\n'],
  ] as const) {
    it(`fails when Vault does not wrap it, and says that the token was ${outcome}`, async () => {
      const revoked: string[] = [];
      const err: string[] = [];
      const failure = new RemoteError('vault', 'Forbidden', 'denied');
      const publications = { wrap: () => Promise.reject(failure) };
      const desk = {
        revoke: ({ id }: { readonly id: string }) => {
          revoked.push(id);
          return outcome === 'revoked' ? Promise.resolve() : Promise.reject(new Error('no answer'));
        },
      };
      const io = { err: (text: string) => void err.push(text), interrupted: new AbortController().signal };
      const thrown = await wrapOrRevoke(issued, { publications, wrapMs: HOUR, showSecret: false }, desk, io).catch(
        (error: unknown) => error,
      );
      expect(thrown).to.equal(failure);
      expect(revoked).to.deep.equal(['aaaaaa']);
      expect(err).to.deep.equal([said]);
    });
  }
});
