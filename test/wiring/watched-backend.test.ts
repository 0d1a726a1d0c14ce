import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { RefusedError } from '../../src/errors.ts';
import { EXACT } from '../../src/pki/certificate-check.ts';
import type { Authority, CertificateSigner, Log } from '../../src/ports.ts';
import { watched, type WatchedBackend } from '../../src/wiring/watched-backend.ts';
import { FakeClock } from '../support/fake-clock.ts';

const never = new AbortController().signal;
const AUTHORITY: Authority = {
  subjectDer: new Uint8Array(),
  subjectKeyId: undefined,
  notBefore: 0,
  notAfter: 7,
  certificatePem: '',
  latitude: EXACT,
};

describe('a watched backend', () => {
  let clock: FakeClock;
  let lines: string[];
  let backend: WatchedBackend;
  let authority: () => Promise<Authority>;
  let problem: string | undefined;
  beforeEach(async () => {
    clock = new FakeClock();
    lines = [];
    authority = () => Promise.resolve(AUTHORITY);
    problem = undefined;
    const note = (fields: Readonly<Record<string, unknown>>, message: string): void =>
      void lines.push(typeof fields['problem'] === 'string' ? `${message}: ${fields['problem']}` : message);
    const log: Log = { debug: note, info: note, warn: note, error: note };
    const signer: CertificateSigner = {
      authority: () => authority(),
      sign: () => Promise.resolve(''),
      problem: () => Promise.resolve(problem),
    };
    backend = watched(signer, clock, log);
  });

  it('is looked at from the start on, and says once what is wrong and once that it is over', async () => {
    problem = 'RoleMissing';
    await backend.part.start();
    await clock.advance(0);
    expect(lines).to.deep.equal(['certificates cannot be signed, of some kind at least: RoleMissing']);
    expect(backend.isSick()).to.equal(true);
    await clock.advance(10_000);
    await clock.advance(10_000);
    expect(lines).to.have.length(1);
    problem = undefined;
    await clock.advance(10_000);
    expect(lines.slice(1)).to.deep.equal(['certificates of every kind can be signed again']);
    expect([backend.isSick(), backend.notAfter()]).to.deep.equal([false, 7]);
    await backend.part.stop(never);
  });

  it('says why there is no CA', async () => {
    authority = () => Promise.reject(new RefusedError('AuthorityUnusable', 'it expired'));
    await backend.part.start();
    await clock.advance(0);
    expect(lines.join()).to.match(/: it expired$/);
    expect([backend.isSick(), backend.notAfter()]).to.deep.equal([true, undefined]);
    await backend.part.stop(never);
  });

  it('is well as soon as anybody hears so', async () => {
    problem = 'RoleMissing';
    await backend.backend.problem(never);
    expect(backend.isSick()).to.equal(true);
    problem = undefined;
    await backend.backend.problem(never);
    expect(backend.isSick()).to.equal(false);
  });

  it('remembers the end of the CA that was used', async () => {
    await backend.backend.authority(never);
    expect(backend.notAfter()).to.equal(7);
  });
});
