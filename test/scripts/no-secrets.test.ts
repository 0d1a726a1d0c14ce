import { describe, it } from 'mocha';
import { expect } from 'chai';
import { secretsSaid } from '../support/no-secrets.ts';

const TOKEN = 'abc123.0123456789abcdef';

describe('the search for secrets in what programs say', () => {
  for (const [what, text, found] of [
    ['a bootstrap token', `token is ${TOKEN} now`, true],
    ['the ID of a token alone', 'token abc123 issued', false],
    ['a host name', 'https://server.exampleinternally:6443', false],
    ['a service token of OpenBao', 's.CAESIJlWh5jGv4SmHc2kQ8uwnyvP', true],
    ['a batch token of Vault', 'hvb.AAAAAQJz0zBvWUNOIKTkDhY1CkA', true],
    ['a name that begins like one', 's.only-lower-case-words-and-dashes', false],
    ['an identity token', 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJub2RlIn0.c2lnbmF0dXJlMTIz', true],
    ['a private key', '-----BEGIN EC PRIVATE KEY-----\nMHc', true],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nMIIB', false],
  ] as const) {
    it(`${found ? 'finds' : 'lets pass'} ${what}`, () => {
      expect(secretsSaid({ program: 'service', stdout: text, stderr: '' }).length).to.equal(found ? 1 : 0);
      expect(secretsSaid({ program: 'service', stdout: '', stderr: text }).length).to.equal(found ? 1 : 0);
    });
  }

  it('lets stdout pass of a command that was asked for a token, and stderr never', () => {
    for (const program of ['bootstrap-token issue --for-node a', 'bootstrap-token show abc123 --show-secret']) {
      expect(secretsSaid({ program, stdout: TOKEN, stderr: '' })).to.deep.equal([]);
      expect(secretsSaid({ program, stdout: '', stderr: TOKEN })).to.have.length(1);
    }
    expect(secretsSaid({ program: 'bootstrap-token list', stdout: TOKEN, stderr: '' })).to.have.length(1);
  });

  it('does not repeat what it found', () => {
    const [said = ''] = secretsSaid({ program: 'service', stdout: `line\ntoken: ${TOKEN}`, stderr: '' });
    expect(said).to.include('token: ').and.not.include(TOKEN);
  });
});
