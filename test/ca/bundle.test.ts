import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { bundleOf } from '../../src/ca/bundle.ts';
import { testAuthority, type TestAuthority } from '../support/test-authority.ts';

const NOW = Date.now();

describe('ca/bundle', () => {
  let one: TestAuthority;
  let two: TestAuthority;
  let intermediate: TestAuthority;
  let expired: TestAuthority;
  before(async () => {
    [one, two, expired] = await Promise.all([
      testAuthority(),
      testAuthority(),
      testAuthority('P-256', { notAfter: new Date(NOW - 1_000) }),
    ]);
    intermediate = await testAuthority('P-256', { subject: 'CN=below', issuer: one });
  });
  const bundle = (cas: readonly TestAuthority[], complete = true, published = ''): string =>
    bundleOf({ cas: cas.map(({ certPem }) => certPem), complete, published, now: NOW });

  it('has every CA once, in the order of their parts', () => {
    expect(bundle([two, one, two])).to.equal(two.certPem + one.certPem);
  });
  it('has of an intermediate its own certificate, and not those above it', () => {
    const chain = { ...intermediate, certPem: intermediate.certPem + one.certPem };
    expect(bundle([chain])).to.equal(intermediate.certPem);
  });
  it('has none that is over', () => {
    expect(bundle([one, expired])).to.equal(one.certPem);
  });
  it('lets go of what somebody else put there', () => {
    expect(bundle([one], true, two.certPem)).to.equal(one.certPem);
  });
  it('keeps what was published while a CA cannot be read, unless it is over', () => {
    expect(bundle([one], false, two.certPem + expired.certPem)).to.equal(one.certPem + two.certPem);
  });
});
