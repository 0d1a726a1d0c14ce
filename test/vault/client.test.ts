import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { expect } from 'chai';
import { RemoteError, type RemoteErrorCode } from '../../src/errors.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { type VaultCall, VaultClient, type VaultClientOptions, type VaultRequest } from '../../src/vault/client.ts';
import { type Answer, type FaultServer, json, startFaultServer } from './fault-server.ts';
import { failureOf } from './manual-clock.ts';

const TOKEN = 's.ThisIsTheVaultTokenOfTheTest';
const SECRET = 'abcdef.0123456789abcdef';
const never = new AbortController().signal;
const read: VaultRequest = { operation: 'kv-read', method: 'GET', path: ['secret', 'data', 'a'] };
const write: VaultRequest = { ...read, operation: 'kv-write', method: 'POST', body: { data: { token: SECRET } } };

describe('VaultClient', () => {
  let server: FaultServer;
  let client: VaultClient;
  let calls: VaultCall[];
  const clients: VaultClient[] = [];
  const environment = { ...process.env };

  const connect = (options: Partial<VaultClientOptions> = {}): VaultClient => {
    const created = new VaultClient({
      address: server.address,
      timeoutMs: 20_000,
      clock: { ...systemClock, sleep: () => Promise.resolve() },
      onCall: (call) => calls.push(call),
      ...options,
    });
    clients.push(created);
    return created;
  };

  beforeEach(async () => {
    calls = [];
    server = await startFaultServer(json(200, { data: {} }));
    client = connect();
  });
  afterEach(async () => {
    for (const created of clients.splice(0)) created.close();
    await server.close();
    process.env = { ...environment };
  });

  it('sends what it was configured with and nothing from VAULT_* or a proxy variable', async () => {
    const proxy = await startFaultServer(json(200, { data: {} }));
    Object.assign(process.env, {
      VAULT_TOKEN: 'from-env',
      VAULT_NAMESPACE: 'from-env',
      VAULT_PREFIX: '/from-env',
      VAULT_ADDR: proxy.address,
      HTTP_PROXY: proxy.address,
      http_proxy: proxy.address,
      NO_PROXY: '',
      no_proxy: '',
    });
    await connect().call({ ...read, operation: 'login', method: 'POST', body: {} }, undefined, never);
    await connect({ namespace: 'team/a' }).call(read, TOKEN, never);
    await connect({ namespace: 'team/a' }).call({ ...read, rootNamespace: true }, TOKEN, never);
    expect(proxy.seen).to.deep.equal([]);
    expect(server.seen.map(({ url }) => url)).to.deep.equal(Array(3).fill('/v1/secret/data/a'));
    expect(server.seen.map(({ headers }) => headers['x-vault-token'])).to.deep.equal([undefined, TOKEN, TOKEN]);
    expect(server.seen.map(({ headers }) => headers['x-vault-namespace'])).to.deep.equal([
      undefined,
      'team/a',
      undefined,
    ]);
    await proxy.close();
  });

  it('sends each call with its own token, however often the token changes', async () => {
    for (const token of ['s.a', 's.b', 's.a']) await client.call(read, token, never);
    expect(server.seen.map(({ headers }) => headers['x-vault-token'])).to.deep.equal(['s.a', 's.b', 's.a']);
  });

  for (const [segment, sent] of [
    ['c#d', 'c%23d'],
    ["a=b&c'd", "a%3Db%26c'd"],
    ['%2e%2e', '%252e%252e'],
    ['a?b', 'a%3Fb'],
    ['a&#x2F;b', 'a%26%23x2F%3Bb'],
    ['worker-17.example.internal', 'worker-17.example.internal'],
  ] as const) {
    it(`sends the segment ${segment} as ${sent}`, async () => {
      await client.call({ ...read, path: ['secret', 'data', segment] }, TOKEN, never);
      expect(server.seen[0]?.url).to.equal(`/v1/secret/data/${sent}`);
    });
  }

  for (const path of [['secret', '..', 'sys'], ['secret', '.'], ['secret', ''], ['']]) {
    it(`refuses the path ${JSON.stringify(path)} before anything is sent`, async () => {
      expect(await failureOf(client.call({ ...read, path }, TOKEN, never))).to.include({ code: 'Invalid' });
      expect(server.seen).to.deep.equal([]);
    });
  }

  it('lists with GET, which every load balancer lets through', async () => {
    await client.call({ ...read, operation: 'kv-list', method: 'LIST' }, TOKEN, never);
    expect(server.seen[0]).to.include({ method: 'GET', url: '/v1/secret/data/a?list=true' });
  });

  const statuses: [number, string, RemoteErrorCode][] = [
    [400, 'check-and-set parameter did not match the current version', 'Conflict'],
    [400, 'metadata check-and-set parameter does not match the current version', 'Conflict'],
    [400, 'check-and-set parameter required for this call', 'Invalid'],
    [400, 'invalid role or secret ID', 'Invalid'],
    [400, 'Upgrading from non-versioned to versioned data. This backend will be unavailable', 'Unavailable'],
    [401, 'who are you', 'Unauthorized'],
    [403, '1 error occurred:\n\t* permission denied\n\n', 'Forbidden'],
    [404, 'no handler for route "x". route entry not found.', 'NotFound'],
    [405, 'unsupported operation', 'Invalid'],
    [412, 'required index state not present', 'Unavailable'],
    [429, 'request path "x": rate limit quota exceeded', 'TooManyRequests'],
    [473, '', 'Unavailable'],
    [500, 'could not fetch the CA certificate (was one set?): no default issuer currently configured', 'Invalid'],
    [500, 'unable to find PKI issuer for reference: nope', 'Invalid'],
    [500, 'requested usage issuing-certificates for issuer [id:x] but only had usage read-only', 'Invalid'],
    [500, '1 error occurred:\n\t* past the max TTL, cannot renew\n\n', 'Invalid'],
    [500, 'internal error', 'Unavailable'],
    [502, '', 'Unavailable'],
    [503, 'Vault is sealed', 'Sealed'],
    [503, 'maintenance', 'Unavailable'],
    [202, '', 'Unreadable'],
  ];
  for (const [status, text, code] of statuses) {
    it(`takes ${status} ${JSON.stringify(text)} for ${code}`, async () => {
      server.answer = json(status, { errors: [text] });
      const error = await failureOf(client.call(write, TOKEN, never));
      expect(error).to.be.instanceOf(RemoteError).and.to.include({ system: 'vault', code, status });
      expect((error as RemoteError).message)
        .to.match(/^Vault: POST secret\/data\/a: \d+/)
        .and.not.match(/\n|\t|\*/);
    });
  }

  it('hands a 404 with its body to a caller who asked for it, and takes a missing mount for an error all the same', async () => {
    const asked = { ...read, absentIsAnswer: true };
    server.answer = json(404, { data: { metadata: { version: 3 } } });
    expect(await client.call(asked, TOKEN, never)).to.deep.equal({
      found: false,
      body: { data: { metadata: { version: 3 } } },
    });
    server.answer = json(404, { errors: [] });
    expect(await client.call(asked, TOKEN, never)).to.deep.equal({ found: false, body: { errors: [] } });
    server.answer = json(404, { errors: ['no handler for route "a"'] });
    expect(await failureOf(client.call(asked, TOKEN, never))).to.include({ code: 'NotFound' });
    server.answer = html(404);
    expect(await failureOf(client.call(asked, TOKEN, never))).to.include({ code: 'NotFound' });
    expect(calls.map(({ outcome }) => outcome)).to.deep.equal(['absent', 'absent', 'NotFound', 'NotFound']);
  });

  it('answers an empty body for a 204, and does not read a page for an answer', async () => {
    server.answer = json(204);
    expect(await client.call(read, TOKEN, never)).to.deep.equal({ found: true, body: {} });
    server.answer = html(200);
    expect(await failureOf(client.call(read, TOKEN, never))).to.include({ code: 'Unreadable' });
  });

  it('repeats a read twice while Vault is unavailable or asks to slow down, and a write never', async () => {
    const answers = [json(502), json(429, { errors: ['quota'] }), json(200, { data: 1 })];
    server.answer = (request, response) => answers.shift()?.(request, response);
    expect(await client.call(read, TOKEN, never)).to.deep.include({ found: true });
    expect(calls.map(({ outcome }) => outcome)).to.deep.equal(['Unavailable', 'TooManyRequests', 'ok']);
    server.answer = json(502);
    expect(await failureOf(client.call(read, TOKEN, never))).to.include({ code: 'Unavailable' });
    expect(server.seen).to.have.length(6);
    expect(await failureOf(client.call(write, TOKEN, never))).to.include({ code: 'Unavailable' });
    expect(server.seen).to.have.length(7);
    server.answer = json(503, { errors: ['Vault is sealed'] });
    expect(await failureOf(client.call(read, TOKEN, never))).to.include({ code: 'Sealed' });
    expect(server.seen).to.have.length(8);
  });

  const silent: [string, Answer][] = [
    ['is never answered', () => undefined],
    [
      'is answered byte by byte without an end',
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const drip = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(drip));
      },
    ],
    ['loses its connection', (_request, response) => response.destroy()],
    ['is answered by the HTML page of a proxy', (request, response) => html(502)(request, response)],
    [
      'gets its own body back',
      (request, response) => json(500, { errors: [`cannot: ${request.body} ${TOKEN}`] })(request, response),
    ],
    ['gets another secret back', json(500, { errors: [`hvs.${'a'.repeat(24)} eyJa.eyJb.c ${SECRET} -----BEGIN KEY`] })],
  ];
  for (const [what, answer] of silent) {
    it(`a write that ${what} is Unavailable, and says neither token nor secret`, async () => {
      server.answer = answer;
      const error = await failureOf(connect({ timeoutMs: 200 }).call(write, TOKEN, never));
      expect(error).to.be.instanceOf(RemoteError).and.to.include({ code: 'Unavailable' });
      expectNoSecrets(error);
    });
  }

  it('an error of the connection says neither token nor secret', async () => {
    await server.close();
    const error = await failureOf(client.call(write, TOKEN, never));
    expect((error as Error).message)
      .to.contain('Vault: POST secret/data/a: ')
      .and.to.contain('ECONNREFUSED');
    expectNoSecrets(error);
  });

  it('does not follow a redirect to another host, and so sends it no token', async () => {
    const foreign = await startFaultServer(json(200, { data: {} }));
    for (const location of [`${foreign.address}/v1/secret/data/a`, 'https://127.0.0.1:1/v1/secret/data/a']) {
      server.answer = (_request, response) => response.writeHead(307, { location }).end();
      const error = await failureOf(client.call(write, TOKEN, never));
      expect(error).to.include({ code: 'Unavailable' });
      expect((error as Error).message).to.contain(new URL(location).host);
      expectNoSecrets(error);
    }
    expect(foreign.seen).to.deep.equal([]);
    await foreign.close();
  });

  it('lets go as soon as the signal is aborted', async () => {
    server.answer = () => undefined;
    const controller = new AbortController();
    const pending = client.call(read, TOKEN, controller.signal);
    controller.abort(new Error('enough'));
    expect(await failureOf(pending)).to.have.property('message', 'enough');
    expect(await failureOf(client.call(read, TOKEN, controller.signal))).to.have.property('message', 'enough');
    expect(calls.map(({ outcome }) => outcome)).to.deep.equal(['Aborted']);
  });

  it('prints nothing for DEBUG=node-vault', async () => {
    const debug = createRequire(createRequire(import.meta.url).resolve('node-vault'))('debug') as {
      enable(names: string): void;
      disable(): void;
      log: (...args: unknown[]) => void;
    };
    const printed: unknown[] = [];
    const { log } = debug;
    debug.log = (...args) => printed.push(args);
    debug.enable('node-vault');
    await connect().call(write, TOKEN, never);
    debug.disable();
    debug.log = log;
    expect(printed).to.deep.equal([]);
  });
});

function html(status: number): Answer {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'text/html' });
    response.end('<html>Bad gateway</html>');
  };
}

function expectNoSecrets(error: unknown): void {
  const shown = `${inspect(error, { depth: 10, showHidden: true })} ${JSON.stringify(error)} ${String(error)}`;
  expect(shown).not.to.contain(TOKEN);
  expect(shown).not.to.contain(SECRET);
  expect(shown).not.to.match(/hvs\.|eyJ|BEGIN/);
}
