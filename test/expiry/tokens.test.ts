import { expect } from 'chai';
import { describe, it } from 'mocha';
import { tokenReading } from '../../src/expiry/tokens.ts';

const jwt = (claims: unknown): string =>
  ['{"alg":"none"}', JSON.stringify(claims), 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');

describe('expiry/tokens', () => {
  it('reads the end of a JWT, and its life from when it was issued or is valid from', () => {
    const wanted = { kind: 'ends', endsAt: 2_000_000, lifeMs: 1_500_000, note: 'token' };
    expect(tokenReading(`${jwt({ iat: 500, exp: 2_000 })}\n`)).to.deep.equal(wanted);
    expect(tokenReading(jwt({ nbf: 500, exp: 2_000 }))).to.deep.equal(wanted);
    expect(tokenReading(jwt({ exp: 2_000 }))).to.include({ endsAt: 2_000_000, lifeMs: Infinity });
    expect(tokenReading(jwt({ iat: 3_000, exp: 2_000 }))).to.include({ lifeMs: Infinity });
  });

  for (const claims of [[], null, { exp: 'soon' }, { exp: 1e300 }, {}]) {
    it(`knows no end of a JWT with the claims ${JSON.stringify(claims)}`, () => {
      expect(tokenReading(jwt(claims)).kind).to.equal('none');
    });
  }
  for (const token of ['abcdef.0123456789abcdef', '', 'a.b.c']) {
    it(`knows no end of what is no JWT, such as ${JSON.stringify(token)}`, () => {
      expect(tokenReading(token).kind).to.equal('none');
    });
  }
});
