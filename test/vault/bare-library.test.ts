import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { expect } from 'chai';
import nodeVault from 'node-vault';
import { createCa } from '../../scripts/servers/pki.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { VaultSession } from '../../src/vault/auth.ts';
import { VaultClient } from '../../src/vault/client.ts';
import { KeyValue } from '../../src/vault/key-value.ts';
import { givenToken } from '../../src/vault/login-methods.ts';
import { type FaultServer, json, startFaultServer } from './fault-server.ts';
import { failureOf, ManualClock, until } from './manual-clock.ts';

const never = new AbortController().signal;
const TOKEN = 's.ThisIsTheVaultTokenOfTheTest';
const NEXT = 's.AnotherTokenOfTheTestIsThis';
const SECRET = 'abcdef.0123456789abcdef';
const require = createRequire(import.meta.url);

type Method = (...args: unknown[]) => Promise<unknown>;

/**
 * What node-vault does on its own, held beside what the adapter makes of it: where the first half of a row fails, the
 * library has mended that, and the adapter may do less.
 */
describe('node-vault, bare and wrapped', () => {
  let server: FaultServer;
  const cleanUps: (() => void | Promise<void>)[] = [];
  const environment = { ...process.env };

  const bare = (options: nodeVault.VaultOptions = {}): nodeVault.client =>
    nodeVault({ endpoint: server.address, token: TOKEN, ...options });
  const method = (client: nodeVault.client, name: string): Method => (Reflect.get(client, name) as Method).bind(client);
  const wrapped = (address = server.address, ca?: string, timeoutMs = 20_000): VaultClient => {
    const readCa = ca === undefined ? undefined : () => Promise.resolve(ca);
    const client = new VaultClient({ address, clock: systemClock, timeoutMs, readCa });
    cleanUps.push(() => client.close());
    return client;
  };
  const readAt = (...path: string[]) => ({ operation: 'kv-read', method: 'GET', path }) as const;
  const writeAt = (body: Record<string, unknown>, ...path: string[]) =>
    ({ operation: 'kv-write', method: 'POST', path, body }) as const;
  const urls = (): string[] => server.seen.splice(0).map(({ url }) => url);

  beforeEach(async () => {
    server = await startFaultServer(json(200, { data: {} }));
  });
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0)) await cleanUp();
    await server.close();
    process.env = { ...environment };
  });

  it('1, 2: its renewal of a lease of 768 h runs without a pause; ours waits a day', async () => {
    server.answer = json(200, { auth: { client_token: TOKEN, lease_duration: 2_764_800, renewable: true } });
    const client = bare();
    const warnings = process.listeners('warning').splice(0);
    process.removeAllListeners('warning');
    method(client, 'startTokenRenewal')({ ttl: 2_764_800 }).catch(() => {});
    await until(() => server.seen.length >= 20, 'it has renewed twenty times');
    // one failure ends it for good
    const failed = new Promise((resolve) => {
      (client as unknown as EventEmitter).once('token:error:renew', resolve);
    });
    server.answer = json(500, { errors: ['for a moment'] });
    const theirs = server;
    cleanUps.push(() => theirs.close());
    await failed;
    for (const listener of warnings) process.on('warning', listener);
    server = await startFaultServer(json(200, { data: {} }));
    const clock = new ManualClock();
    const inner = new VaultClient({ address: server.address, clock });
    const login = { token: TOKEN, leaseSeconds: 2_764_800, renewable: true };
    const session = new VaultSession({
      client: inner,
      clock,
      method: { name: 'test', login: () => Promise.resolve(login) },
    });
    cleanUps.push(() => session.stop());
    cleanUps.push(() => inner.close());
    await session.call(readAt('a'), never);
    clock.advance(86_399_000);
    await session.call(readAt('b'), never);
    expect(urls()).to.deep.equal(['/v1/a', '/v1/b']);
  });

  it('3: its error of a connection carries token and body; ours neither', async () => {
    const address = server.address;
    await server.close();
    const error = await failureOf(nodeVault({ endpoint: address, token: TOKEN }).write('a', { secret: SECRET }));
    expect(JSON.stringify(error)).to.include(TOKEN).and.include(SECRET);
    const ours = await failureOf(wrapped(address).call(writeAt({ secret: SECRET }, 'a'), TOKEN, never));
    for (const text of [JSON.stringify(ours), inspect(ours, { depth: 9, showHidden: true })]) {
      expect(text).not.to.include(TOKEN).and.not.to.include(SECRET);
    }
    server = await startFaultServer(json(200, {}));
  });

  it('4: with shared headers it goes on with the old token; ours sends the one that it is given', async () => {
    const client = bare({ requestOptions: { headers: {} } });
    await client.read('a');
    client.token = NEXT;
    await client.read('a');
    const ours = wrapped();
    await ours.call(readAt('a'), TOKEN, never);
    await ours.call(readAt('a'), NEXT, never);
    expect(server.seen.map(({ headers }) => headers['x-vault-token'])).to.deep.equal([TOKEN, TOKEN, TOKEN, NEXT]);
  });

  it('5: making a token replaces its own; ours keeps the one that it logged in with', async () => {
    server.answer = json(200, { auth: { client_token: NEXT, lease_duration: 60, renewable: true } });
    const client = bare();
    await client.tokenCreate({});
    expect(client.token).to.equal(NEXT);
    server.seen.splice(0);
    const session = new VaultSession({ client: wrapped(), clock: systemClock, method: givenToken(TOKEN) });
    cleanUps.push(() => session.stop());
    await session.call({ ...writeAt({}, 'auth', 'token', 'create'), operation: 'setup' }, never);
    await session.call(readAt('a'), never);
    expect(server.seen.map(({ headers }) => headers['x-vault-token'])).to.deep.equal([TOKEN, TOKEN]);
  });

  it('6: its commands without a schema put request options into the body; ours sends the body alone', async () => {
    const client = bare();
    await method(
      client,
      'mount',
    )({ mount_point: 'a', type: 'kv', requestOptions: { headers: { 'X-Vault-Token': NEXT } } });
    expect(server.seen.at(-1)?.body).to.include(NEXT);
    await wrapped().call({ ...writeAt({ type: 'kv' }, 'sys', 'mounts', 'a'), operation: 'mount' }, TOKEN, never);
    expect(server.seen.at(-1)?.body).to.equal('{"type":"kv"}');
  });

  it('7: it reads and destroys other paths than it was told; ours the one that was meant', async () => {
    const client = bare();
    await client.read('kv/data/c#d');
    await client.read('a/../../sys/mounts');
    await method(client, 'destroySecretVersions')({ path: "a=b&c'd", versions: [1] });
    const [fragment, outside, destroyed] = urls();
    expect([fragment, outside]).to.deep.equal(['/v1/kv/data/c', '/sys/mounts']);
    expect(destroyed).not.to.include(encodeURIComponent("c'd"));
    const ours = wrapped();
    await ours.call(readAt('kv', 'data', 'c#d'), TOKEN, never);
    const session = new VaultSession({ client: ours, clock: systemClock, method: givenToken(TOKEN) });
    cleanUps.push(() => session.stop());
    server.answer = json(200, { data: { type: 'kv', options: { version: '2' } } });
    await new KeyValue(session, 'kv').destroy("a=b&c'd", [1], never);
    expect(urls().filter((url) => !url.includes('internal'))).to.deep.equal([
      '/v1/kv/data/c%23d',
      "/v1/kv/destroy/a%3Db%26c'd",
    ]);
    expect(await failureOf(ours.call(readAt('a', '..', '..', 'sys', 'mounts'), TOKEN, never))) //
      .to.include({ code: 'Invalid' });
  });

  it('8: its certificate login takes no name, its update no wrapping; ours sends bodies and headers as they are', async () => {
    const client = bare();
    expect(await failureOf(method(client, 'certLogin')({ name: 'node' }))).to.be.instanceOf(Error);
    await client.update('a', { b: 1 }, { headers: { 'X-Vault-Wrap-TTL': '60s' } });
    expect(server.seen.at(-1)?.headers['x-vault-wrap-ttl']).to.equal(undefined);
    await wrapped().call({ ...readAt('a'), wrapSeconds: 60 }, TOKEN, never);
    expect(server.seen.at(-1)?.headers['x-vault-wrap-ttl']).to.equal('60s');
  });

  it('9, 10: it verifies nothing for VAULT_SKIP_VERIFY=false, and with a CA makes a connection for each call', async () => {
    const ca = await createCa('bare library');
    const { certificate: cert, key } = await ca.server('vault', ['127.0.0.1', 'localhost']);
    let connections = 0;
    const tls = new TlsServer({ cert, key }, (request, response) => json(200, { data: {} })(Object(request), response));
    tls.on('secureConnection', () => (connections += 1));
    await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
    cleanUps.push(() => new Promise((resolve) => tls.close(() => resolve())));
    cleanUps.push(() => tls.closeAllConnections());
    const address = `https://127.0.0.1:${(tls.address() as AddressInfo).port}`;
    process.env['VAULT_SKIP_VERIFY'] = 'false';
    await nodeVault({ endpoint: address, token: TOKEN }).read('a');
    expect(await failureOf(wrapped(address).call(writeAt({}, 'a'), TOKEN, never))) //
      .to.include({ code: 'Unavailable', why: 'not-trusted' });
    delete process.env['VAULT_SKIP_VERIFY'];
    const client = nodeVault({ endpoint: address, token: TOKEN, requestOptions: { ca: ca.certificate } });
    connections = 0;
    for (const _ of [1, 2, 3, 4, 5]) await client.read('a');
    expect(connections).to.equal(5);
    connections = 0;
    const ours = wrapped(address, ca.certificate);
    for (const _ of [1, 2, 3, 4, 5]) await ours.call(readAt('a'), TOKEN, never);
    expect(connections, 'one, or one more while the first is not free yet').to.be.at.most(2);
  });

  it('11: it takes the token along to another host; ours does not go there', async () => {
    const foreign = await startFaultServer(json(200, { data: {} }));
    cleanUps.push(() => foreign.close());
    server.answer = (_request, response) => response.writeHead(307, { location: `${foreign.address}/v1/a` }).end();
    await bare().read('a');
    expect(foreign.seen.splice(0).map(({ headers }) => headers['x-vault-token'])).to.deep.equal([TOKEN]);
    expect(await failureOf(wrapped().call(writeAt({}, 'a'), TOKEN, never))).to.include({ code: 'Unavailable' });
    expect(foreign.seen).to.deep.equal([]);
  });

  it('12: it takes an error below sys/health for an answer, and says little of others; ours says what Vault said', async () => {
    server.answer = json(503, { errors: ['Vault is sealed'] });
    expect(await bare().read('kv/data/sys/health')).to.deep.equal({ errors: ['Vault is sealed'] });
    expect(await failureOf(wrapped().call(readAt('kv', 'data', 'sys/health'), TOKEN, never))) //
      .to.include({ code: 'Sealed' });
    server.answer = json(429, { errors: ['first', 'second'] });
    const [theirs, ours] = [
      await failureOf(bare().read('a')),
      await failureOf(wrapped().call(writeAt({}, 'a'), TOKEN, never)),
    ];
    expect((theirs as Error).message).to.equal('first');
    expect((ours as Error).message).to.equal('Vault: POST a: 429 first; second');
  });

  it('it waits for ever for an answer that does not come, and takes proxies from the environment; ours neither', async () => {
    const proxy = await startFaultServer(json(200, { data: { proxied: true } }));
    cleanUps.push(() => proxy.close());
    Object.assign(process.env, { HTTP_PROXY: proxy.address, http_proxy: proxy.address, NO_PROXY: '', no_proxy: '' });
    await bare().read('a');
    expect(proxy.seen.length).to.equal(1);
    await wrapped().call(readAt('a'), TOKEN, never);
    expect(proxy.seen.length).to.equal(1);
    delete process.env['HTTP_PROXY'];
    delete process.env['http_proxy'];
    server.answer = () => undefined;
    const hanging = bare()
      .read('a')
      .then(
        () => 'answered',
        () => 'ended',
      );
    expect(await failureOf(wrapped(server.address, undefined, 500).call(writeAt({}, 'a'), TOKEN, never))) //
      .to.include({ why: 'no-answer-in-time' });
    expect(await Promise.race([hanging, Promise.resolve('still waiting')])).to.equal('still waiting');
    await server.close();
    await hanging;
    server = await startFaultServer(json(200, {}));
  });

  it('this is version 0.12.0, whose defects these are', () => {
    expect((require('node-vault/package.json') as { version: string }).version).to.equal('0.12.0');
  });
});
