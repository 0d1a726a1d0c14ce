import { afterEach, beforeEach, describe, it } from 'mocha';
import { expect } from 'chai';
import { RemoteError } from '../../src/errors.ts';
import { VaultClient, type VaultClientOptions, type VaultRequest } from '../../src/vault/client.ts';
import { type Answer, type FaultServer, json, startFaultServer } from './fault-server.ts';
import { failureOf, ManualClock, until } from './manual-clock.ts';

const never = new AbortController().signal;
const read: VaultRequest = { operation: 'kv-read', method: 'GET', path: ['secret', 'data', 'a'] };
const write: VaultRequest = { operation: 'kv-write', method: 'POST', path: ['secret', 'data', 'a'], body: {} };
const login: VaultRequest = { operation: 'login', method: 'POST', path: ['auth', 'approle', 'login'], body: {} };
const health: VaultRequest = { operation: 'health', method: 'GET', path: ['sys', 'seal-status'] };
const SEALED = json(503, { errors: ['Vault is sealed'] });
const OK = json(200, { data: {} });
const BLACK_HOLE: Answer = () => undefined;

function slowDown(retryAfter?: string): Answer {
  return (_request, response) => {
    response.writeHead(429, retryAfter === undefined ? {} : { 'retry-after': retryAfter });
    response.end('{"errors":["rate limit quota exceeded"]}');
  };
}

describe('VaultClient while Vault is away', () => {
  let server: FaultServer;
  let clock: ManualClock;
  const clients: VaultClient[] = [];

  const connect = (options: Partial<VaultClientOptions> = {}): VaultClient => {
    const client = new VaultClient({ address: server.address, timeoutMs: 20_000, clock, random: () => 1, ...options });
    clients.push(client);
    return client;
  };
  /** Makes a call, and moves the clock past its waits. */
  async function result(client: VaultClient, request: VaultRequest): Promise<string> {
    let said: string | undefined;
    void client.call(request, 's.token', never).then(
      () => (said = 'ok'),
      (error: unknown) => (said = error instanceof RemoteError ? error.code : String(error)),
    );
    await until(() => {
      if (said === undefined && clock.timers > 0) clock.advance(2_000);
      return said !== undefined;
    }, 'the call is over');
    return said ?? '';
  }

  beforeEach(async () => {
    clock = new ManualClock();
    server = await startFaultServer(OK);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await server.close();
  });

  describe('429', () => {
    for (const [what, header, expected] of [
      ['with Retry-After says for how long', '7', 7_000],
      ['without Retry-After says nothing of it', undefined, undefined],
      ['with a date for Retry-After says nothing of it', 'Wed, 21 Oct 2026 07:28:00 GMT', undefined],
    ] as const) {
      it(what, async () => {
        server.answer = slowDown(header);
        const error = await failureOf(connect().call(write, 's.token', never));
        expect(error).to.include({ code: 'TooManyRequests', retryAfterMs: expected, why: 'asked-to-wait' });
      });
    }

    it('is waited out in a read when Vault asks for no more than two seconds', async () => {
      server.answer = slowDown('2');
      const client = connect();
      const pending = client.call(read, 's.token', never);
      await until(() => clock.timers === 1, 'it waits');
      clock.advance(1_999);
      expect(server.seen.length).to.equal(1);
      server.answer = OK;
      clock.advance(1);
      expect(await pending).to.include({ found: true });
    });

    it('with a longer wait is left to the caller at once', async () => {
      server.answer = slowDown('30');
      expect(await failureOf(connect().call(read, 's.token', never))).to.include({ retryAfterMs: 30_000 });
      expect(server.seen.length).to.equal(1);
    });
  });

  describe('the circuit breaker', () => {
    it('after three outages in a row fails at once with the same code, and says what was wrong', async () => {
      server.answer = SEALED;
      const client = connect({ holdsBack: true });
      for (const _ of [1, 2, 3]) expect(await result(client, write)).to.equal('Sealed');
      const error = await failureOf(client.call(write, 's.token', never));
      expect(error).to.include({ code: 'Sealed', why: 'sealed', retryAfterMs: 500 });
      expect((error as Error).message)
        .to.include('not tried now')
        .and.include('Vault is sealed');
      expect(server.seen.length).to.equal(3);
    });

    it('lets one at a time find out, after waits that grow to five seconds', async () => {
      server.answer = SEALED;
      const client = connect({ holdsBack: true });
      for (const _ of [1, 2, 3]) await result(client, write);
      for (const wait of [500, 1_000, 2_000, 4_000, 5_000, 5_000]) {
        const before = server.seen.length;
        clock.advance(wait - 1);
        expect(await result(client, write)).to.equal('Sealed');
        expect(server.seen.length).to.equal(before);
        clock.advance(1);
        await Promise.all([1, 2, 3].map(() => result(client, write)));
        expect(server.seen.length).to.equal(before + 1);
      }
    });

    it('is closed by the first answer, and by a refusal, too', async () => {
      for (const answer of [OK, json(403, { errors: ['permission denied'] })]) {
        server.answer = SEALED;
        const client = connect({ holdsBack: true });
        for (const _ of [1, 2, 3]) await result(client, write);
        server.answer = answer;
        clock.advance(500);
        await result(client, write);
        const before = server.seen.length;
        for (const _ of [1, 2, 3]) await result(client, write);
        expect(server.seen.length).to.equal(before + 3);
      }
    });

    it('waits for as long as Vault asks, a minute at most', async () => {
      server.answer = slowDown('3600');
      const client = connect({ holdsBack: true });
      for (const _ of [1, 2, 3]) await result(client, write);
      expect(await failureOf(client.call(write, 's.token', never))).to.include({ retryAfterMs: 60_000 });
    });

    it('does not open for what single calls are refused for', async () => {
      server.answer = json(400, { errors: ['no data provided'] });
      const client = connect({ holdsBack: true });
      for (const _ of [1, 2, 3, 4, 5]) expect(await result(client, write)).to.equal('Invalid');
      expect(server.seen.length).to.equal(5);
    });

    it('does not keep health from being asked for', async () => {
      server.answer = SEALED;
      const client = connect({ holdsBack: true });
      for (const _ of [1, 2, 3]) await result(client, write);
      server.answer = OK;
      expect(await result(client, health)).to.equal('ok');
    });

    it('is none for who does not ask for it: a command tries once and says what is wrong', async () => {
      server.answer = SEALED;
      const client = connect();
      for (const _ of [1, 2, 3, 4, 5]) await result(client, write);
      expect(server.seen.length).to.equal(5);
    });
  });

  describe('what is wrong', () => {
    const rows: [string, VaultRequest, Answer, string | undefined][] = [
      ['a seal', write, SEALED, 'sealed'],
      ['a standby without an active node', write, json(500, { errors: ['local node not active'] }), 'standby'],
      ['a standby of Vault Enterprise', write, json(473), 'standby'],
      [
        'a standby that sends on elsewhere',
        write,
        (_request, response) => response.writeHead(307, { location: 'https://127.0.0.1:1/v1/a' }).end(),
        'standby',
      ],
      ['a rate limit', write, slowDown(), 'asked-to-wait'],
      ['an internal error', write, json(500, { errors: ['internal error'] }), 'server-error'],
      ['a page of a proxy', write, (_request, response) => response.writeHead(502).end('<html>'), 'server-error'],
      ['a lost connection', write, (_request, response) => response.destroy(), 'unreachable'],
      ['a black hole', write, BLACK_HOLE, 'no-answer-in-time'],
      ['a right that is missing', write, json(403, { errors: ['permission denied'] }), 'forbidden'],
      ['a refused AppRole', login, json(400, { errors: ['invalid role or secret ID'] }), 'login-refused'],
      ['a locked AppRole', login, json(403, { errors: ['permission denied'] }), 'login-refused'],
      ['bad input', write, json(400, { errors: ['no data provided'] }), undefined],
      ['a lost race', write, json(400, { errors: ['check-and-set parameter did not match'] }), undefined],
      ['a dead token, found out by a look-up', { ...health, operation: 'lookup' }, json(403), undefined],
    ];
    for (const [what, request, answer, why] of rows) {
      it(`${what} is told as ${why ?? 'nothing'}`, async () => {
        server.answer = answer;
        const client = connect(answer === BLACK_HOLE ? { timeoutMs: 500 } : {});
        await failureOf(client.call(request, 's.token', never));
        expect(client.problems().map((problem) => problem.why)).to.deep.equal(why === undefined ? [] : [why]);
        server.answer = OK;
        await until(async () => (await result(client, request)) === 'ok', 'it has an answer in time');
        expect(client.problems()).to.deep.equal([]);
      });
    }

    it('is forgotten when nobody has met it for two minutes, and told by what was done', async () => {
      server.answer = json(403, { errors: ['permission denied'] });
      const client = connect();
      await failureOf(client.call(write, 's.token', never));
      clock.advance(60_000);
      await failureOf(client.call(read, 's.token', never));
      expect(client.problems().map(({ operation }) => operation)).to.deep.equal(['kv-write', 'kv-read']);
      clock.advance(60_001);
      expect(client.problems().map(({ operation }) => operation)).to.deep.equal(['kv-read']);
    });
  });

  it('takes nothing for an outage any more when Vault is there and unsealed, but what was refused', async () => {
    const client = connect();
    server.answer = SEALED;
    await failureOf(client.call(write, 's.token', never));
    server.answer = json(403, { errors: ['permission denied'] });
    await failureOf(client.call(read, 's.token', never));
    client.isUp();
    expect(client.problems().map(({ why }) => why)).to.deep.equal(['forbidden']);
  });

  it('follows a redirect to the same address with the token, and not for ever', async () => {
    server.answer = (request, response) =>
      request.url === '/v1/b' ? OK(request, response) : response.writeHead(307, { location: '/v1/b' }).end();
    const client = connect();
    await client.call(write, 's.token', never);
    expect(server.seen.map(({ url, headers }) => [url, headers['x-vault-token']])).to.deep.equal([
      ['/v1/secret/data/a', 's.token'],
      ['/v1/b', 's.token'],
    ]);
    server.answer = (_request, response) => response.writeHead(307, { location: '/v1/a' }).end();
    expect(await failureOf(client.call(write, 's.token', never))).to.include({ code: 'Unavailable' });
    expect(server.seen.length).to.equal(6);
  });
});
