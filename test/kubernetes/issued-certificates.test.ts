import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { IssuedCertificates } from '../../src/kubernetes/issued-certificates.ts';
import { testAuthority } from '../support/csr-builder.ts';

describe('kubernetes/issued-certificates', () => {
  let pems: string[];
  before(async () => {
    const made = await Promise.all([testAuthority('P-256'), testAuthority('P-256')]);
    pems = made.map(({ certPem }) => certPem);
  });

  const base64 = (text: string): string => Buffer.from(text).toString('base64');

  for (const [row, isAskedFirst] of [
    ['that reading', true],
    ['what the writer reads later', false],
  ] as const) {
    it(`reads one that was written here once, and shows ${row} when it comes back`, () => {
      const certificates = new IssuedCertificates();
      const [pem = ''] = pems;
      const text = base64(pem);
      const read = certificates.written(text, pem);
      if (isAskedFirst) expect(read()?.fingerprint).to.match(/^[0-9a-f]{64}$/);
      expect(certificates.shown(text)).to.equal(read()).and.not.equal(undefined);
      expect(certificates.shown(text), 'a second time').to.not.equal(read());
    });
  }

  it('reads one that somebody else wrote', () => {
    const certificates = new IssuedCertificates();
    const [mine = '', others = ''] = pems;
    const written = certificates.written(base64(mine), mine);
    expect(certificates.shown(base64(others))?.fingerprint)
      .to.be.a('string')
      .and.not.equal(written()?.fingerprint);
  });

  it('answers nothing for what is no certificate', () => {
    const certificates = new IssuedCertificates();
    expect(certificates.written('AAAA', '')()).to.equal(undefined);
    expect(certificates.shown('AAAA')).to.equal(undefined);
  });
});
