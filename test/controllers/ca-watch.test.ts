import { expect } from 'chai';
import { before, beforeEach, describe, it } from 'mocha';
import { CaWatch } from '../../src/controllers/ca-watch.ts';
import { RefusedError, RemoteError } from '../../src/errors.ts';
import { localSigner } from '../../src/local-ca/signer.ts';
import type { Authorities } from '../../src/ports/ca.ts';
import type { CertificateSigner, Log } from '../../src/ports.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testAuthority, type TestAuthority } from '../support/test-authority.ts';
import { never } from './world.ts';

const DAY = 24 * 3_600_000;

describe('controllers/ca-watch', () => {
  let first: TestAuthority;
  let second: TestAuthority;
  before(async () => {
    [first, second] = await Promise.all([testAuthority(), testAuthority()]);
  });
  let clock: FakeClock;
  let published: string | undefined;
  let writes: number;
  let lines: string[];
  let authorities: Authorities;
  let watch: CaWatch;
  const backendOf = (pair: TestAuthority): CertificateSigner =>
    localSigner({ source: { describe: () => 'test', load: () => Promise.resolve(pair) }, clock, onProblem: () => {} });
  beforeEach(() => {
    clock = new FakeClock(Date.now());
    published = undefined;
    writes = 0;
    lines = [];
    const say = (_fields: unknown, message: string): void => void lines.push(message);
    const log: Log = { debug: say, info: say, warn: say, error: say };
    const bundle = {
      read: () => Promise.resolve(published),
      write: (pem: string) => {
        published = pem;
        writes += 1;
        return Promise.resolve();
      },
    };
    authorities = { current: backendOf(first), next: () => Promise.resolve(undefined) };
    const live: Authorities = {
      get current() {
        return authorities.current;
      },
      next: (signal) => authorities.next(signal),
    };
    watch = new CaWatch({ authorities: live, bundle, longestLifeMs: () => 7 * DAY, clock, log });
  });
  const withNext = (backend: CertificateSigner, from?: number): void => {
    authorities = { ...authorities, next: () => Promise.resolve({ backend, from }) };
  };

  it('publishes the CA once, and writes again only when somebody changed it', async () => {
    await watch.look(never);
    await watch.look(never);
    expect([published, writes]).to.deep.equal([first.certPem, 1]);
    published = 'edited';
    await watch.look(never);
    expect([published, writes]).to.deep.equal([first.certPem, 2]);
    expect(lines.filter((line) => line === 'CAs in use')).to.have.length(1);
  });

  it('publishes the next one long before it signs, and the previous one as long as it is there', async () => {
    withNext(backendOf(second), clock.now() + DAY);
    await watch.look(never);
    expect(published).to.equal(first.certPem + second.certPem);
    expect(watch.otherEnds().map(({ role }) => role)).to.deep.equal(['next']);
    await clock.advance(DAY);
    await watch.look(never);
    expect(published).to.equal(second.certPem + first.certPem);
    expect(watch.otherEnds().map(({ role }) => role)).to.deep.equal(['previous']);
  });

  it('says once what is wrong with the next one before its time comes, and takes nobody out for it', async () => {
    published = first.certPem + second.certPem;
    const unusable = new RefusedError('AuthorityUnusable', 'the key does not fit the certificate');
    withNext({ ...backendOf(second), authority: () => Promise.reject(unusable) }, clock.now() + DAY);
    await watch.look(never);
    await watch.look(never);
    expect(published).to.equal(first.certPem + second.certPem);
    const said = 'the next CA cannot be used: the key does not fit the certificate';
    expect(lines.filter((line) => line === said)).to.have.length(1);
  });

  it('says what the next one cannot sign, and publishes it all the same', async () => {
    withNext({ ...backendOf(second), problem: () => Promise.resolve('role s: RoleMissing') }, clock.now() + DAY);
    await watch.look(never);
    expect(published).to.equal(first.certPem + second.certPem);
    expect(lines).to.include('the next CA cannot be used: role s: RoleMissing');
    await clock.advance(2 * DAY);
    authorities = {
      current: { ...backendOf(first), problem: () => Promise.resolve('role s: RoleMissing') },
      next: authorities.next,
    };
    withNext(backendOf(second), clock.now() - DAY);
    lines.length = 0;
    await watch.look(never);
    expect(lines.join()).not.to.include('cannot be used');
  });

  it('leaves everything as it is when Vault is away, and goes on when it is back', async () => {
    published = second.certPem;
    const { next } = authorities;
    authorities = { ...authorities, next: () => Promise.reject(new RemoteError('vault', 'Sealed', 'Vault is sealed')) };
    await watch.look(never);
    expect(published).to.equal(second.certPem);
    expect(lines).to.deep.equal(['the CAs to trust are left as they are published: Vault is sealed']);
    authorities = { ...authorities, next };
    await watch.look(never);
    expect(published).to.equal(first.certPem);
  });
});
