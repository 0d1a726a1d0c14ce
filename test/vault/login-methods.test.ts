import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, it } from 'mocha';
import { expect } from 'chai';
import { givenToken, jwtLogin, kubernetesLogin, tokenFile } from '../../src/vault/login-methods.ts';
import type { AuthServer } from './auth-server.ts';
import { type ManualClock, failureOf, until } from './manual-clock.ts';
import { type SessionFixture, never, read, sessionFixture, tokenUsed } from './session-fixture.ts';

describe('login methods', () => {
  const fixture = sessionFixture();
  let server: AuthServer;
  let clock: ManualClock;
  let dir: string;
  let open: SessionFixture['open'];

  beforeEach(() => {
    ({ server, clock, dir, open } = fixture());
  });

  for (const [method, login] of Object.entries({ Kubernetes: kubernetesLogin, JWT: jwtLogin })) {
    it(`logs in to ${method} auth with the identity token as it stands in the file now`, async () => {
      const jwtFile = join(dir, 'jwt');
      await writeFile(jwtFile, 'first.jwt.x\n');
      const session = open(login({ mount: 'clusters/one', role: 'kubelet-bootstrap', jwtFile }));
      await tokenUsed(session);
      await writeFile(jwtFile, 'second.jwt.x\n');
      server.alive.clear();
      await tokenUsed(session);
      expect(server.bodies('auth/clusters/one/login')).to.deep.equal([
        { role: 'kubelet-bootstrap', jwt: 'first.jwt.x' },
        { role: 'kubelet-bootstrap', jwt: 'second.jwt.x' },
      ]);
    });
  }

  it('uses a given token as it is: no login, no renewal, and its refusal stands', async () => {
    server.alive.add('s.admin');
    const session = open(givenToken('s.admin'));
    expect(await tokenUsed(session)).to.equal('s.admin');
    expect(clock.timers).to.equal(0);
    server.alive.clear();
    expect(await failureOf(session.call(read, never))).to.include({ code: 'Forbidden' });
    expect(server.count('secret/data/a')).to.equal(2);
  });

  describe('with a token file', () => {
    let path: string;

    beforeEach(async () => {
      path = join(dir, 'token');
      await writeFile(path, '  s.file-1\n');
      server.alive.add('s.file-1').add('s.file-2');
    });

    it('takes the token without the white space around it, and the next one a second after it stands there', async () => {
      const session = open(tokenFile(path, clock));
      expect(await tokenUsed(session)).to.equal('s.file-1');
      await writeFile(path, 's.file-2');
      expect(await tokenUsed(session)).to.equal('s.file-1');
      clock.advance(1_000);
      expect(await tokenUsed(session)).to.equal('s.file-2');
      await rm(path);
      clock.advance(1_000);
      expect(await tokenUsed(session)).to.equal('s.file-2');
    });

    it('takes the next one at once when the first is refused', async () => {
      const session = open(tokenFile(path, clock));
      expect(await tokenUsed(session)).to.equal('s.file-1');
      await writeFile(path, 's.file-2');
      server.alive.delete('s.file-1');
      expect(await tokenUsed(session)).to.equal('s.file-2');
    });

    it('renews a renewable token', async () => {
      await tokenUsed(open(tokenFile(path, clock)));
      clock.advance(2_600_000);
      await until(() => server.renewals === 1, 'the token is renewed');
    });

    it('takes a token that cannot look itself up, and lets its calls say what is wrong with it', async () => {
      server.alive.clear();
      const session = open(tokenFile(path, clock));
      expect(await failureOf(session.call(read, never))).to.include({ code: 'Forbidden' });
      expect(server.logins).to.equal(0);
    });

    for (const [what, content, text] of [
      ['missing', undefined, 'ENOENT'],
      ['empty', ' \n', 'is empty'],
      ['a wrapped token', '{"token":"s.wrapped","ttl":60}', 'this is no Vault token'],
    ] as const) {
      it(`says that the file is ${what}, and not what stands in it`, async () => {
        await (content === undefined ? rm(path) : writeFile(path, content));
        const error = await failureOf(open(tokenFile(path, clock)).call(read, never));
        expect(error).to.include({ code: 'Unauthorized' });
        expect((error as Error).message)
          .to.contain(path)
          .and.to.contain(text)
          .and.not.to.contain('s.wrapped');
      });
    }
  });
});
