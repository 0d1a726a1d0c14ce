import { rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RemoteError } from '../../src/errors.ts';
import { Transport } from '../../src/kubernetes/transport.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { failureOf } from '../controllers/world.ts';
import { until } from '../support/crowd.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { BEARER, json, status } from '../support/fault-apiserver.ts';
import { GET, never, TransportFixture } from './fixture.ts';

describe('kubernetes/transport', () => {
  const fixture = new TransportFixture();

  async function remoteFailure(work: Promise<unknown>): Promise<RemoteError> {
    const error = await failureOf(work);
    expect(error).to.be.instanceOf(RemoteError);
    expect(String(error) + JSON.stringify(error)).not.to.contain(BEARER);
    return error as RemoteError;
  }

  it('makes a hundred calls over one TLS connection', async () => {
    const transport = fixture.transport();
    const before = fixture.server.connections();
    for (let count = 0; count < 50; count += 1) await transport.call(GET, never);
    await Promise.all(Array.from({ length: 50 }, () => transport.call(GET, never)));
    expect(fixture.server.connections() - before).to.equal(1);
    expect(fixture.server.seen).to.have.length(100);
  });

  it('opens no more connections than it may', async () => {
    const transport = fixture.transport({ connections: 4 });
    const before = fixture.server.connections();
    await Promise.all(Array.from({ length: 200 }, () => transport.call(GET, never)));
    expect(fixture.server.connections() - before).to.be.within(1, 4);
  });

  it('lets answers go on together while many calls are under way', async () => {
    const transport = fixture.transport({ connections: 8, clock: new FakeClock() });
    const open: ServerResponse[] = [];
    let finished = 0;
    fixture.server.answer = (_request, response) => open.push(response);
    const answered = Array.from({ length: 8 }, () => transport.call(GET, never).then(() => (finished += 1)));
    const answer = async (count: number): Promise<void> => {
      for (const response of open.splice(0, count)) response.end('{}');
      const before = fixture.calls.length;
      await until('they are there', () => Promise.resolve(fixture.calls.length === before + count), 5);
      await settled();
    };
    await until('all are asked', () => Promise.resolve(open.length === 8), 5);
    await answer(3);
    expect(finished).to.equal(0);
    await answer(1);
    expect(finished).to.equal(4);
    await answer(4);
    await Promise.all(answered);
  });

  it('sends method, query, body and content type as they are asked for, with its credential', async () => {
    const transport = fixture.transport();
    const wanted = { verb: 'patch', resource: 'things', path: '/api/v1/things/a%2Fb', query: { dry: 'a b' } } as const;
    await transport.call(
      { ...wanted, body: { a: 1 }, contentType: 'application/merge-patch+json', accept: 'x/y' },
      never,
    );
    const [seen] = fixture.server.seen;
    expect(seen).to.deep.include({ method: 'PATCH', path: '/api/v1/things/a%2Fb', body: { a: 1 } });
    expect(seen?.query.get('dry')).to.equal('a b');
    expect(seen?.headers).to.include({
      authorization: `Bearer ${BEARER}`,
      'content-type': 'application/merge-patch+json',
      accept: 'x/y',
    });
  });

  it('reads the clock of the API server from any answer that knows us', async () => {
    const clock = new FakeClock();
    const transport = fixture.transport({ clock });
    const date = 'Sun, 31 Jan 2027 12:00:00 GMT';
    for (const code of [200, 403, 404]) {
      fixture.server.answer = json(code, {}, { date });
      const reading = await transport.readClock(never);
      expect(reading).to.deep.equal({ server: Date.parse(date), before: clock.now(), after: clock.now() });
    }
    fixture.server.answer = status(401, 'Unauthorized', 'no', { date });
    expect(await remoteFailure(transport.readClock(never))).to.include({ code: 'Unauthorized' });
    fixture.server.answer = json(200, {}, { date: 'yesterday' });
    expect(await remoteFailure(transport.readClock(never))).to.include({ code: 'Unreadable' });
  });

  it('tells of every call with verb, resource, status and seconds', async () => {
    const transport = fixture.transport();
    await transport.call(GET, never);
    fixture.server.answer = status(404, 'NotFound', 'no such thing');
    await failureOf(transport.call(GET, never));
    fixture.server.answer = () => {};
    await failureOf(fixture.transport({ timeoutMs: 50 }).call(GET, never));
    expect(fixture.calls.map((call) => [call.verb, call.resource, call.status])).to.deep.equal([
      ['get', 'things', '200'],
      ['get', 'things', '404'],
      ['get', 'things', 'none'],
    ]);
    expect(fixture.calls.every(({ seconds }) => seconds >= 0 && seconds < 60)).to.equal(true);
  });

  describe('makes of', () => {
    const table = [
      ['400', status(400, 'BadRequest', 'bad'), 'Invalid'],
      ['403', status(403, 'Forbidden', 'not permitted'), 'Forbidden'],
      ['404', status(404, 'NotFound', 'no such thing'), 'NotFound'],
      ['409', status(409, 'Conflict', 'the object has been modified'), 'Conflict'],
      ['409 on create', status(409, 'AlreadyExists', 'already exists'), 'AlreadyExists'],
      ['410', status(410, 'Expired', 'too old resource version'), 'Expired'],
      ['413', json(413, {}), 'Invalid'],
      ['422', status(422, 'Invalid', 'status.conditions: Forbidden'), 'Invalid'],
      ['429', status(429, 'TooManyRequests', 'slow down'), 'TooManyRequests'],
      ['500', status(500, 'InternalError', 'etcdserver: request timed out'), 'Unavailable'],
      ['503', status(503, 'ServiceUnavailable', 'not ready'), 'Unavailable'],
      ['504', status(504, 'Timeout', 'Too large resource version'), 'Unavailable'],
    ] as const;
    for (const [row, answer, code] of table) {
      it(`${row} the code ${code}, with the operation and the message of the Status`, async () => {
        fixture.server.answer = answer;
        const error = await remoteFailure(fixture.transport().call(GET, never));
        expect(error).to.include({ code, system: 'kubernetes', status: Number(row.slice(0, 3)) });
        expect(error.message).to.match(/^get things: ./);
        expect(fixture.server.seen, 'asked once').to.have.length(1);
      });
    }

    it('a page of HTML from a proxy its status, without the page', async () => {
      fixture.server.answer = (_request, response) => response.writeHead(502).end('<html>Bad Gateway</html>');
      const error = await remoteFailure(fixture.transport().call(GET, never));
      expect(error).to.include({ code: 'Unavailable', message: 'get things: HTTP 502' });
    });

    for (const [row, text] of [
      ['HTML with status 200', '<html>Please log in</html>'],
      ['half a Secret', '{"data":{"token-secret":"MDEyMzQ1Njc4OWFiY2RlZg=='],
      ['nothing', ''],
    ] as const) {
      it(`${row} an answer that is Unreadable, and quotes none of it`, async () => {
        fixture.server.answer = (_request, response) => response.end(text);
        const error = await remoteFailure(fixture.transport().call(GET, never));
        expect(error).to.include({ code: 'Unreadable', message: 'get things: an answer that is no JSON' });
      });
    }

    for (const [header, ms] of [
      ['3', 3_000],
      ['0', 0],
      ['soon', undefined],
      ['-1', undefined],
    ] as const) {
      it(`Retry-After: ${header} a wait of ${ms} ms`, async () => {
        fixture.server.answer = status(429, 'TooManyRequests', 'slow down', { 'retry-after': header });
        expect(await remoteFailure(fixture.transport().call(GET, never))).to.include({ retryAfterMs: ms });
      });
    }

    it('a connection that breaks in the middle of an answer the code Unavailable', async () => {
      fixture.server.answer = (_request, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"half":');
        setImmediate(() => response.destroy());
      };
      expect(await remoteFailure(fixture.transport().call(GET, never))).to.include({ code: 'Unavailable' });
    });

    it('a port that nobody listens on the code Unavailable', async () => {
      const kubeconfig = fixture.server.kubeconfig('nobody', { cluster: { server: 'https://127.0.0.1:1' } });
      expect(await remoteFailure(fixture.transport({ kubeconfig }).call(GET, never))).to.include({
        code: 'Unavailable',
      });
    });

    it('a server of another CA the code Unavailable, and sends it nothing', async () => {
      const cluster = { server: fixture.server.server };
      const kubeconfig = fixture.server.kubeconfig('no-ca', { cluster });
      const error = await remoteFailure(fixture.transport({ kubeconfig }).call(GET, never));
      expect(error.code).to.equal('Unavailable');
      expect(error.message).to.match(/certificate/);
      expect(fixture.server.seen).to.deep.equal([]);
    });
  });

  describe('waits no longer than its time', () => {
    for (const [row, answer] of [
      ['for an answer', () => {}],
      [
        'for the rest of an answer',
        (_request: unknown, response: { writeHead(code: number): unknown; write(text: string): unknown }) => {
          response.writeHead(200);
          response.write('{"half":');
        },
      ],
    ] as const) {
      it(row, async () => {
        fixture.server.answer = answer;
        expect(await remoteFailure(fixture.transport({ timeoutMs: 50 }).call(GET, never))).to.include({
          code: 'Unavailable',
        });
      });
    }

    it('for a credential plugin', async () => {
      const config = new KubeConfig();
      config.loadFromFile(fixture.server.kubeconfig('hanging'));
      config.applyToHTTPSOptions = () => new Promise(() => {});
      const options = { clock: systemClock, timeoutMs: 50, connections: 1, onCall: () => {} };
      const transport = new Transport(config, () => config, options);
      expect(await remoteFailure(transport.call(GET, never))).to.include({ code: 'Unavailable' });
      expect(await remoteFailure(transport.call(GET, AbortSignal.abort()))).to.include({ code: 'Unavailable' });
      expect(await remoteFailure(transport.serverCertificates(never))).to.include({ code: 'Unavailable' });
    });

    it('and ends at once when it is aborted', async () => {
      const stop = new AbortController();
      fixture.server.answer = () => stop.abort();
      expect(await remoteFailure(fixture.transport().call(GET, stop.signal))).to.include({ code: 'Unavailable' });
    });
  });

  describe('credentials', () => {
    const onlyFor =
      (token: string): typeof fixture.server.answer =>
      (request, response) =>
        request.headers.authorization === `Bearer ${token}`
          ? json(200, { welcome: true })(request, response)
          : status(401, 'Unauthorized', 'Unauthorized')(request, response);

    it('of a service account are read again from the disk after a 401, and the call is repeated once', async () => {
      const file = join(fixture.server.dir, 'token');
      writeFileSync(file, 'first\n');
      // As client-node itself has it in a cluster; it keeps the token for a minute.
      const user = { 'auth-provider': { name: 'tokenFile', config: { tokenFile: file } } };
      const transport = fixture.transport({ kubeconfig: fixture.server.kubeconfig('service-account', { user }) });
      fixture.server.answer = onlyFor('first');
      expect(await transport.call(GET, never)).to.deep.equal({ welcome: true });
      writeFileSync(file, 'second\n');
      fixture.server.answer = onlyFor('second');
      expect(await transport.call(GET, never)).to.deep.equal({ welcome: true });
      expect(fixture.server.seen).to.have.length(3);
    });

    it('of a kubeconfig are read again after a 401, and kept while it is missing', async () => {
      const kubeconfig = fixture.server.kubeconfig('rewritten', { user: { token: 'first' } });
      const transport = fixture.transport({ kubeconfig });
      rmSync(kubeconfig);
      fixture.server.answer = onlyFor('second');
      expect(await remoteFailure(transport.call(GET, never))).to.include({ code: 'Unauthorized' });
      fixture.server.kubeconfig('rewritten', { user: { token: 'second' } });
      expect(await transport.call(GET, never)).to.deep.equal({ welcome: true });
    });

    it('that stay wrong give Unauthorized after two calls', async () => {
      fixture.server.answer = onlyFor('nobody');
      expect(await remoteFailure(fixture.transport().call(GET, never))).to.include({ code: 'Unauthorized' });
      expect(fixture.server.seen).to.have.length(2);
    });

    it('are read again after a 401 to a watch, for the next one', async () => {
      const transport = fixture.transport({
        kubeconfig: fixture.server.kubeconfig('rewritten', { user: { token: 'first' } }),
      });
      fixture.server.kubeconfig('rewritten', { user: { token: 'second' } });
      fixture.server.answer = onlyFor('second');
      const watch = async (): Promise<unknown[]> => {
        const lines: unknown[] = [];
        const take = (line: unknown): 'more' => {
          lines.push(line);
          return 'more';
        };
        await transport.follow({ ...GET, verb: 'watch' }, take, never);
        return lines;
      };
      expect(await remoteFailure(watch())).to.include({ code: 'Unauthorized' });
      fixture.server.answer = (request, response) => {
        expect(request.headers.authorization).to.equal('Bearer second');
        response.end('{"welcome":true}\n');
      };
      expect(await watch()).to.deep.equal([{ welcome: true }]);
    });

    it('that are client certificates are read again within 30 s when they are rotated on disk', async () => {
      const clock = new FakeClock();
      const [cert, key] = [join(fixture.server.dir, 'me.crt'), join(fixture.server.dir, 'me.key')];
      const write = async (name: string): Promise<void> => {
        const pair = await fixture.server.client(name);
        writeFileSync(cert, pair.certificate);
        writeFileSync(key, pair.key);
      };
      const subjects: string[] = [];
      fixture.server.answer = (request, response) => {
        const socket = response.socket as unknown as { getPeerCertificate(): { subject: { CN: string } } };
        subjects.push(socket.getPeerCertificate().subject.CN);
        json(200, {})(request, response);
      };
      await write('first');
      const user = { 'client-certificate': cert, 'client-key': key };
      const transport = fixture.transport({ clock, kubeconfig: fixture.server.kubeconfig('certificate', { user }) });
      await transport.call(GET, never);
      await write('second');
      await transport.call(GET, never);
      await clock.advance(30_000);
      await Promise.all([transport.call(GET, never), transport.call(GET, never)]);
      expect(subjects).to.deep.equal(['first', 'first', 'second', 'second']);
    });

    it('that cannot be read give Unavailable, and are not waited for', async () => {
      const user = { 'client-certificate': join(fixture.server.dir, 'none'), 'client-key': '/nowhere' };
      const transport = fixture.transport({ kubeconfig: fixture.server.kubeconfig('unreadable', { user }) });
      expect(await remoteFailure(transport.call(GET, never))).to.include({ code: 'Unavailable' });
    });
  });

  it('makes no call once it is closed', async () => {
    const transport = fixture.transport();
    await transport.call(GET, never);
    await transport.close();
    expect(await remoteFailure(transport.call(GET, never))).to.include({ code: 'Unavailable' });
  });
});
