import { expect } from 'chai';
import { before, beforeEach, describe, it } from 'mocha';
import { rotatingSigner } from '../../src/controllers/rotating-signer.ts';
import { RefusedError } from '../../src/errors.ts';
import { localSigner } from '../../src/local-ca/signer.ts';
import type { NextSigner } from '../../src/ports/ca.ts';
import type { CertificateSigner } from '../../src/ports.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testAuthority, type TestAuthority } from '../support/test-authority.ts';
import { failureOf, never } from './world.ts';

describe('controllers/rotating-signer', () => {
  let first: TestAuthority;
  let second: TestAuthority;
  before(async () => {
    [first, second] = await Promise.all([testAuthority(), testAuthority()]);
  });
  let clock: FakeClock;
  let next: NextSigner | undefined;
  let signer: CertificateSigner;
  const backendOf = (pair: TestAuthority): CertificateSigner =>
    localSigner({ source: { describe: () => 'test', load: () => Promise.resolve(pair) }, clock, onProblem: () => {} });
  beforeEach(() => {
    clock = new FakeClock(Date.now());
    next = undefined;
    signer = rotatingSigner({ current: backendOf(first), next: () => Promise.resolve(next) }, clock);
  });
  const inForce = async (): Promise<string> => (await signer.authority(never)).certificatePem;

  it('signs with the next CA from its time on, and not before', async () => {
    next = { backend: backendOf(second), from: clock.now() + 1_000 };
    expect(await inForce()).to.equal(first.certPem);
    await clock.advance(999);
    expect(await inForce()).to.equal(first.certPem);
    await clock.advance(1);
    expect(await inForce()).to.equal(second.certPem);
  });

  it('never signs with one that has no time', async () => {
    next = { backend: backendOf(second), from: undefined };
    await clock.advance(1e9);
    expect(await inForce()).to.equal(first.certPem);
  });

  it('does not go back to the first one when the next one cannot be used', async () => {
    const unusable = new RefusedError('AuthorityUnusable', 'the key does not fit the certificate');
    const backend = { ...backendOf(second), authority: () => Promise.reject(unusable) };
    next = { backend, from: clock.now() };
    expect(await failureOf(inForce())).to.equal(unusable);
  });
});
