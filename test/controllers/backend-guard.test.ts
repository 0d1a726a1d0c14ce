import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { BackendGuard, isOutage } from '../../src/controllers/backend-guard.ts';
import { RefusedError, RemoteError } from '../../src/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { failureOf } from '../vault/manual-clock.ts';

const OUT = new RemoteError('vault', 'Unavailable', 'away');

describe('BackendGuard', () => {
  let clock: FakeClock;
  let guard: BackendGuard;
  let recovered: number;
  beforeEach(() => {
    clock = new FakeClock();
    recovered = 0;
    guard = new BackendGuard(clock, () => (recovered += 1));
  });
  const fail = (error: Error = OUT): Promise<unknown> =>
    failureOf(
      guard.run(() => {
        throw error;
      }),
    );
  const succeed = (): Promise<string> => guard.run(() => Promise.resolve('signed'));

  it('holds nothing back while the backend signs', async () => {
    expect(await succeed()).to.equal('signed');
    expect([guard.heldMs(), guard.isOut, recovered]).to.deep.equal([undefined, false, 0]);
  });

  it('holds nothing once nobody has tried for longer than anybody who waits would', async () => {
    await fail();
    expect(guard.isHolding).to.equal(true);
    await clock.advance(130_000);
    expect([guard.isHolding, guard.isOut]).to.deep.equal([false, true]);
  });

  it('waits twice as long after each attempt that failed, for ten seconds at most', async () => {
    const waits: (number | undefined)[] = [];
    for (let attempt = 0; attempt < 7; attempt += 1) {
      await fail();
      waits.push(guard.heldMs());
      await clock.advance(guard.heldMs() ?? 0);
    }
    expect(waits).to.deep.equal([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  it('counts what was under way together as one failure', async () => {
    await Promise.all([fail(), fail(), fail()]);
    expect(guard.heldMs()).to.equal(500);
  });

  it('lets one find out whether the backend is back, and holds the others meanwhile', async () => {
    await fail();
    await clock.advance(500);
    expect(guard.heldMs()).to.equal(undefined);
    let answer = (): void => {};
    const probe = guard.run(() => new Promise<void>((resolve) => (answer = resolve)));
    expect(guard.heldMs()).to.equal(500);
    answer();
    await probe;
    expect([guard.heldMs(), guard.isOut, recovered]).to.deep.equal([undefined, false, 1]);
  });

  it('begins anew with short waits after it was back', async () => {
    await fail();
    await clock.advance(500);
    await fail();
    await clock.advance(1_000);
    await succeed();
    await fail();
    expect(guard.heldMs()).to.equal(500);
  });

  it('lets the next one try when the one that was to find out failed for a reason of its own', async () => {
    await fail();
    await clock.advance(500);
    await fail(new RefusedError('CertificateNotAsPlanned', 'other'));
    expect([guard.heldMs(), guard.isOut]).to.deep.equal([undefined, true]);
  });

  const rows: [title: string, error: unknown, outage: boolean][] = [
    ['a Vault that does not answer', OUT, true],
    ['a sealed Vault', new RemoteError('vault', 'Sealed', ''), true],
    ['a Vault with too much to do', new RemoteError('vault', 'TooManyRequests', ''), true],
    ['a login that is refused', new RemoteError('vault', 'Unauthorized', ''), true],
    ['a policy that lacks the right', new RemoteError('vault', 'Forbidden', ''), true],
    ['a CA that cannot be used', new RefusedError('AuthorityUnusable', ''), true],
    ['a request that Vault does not sign', new RemoteError('vault', 'Invalid', ''), false],
    ['a certificate that is not as planned', new RefusedError('CertificateNotAsPlanned', ''), false],
    ['an API server that does not answer', new RemoteError('kubernetes', 'Unavailable', ''), false],
  ];
  for (const [title, error, outage] of rows) {
    it(`takes ${title} for ${outage ? 'an outage' : 'the matter of one request'}`, () => {
      expect(isOutage(error)).to.equal(outage);
    });
  }
});
