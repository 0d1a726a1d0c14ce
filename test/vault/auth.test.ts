import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, it } from 'mocha';
import { expect } from 'chai';
import { RemoteError } from '../../src/errors.ts';
import { type LoginMethod, appRole } from '../../src/vault/login-methods.ts';
import type { AuthServer } from './auth-server.ts';
import { json } from './fault-server.ts';
import { type ManualClock, failureOf, until } from './manual-clock.ts';
import { type SessionFixture, never, read, sessionFixture, tokenUsed } from './session-fixture.ts';

const DAY = 86_400_000;
const SECRET_ID = '6f1d7a52-secret-id-of-the-test';

describe('VaultSession', () => {
  const fixture = sessionFixture();
  let server: AuthServer;
  let clock: ManualClock;
  let open: SessionFixture['open'];
  let role: LoginMethod;

  beforeEach(async () => {
    ({ server, clock, open } = fixture());
    const { dir } = fixture();
    await writeFile(join(dir, 'role-id'), 'the-role\n');
    await writeFile(join(dir, 'secret-id'), `${SECRET_ID}\n`);
    role = appRole({ mount: 'approle', roleIdFile: join(dir, 'role-id'), secretIdFile: join(dir, 'secret-id') });
  });

  it('logs in when a token is first needed, once for twenty calls together', async () => {
    const session = open(role);
    expect(server.logins).to.equal(0);
    const tokens = await Promise.all(Array.from({ length: 20 }, () => tokenUsed(session)));
    expect(new Set(tokens)).to.deep.equal(new Set(['s.login-1']));
    expect(server.logins).to.equal(1);
    expect(server.bodies('auth/approle/login')).to.deep.equal([{ role_id: 'the-role', secret_id: SECRET_ID }]);
  });

  it('renews at two thirds of the lease', async () => {
    await tokenUsed(open(role));
    clock.advance(2_399_000);
    expect(server.renewals).to.equal(0);
    clock.advance(130_000);
    await until(() => server.renewals === 1 && clock.timers === 1, 'the token is renewed');
    clock.advance(2_530_000);
    await until(() => server.renewals === 2, 'it is renewed again');
    expect(server.logins).to.equal(1);
  });

  it('renews a lease of 768 h once a day, and not at once', async () => {
    server.lease = 2_764_800;
    await tokenUsed(open(role));
    clock.advance(DAY - 1);
    expect(server.renewals).to.equal(0);
    clock.advance(1);
    await until(() => server.renewals === 1 && clock.timers === 1, 'the token is renewed');
    expect(server.renewals).to.equal(1);
  });

  it('logs in anew when a renewal brings no more time', async () => {
    const session = open(role);
    await tokenUsed(session);
    server.renewedLease = 1_000;
    clock.advance(2_600_000);
    await until(() => server.logins === 2 && clock.timers === 1, 'there is a second login');
    expect(await tokenUsed(session)).to.equal('s.login-2');
    expect(server.renewals).to.equal(1);
  });

  it('logs in anew at once when a renewal is refused for the longest lifetime, which OpenBao answers with 500', async () => {
    await tokenUsed(open(role));
    server.renewal = json(500, { errors: ['1 error occurred:\n\t* past the max TTL, cannot renew\n\n'] });
    clock.advance(2_600_000);
    await until(() => server.logins === 2 && clock.timers === 1, 'there is a second login');
    expect(server.renewals).to.equal(1);
  });

  it('logs in anew in time when the token cannot be renewed (a batch token)', async () => {
    server.renewable = false;
    const session = open(role);
    await tokenUsed(session);
    clock.advance(2_600_000);
    await until(() => server.logins === 2 && clock.timers === 1, 'there is a second login');
    expect(server.renewals).to.equal(0);
  });

  it('goes on trying to renew while Vault is away, and logs in when little of the lease is left', async () => {
    server.renewal = json(500, { errors: ['away'] });
    const session = open(role);
    await tokenUsed(session);
    clock.advance(2_600_000);
    for (let tried = 1; tried <= 3; tried += 1) {
      await until(() => server.renewals === tried && clock.timers === 1, `attempt ${tried} is over`);
      clock.advance(60_000);
    }
    await until(() => server.renewals === 4 && clock.timers === 1, 'attempt 4 is over');
    expect(server.logins).to.equal(1);
    clock.advance(500_000);
    await until(() => server.logins === 2 && clock.timers === 1, 'there is a second login');
    expect(await tokenUsed(session)).to.equal('s.login-2');
  });

  it('logs in before a call when the lease has ended unnoticed', async () => {
    server.renewal = json(500, { errors: ['away'] });
    const session = open(role);
    await tokenUsed(session);
    server.alive.clear();
    clock.advance(3_600_000);
    expect(await tokenUsed(session)).to.equal('s.login-2');
    expect(server.count('auth/token/lookup-self')).to.equal(0);
  });

  it('repeats a call that was refused after one new login, shared by all', async () => {
    const session = open(role);
    await tokenUsed(session);
    server.alive.clear();
    const tokens = await Promise.all(Array.from({ length: 10 }, () => tokenUsed(session)));
    expect(new Set(tokens)).to.deep.equal(new Set(['s.login-2']));
    expect(server.logins).to.equal(2);
  });

  it('does not log in again for a call that may well be refused', async () => {
    const session = open(role);
    await tokenUsed(session);
    server.allowed = () => false;
    clock.advance(60_000);
    const refused = await failureOf(session.call({ ...read, mayBeRefused: true }, never));
    expect(refused).to.include({ code: 'Forbidden' });
    expect(server.logins).to.equal(1);
  });

  it('does not log in again for a call that hears late that the old token is dead', async () => {
    const session = open(role);
    await tokenUsed(session);
    server.alive.clear();
    let hearLate: (() => void) | undefined;
    server.beforeLookup = (go) => {
      if (hearLate === undefined) {
        hearLate = go;
      } else {
        go();
      }
    };
    const late = tokenUsed(session);
    await until(() => hearLate !== undefined, 'the first call asks whether the token lives');
    expect(await tokenUsed(session)).to.equal('s.login-2');
    hearLate?.();
    expect(await late).to.equal('s.login-2');
    expect(server.logins).to.equal(2);
  });

  it('logs in once and no more when the new token is refused, too', async () => {
    const session = open(role);
    await tokenUsed(session);
    server.allowed = () => false;
    clock.advance(31_000);
    expect(await failureOf(session.call(read, never))).to.include({ code: 'Forbidden' });
    expect(server.logins).to.equal(2);
    expect(server.count('secret/data/a')).to.equal(3);
  });

  it('does not log in for a right that a fresh and living token lacks', async () => {
    server.allowed = () => false;
    const session = open(role);
    for (let call = 0; call < 5; call += 1) {
      expect(await failureOf(session.call(read, never))).to.include({ code: 'Forbidden' });
    }
    expect(server.logins).to.equal(1);
  });

  it('says why a login was refused, without the secret, and holds back before the next', async () => {
    server.refusal = json(400, { errors: [`invalid role or secret ID ${SECRET_ID}`] });
    const session = open(role);
    for (let call = 0; call < 5; call += 1) {
      const error = await failureOf(session.call(read, never));
      expect(error).to.be.instanceOf(RemoteError).and.to.include({ code: 'Unauthorized', status: 400 });
      expect((error as Error).message)
        .to.contain('AppRole at auth/approle')
        .and.to.contain('invalid role or secret ID');
      expect((error as Error).message).not.to.contain(SECRET_ID);
    }
    expect(server.count('auth/approle/login')).to.equal(1);
    clock.advance(1_000);
    await failureOf(session.call(read, never));
    clock.advance(1_000);
    await failureOf(session.call(read, never));
    expect(server.count('auth/approle/login')).to.equal(2);
    server.refusal = undefined;
    clock.advance(2_000);
    expect(await tokenUsed(session)).to.equal('s.login-1');
  });

  it('asks again at once after a login that failed because Vault was sealed', async () => {
    server.refusal = json(503, { errors: ['Vault is sealed'] });
    const session = open(role);
    expect(await failureOf(session.call(read, never))).to.include({ code: 'Sealed' });
    server.refusal = undefined;
    expect(await tokenUsed(session)).to.equal('s.login-1');
  });

  it('lets a caller go whose signal is aborted, and the login serves the others', async () => {
    const session = open(role);
    const controller = new AbortController();
    const impatient = session.call(read, controller.signal);
    const patient = tokenUsed(session);
    controller.abort(new Error('enough'));
    expect(await failureOf(impatient)).to.have.property('message', 'enough');
    expect(await patient).to.equal('s.login-1');
  });

  it('has no timer left after stop, and answers no call that needs a login', async () => {
    const session = open(role);
    await tokenUsed(session);
    expect(clock.timers).to.equal(1);
    session.stop();
    expect(clock.timers).to.equal(0);
    clock.advance(4_000_000);
    expect(await failureOf(session.call(read, never))).to.have.property('message', 'the Vault session was stopped');
  });

  describe('check', () => {
    it('finds nothing when Vault is unsealed and there is a token', async () => {
      expect(await open(role).check(never)).to.equal(undefined);
    });

    it('names a refused login', async () => {
      server.refusal = json(400, { errors: ['invalid role or secret ID'] });
      expect(await open(role).check(never)).to.contain('Vault refused the login with AppRole at auth/approle');
    });

    it('says so when the time is over', async () => {
      expect(await open(role).check(AbortSignal.abort())).to.equal('Vault gave no answer in time');
    });
  });
});
