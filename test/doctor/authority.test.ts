import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { type AuthorityInput, checkAuthority, keyIdsOf } from '../../src/doctor/authority.ts';
import type { OtherCa } from '../../src/doctor/observations.ts';
import { testAuthority, type TestAuthority } from '../support/test-authority.ts';

const DAY = 24 * 3_600_000;
const NOW = Date.now();

describe('doctor/authority', () => {
  let root: TestAuthority;
  let renewed: TestAuthority;
  let intermediate: TestAuthority;
  let other: TestAuthority;
  let impostor: TestAuthority;
  let expired: TestAuthority;

  before(async () => {
    root = await testAuthority('P-256', { subject: 'CN=kubernetes' });
    renewed = await testAuthority('P-256', { subject: 'CN=kubernetes', keys: root.keys });
    intermediate = await testAuthority('P-256', { subject: 'CN=kubelets', issuer: root });
    other = await testAuthority('P-256', { subject: 'CN=other' });
    impostor = await testAuthority('P-256', { subject: 'CN=kubernetes' });
    expired = await testAuthority('P-256', {
      subject: 'CN=kubernetes',
      keys: root.keys,
      notAfter: new Date(NOW - DAY),
    });
  });

  const codesOf = (bundle: string, signing = root.certPem, change: Partial<AuthorityInput> = {}): string[] =>
    findings(bundle, signing, change).map(({ code }) => code);
  function findings(
    bundle: string,
    signing: string,
    change: Partial<AuthorityInput> = {},
  ): ReturnType<typeof checkAuthority> {
    return checkAuthority({
      signingCa: { known: true, value: { certificatePem: signing, keyId: '', notAfter: NOW + 31 * DAY, others: [] } },
      clientCas: { known: true, value: bundle },
      longestLifeMs: 7 * DAY,
      now: NOW,
      ...change,
    });
  }

  it('finds nothing where the API server trusts the CA that is signed with', () => {
    expect(codesOf(root.certPem)).to.deep.equal([]);
    expect(codesOf(`# the CA\n${root.certPem}\n`)).to.deep.equal([]);
  });

  it('takes the same name and key for the same CA', () => {
    expect(codesOf(renewed.certPem)).to.deep.equal([]);
    expect(codesOf(impostor.certPem)).to.deep.equal(['SigningCaNotTrusted', 'OtherClientCas']);
  });

  it('takes an intermediate whose issuer is trusted, and the other way round does not', () => {
    expect(codesOf(root.certPem, intermediate.certPem)).to.deep.equal([]);
    expect(codesOf(intermediate.certPem, intermediate.certPem)).to.deep.equal([]);
    expect(codesOf(intermediate.certPem, root.certPem)).to.include('SigningCaNotTrusted');
  });

  it('names who is trusted instead', () => {
    const [found] = findings(other.certPem, root.certPem);
    expect(found).to.include({ code: 'SigningCaNotTrusted', severity: 'error' });
    expect(found?.found).to.equal('"CN=kubernetes" is not among those that it trusts: "CN=other"');
  });

  it('finds an API server that trusts nobody, or only a CA that is over', () => {
    for (const bundle of ['', 'no PEM', expired.certPem]) {
      expect(codesOf(bundle)).to.deep.equal(['SigningCaNotTrusted']);
    }
  });

  it('passes over what it cannot read in the bundle', () => {
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    expect(codesOf(broken + root.certPem)).to.deep.equal([]);
    expect(codesOf(root.certPem, broken)).to.deep.equal(['NotChecked']);
  });

  it('tells of others that are trusted', () => {
    const found = findings(root.certPem + other.certPem, root.certPem);
    expect(found.map(({ code, found }) => [code, found])).to.deep.equal([['OtherClientCas', '"CN=other"']]);
  });

  const ends = (inDays: number, lifeDays: number, others: readonly OtherCa[] = []): string[] =>
    codesOf(root.certPem, root.certPem, {
      signingCa: {
        known: true,
        value: { certificatePem: root.certPem, keyId: '', notAfter: NOW + inDays * DAY + 1, others },
      },
      longestLifeMs: lifeDays * DAY,
    });

  it('warns in the last 30 days, or while certificates would outlive it', () => {
    expect(ends(30, 7)).to.deep.equal([]);
    expect(ends(29, 7)).to.deep.equal(['SigningCaEndsSoon']);
    expect(ends(365, 365)).to.deep.equal([]);
    expect(ends(364, 365)).to.deep.equal(['SigningCaEndsSoon']);
  });

  it('warns no more once the next one has its time', () => {
    const next = { certificatePem: other.certPem, keyId: 'cd34' };
    expect(ends(29, 7, [{ ...next, takesOver: false }])).to.deep.equal(['SigningCaEndsSoon']);
    expect(ends(29, 7, [{ ...next, takesOver: true }])).to.deep.equal([]);
  });

  it('takes the CA before or after it for no stranger', () => {
    const others = [{ certificatePem: other.certPem, keyId: 'cd34', takesOver: false }];
    const signingCa = {
      known: true,
      value: { certificatePem: root.certPem, keyId: 'ab12', notAfter: NOW + 31 * DAY, others },
    } as const;
    expect(codesOf(root.certPem + other.certPem, root.certPem, { signingCa })).to.deep.equal([]);
    expect(keyIdsOf(signingCa)).to.deep.equal(['ab12', 'cd34']);
  });

  it('says that there is no CA, or why it cannot be looked at', () => {
    const problem = { known: true, value: { problem: 'the key does not fit the certificate' } } as const;
    expect(codesOf('', '', { signingCa: problem })).to.deep.equal(['SigningCaUnusable']);
    const unknown = { known: false, why: 'forbidden' } as const;
    expect(codesOf('', '', { signingCa: unknown })).to.deep.equal(['NotChecked']);
    expect(codesOf('', root.certPem, { clientCas: unknown })).to.deep.equal(['NotChecked']);
    expect(codesOf('', root.certPem, { clientCas: undefined })).to.deep.equal([]);
  });

  it('knows the key identifiers of the CAs where there are any', () => {
    expect(
      keyIdsOf({ known: true, value: { certificatePem: '', keyId: 'ab12', notAfter: 0, others: [] } }),
    ).to.deep.equal(['ab12']);
    expect(keyIdsOf(undefined)).to.deep.equal([]);
    expect(keyIdsOf({ known: true, value: { problem: '' } })).to.deep.equal([]);
    expect(keyIdsOf({ known: false, why: '' })).to.deep.equal([]);
  });
});
