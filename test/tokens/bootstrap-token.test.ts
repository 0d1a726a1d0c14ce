import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { describe, it } from 'mocha';
import { drawToken, formatToken, isTokenId, parseToken, tokenIdOfUser } from '../../src/tokens/bootstrap-token.ts';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'.split('');
const character = fc.constantFrom(...ALPHABET);
const id = fc.string({ unit: character, minLength: 6, maxLength: 6 });
const secret = fc.string({ unit: character, minLength: 16, maxLength: 16 });

/** Answers the bytes one after the other, then zeros. */
function source(bytes: Iterable<number>): (count: number) => Uint8Array {
  const rest = [...bytes];
  return (count) => Uint8Array.from({ length: count }, () => rest.shift() ?? 0);
}

describe('tokens/bootstrap-token: drawToken', () => {
  it('makes each character of exactly seven of the bytes 0 to 251', () => {
    const counts = new Map<string, number>();
    for (let byte = 0; byte < 252; byte += 1) {
      const { id } = drawToken(source([byte]));
      const first = id.charAt(0);
      counts.set(first, (counts.get(first) ?? 0) + 1);
    }
    expect(Object.fromEntries(counts)).to.deep.equal(Object.fromEntries(ALPHABET.map((letter) => [letter, 7])));
  });

  it('throws the bytes 252 to 255 away, wherever they stand', () => {
    const dull = fc.constantFrom(252, 253, 254, 255);
    const mixed = fc.array(fc.oneof(dull, fc.nat(251)), { minLength: 40, maxLength: 200 });
    fc.assert(
      fc.property(mixed, (bytes) => {
        const kept = bytes.filter((byte) => byte < 252);
        expect(drawToken(source(bytes))).to.deep.equal(drawToken(source(kept)));
      }),
    );
  });

  it('uses every byte for one character: the secret does not repeat the ID', () => {
    const drawn = drawToken(source(Array.from({ length: 22 }, (_, index) => index)));
    expect(drawn).to.deep.equal({ id: 'abcdef', secret: 'ghijklmnopqrstuv' });
  });

  it('draws all characters about equally often from real random bytes', () => {
    const counts = new Map<string, number>();
    const tokens = 4000;
    for (let drawn = 0; drawn < tokens; drawn += 1) {
      const token = drawToken((count) => randomBytes(count));
      for (const letter of token.id + token.secret) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
    const expected = (tokens * 22) / 36;
    const chiSquared = ALPHABET.reduce((sum, letter) => sum + ((counts.get(letter) ?? 0) - expected) ** 2, 0);
    // 35 degrees of freedom: once in a thousand million runs above 110.
    expect(chiSquared / expected).to.be.below(110);
  });
});

describe('tokens/bootstrap-token: text', () => {
  it('reads back what it writes', () => {
    fc.assert(
      fc.property(id, secret, (id, secret) => {
        const text = formatToken({ id, secret });
        expect(text).to.match(/^[a-z0-9]{6}\.[a-z0-9]{16}$/);
        expect(parseToken(text)).to.deep.equal({ id, secret });
        expect(isTokenId(id)).to.equal(true);
        expect(tokenIdOfUser(`system:bootstrap:${id}`)).to.equal(id);
      }),
    );
  });

  it('reads nothing that it would write otherwise', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const token = parseToken(text);
        if (token !== undefined) expect(formatToken(token)).to.equal(text);
      }),
    );
  });

  const GOOD = 'abcdef.0123456789abcdef';
  const NO_TOKENS = [
    '',
    'abcdef',
    'abcdef.',
    'abcdef0123456789abcdef',
    'abcde.0123456789abcdef',
    'abcdefg.0123456789abcdef',
    'abcdef.0123456789abcde',
    'abcdef.0123456789abcdefg',
    'ABCDEF.0123456789abcdef',
    'abcdef.0123456789abcdeF',
    'abcdef:0123456789abcdef',
    'äbcdef.0123456789abcdef',
    ` ${GOOD}`,
    `${GOOD} `,
    `${GOOD}\n`,
    `${GOOD}\n${GOOD}`,
  ];
  for (const text of NO_TOKENS) {
    it(`takes ${JSON.stringify(text)} for no token`, () => {
      expect(parseToken(text)).to.equal(undefined);
    });
  }

  const NO_USERS = [
    'abcdef',
    'system:bootstrap:',
    'system:bootstrap:abcdeF',
    'system:bootstrap:abcdef\n',
    'xsystem:bootstrap:abcdef',
    'system:bootstrap:abcdefg',
    'system:bootstrapper:abcdef',
  ];
  for (const username of NO_USERS) {
    it(`takes ${JSON.stringify(username)} for no user of a token`, () => {
      expect(tokenIdOfUser(username)).to.equal(undefined);
    });
  }
});
