import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { Agent } from 'undici';
import { systemClock } from '../../src/runtime/clock.ts';
import { AnswerTooLargeError, exchange, NoAnswerInTimeError } from '../../src/runtime/exchange.ts';
import { FakeClock } from '../support/fake-clock.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const MINUTE = 60_000;

/** What it rejects with; what it resolves with is none of that. */
const rejection = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'it resolved',
    (reason: unknown) => reason,
  );

describe('exchange', () => {
  let server: Server;
  let agent: Agent;
  let handle: Handler;
  let origin: string;
  let controller: AbortController;

  const ask = (limits: { timeoutMs?: number; largestBytes?: number } = {}, body?: string) =>
    exchange(
      agent,
      { origin, path: '/a?b=c', method: body === undefined ? 'GET' : 'POST', headers: { accept: 'text/plain' }, body },
      { clock: systemClock, timeoutMs: MINUTE, largestBytes: 1_000, signal: controller.signal, ...limits },
    );
  const remove = (signal: AbortSignal) =>
    exchange(
      agent,
      { origin, path: '/a', method: 'DELETE', headers: {}, body: '{"preconditions":{}}' },
      { clock: systemClock, timeoutMs: MINUTE, largestBytes: 1_000, signal },
    );
  const nothingIsLeft = (): void => {
    expect(getEventListeners(controller.signal, 'abort')).to.deep.equal([]);
  };

  beforeEach(async () => {
    controller = new AbortController();
    agent = new Agent({ connections: 1 });
    server = createServer((request, response) => handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(async () => {
    await agent.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('keeps the connection after a DELETE with a body', async () => {
    let connections = 0;
    server.on('connection', () => (connections += 1));
    handle = (request, response) => request.resume().on('end', () => response.end('gone'));
    for (let count = 0; count < 3; count += 1) await remove(controller.signal);
    expect(connections).to.equal(1);
  });

  it('sends method, path, headers and body, and answers status, headers and the whole text', async () => {
    let seen = '';
    handle = (request, response) => {
      const { method, url, headers } = request;
      request.on('data', (chunk: Buffer) => (seen += chunk.toString()));
      request.on('end', () => {
        seen += ` ${method} ${url} ${headers.accept}`;
        response.writeHead(418, { 'x-why': 'teapot' });
        // A character of three bytes, cut in two.
        const bytes = Buffer.from('one € two');
        response.write(bytes.subarray(0, 5));
        setImmediate(() => response.end(bytes.subarray(5)));
      });
    };
    const { statusCode, headers, text } = await ask({}, 'sent');
    expect([statusCode, headers['x-why'], text]).to.deep.equal([418, 'teapot', 'one € two']);
    expect(seen).to.equal('sent POST /a?b=c text/plain');
    nothingIsLeft();
  });

  it('answers an empty text where there is no body', async () => {
    handle = (_, response) => response.writeHead(204).end();
    expect(await ask()).to.include({ statusCode: 204, text: '' });
  });

  it('takes an answer of exactly the largest size, and no byte more', async () => {
    handle = (_, response) => response.end('x'.repeat(1_000));
    expect((await ask()).text).to.have.length(1_000);
    expect(await rejection(ask({ largestBytes: 999 }))).to.be.instanceOf(AnswerTooLargeError);
    nothingIsLeft();
  });

  it('gives up an answer that does not begin in time, and one that does not end in time', async () => {
    handle = () => undefined;
    expect(await rejection(ask({ timeoutMs: 20 }))).to.be.instanceOf(NoAnswerInTimeError);
    handle = (_, response) => void response.write('some');
    expect(await rejection(ask({ timeoutMs: 20 }))).to.be.instanceOf(NoAnswerInTimeError);
    nothingIsLeft();
  });

  it('rejects with the reason of the signal: before, while it waits for a connection, and in the middle', async () => {
    const reason = new Error('not wanted any more');
    const busy = Promise.withResolvers<void>();
    handle = (_, response) => {
      response.write('some');
      busy.resolve();
    };
    const first = rejection(ask());
    await busy.promise;
    const queued = rejection(ask());
    controller.abort(reason);
    expect([await first, await queued, await rejection(ask())]).to.deep.equal([reason, reason, reason]);
    nothingIsLeft();
  });

  it('goes on with the next call after one was given up while it waited', async () => {
    const held: ServerResponse[] = [];
    const busy = Promise.withResolvers<void>();
    let count = 0;
    handle = (_, response) => {
      count += 1;
      held.push(response);
      busy.resolve();
    };
    const first = ask();
    await busy.promise;
    expect(await rejection(ask({ timeoutMs: 20 }))).to.be.instanceOf(NoAnswerInTimeError);
    const last = ask();
    handle = (_, response) => response.end(`call ${(count += 1)}`);
    held[0]?.end('call 1');
    expect([(await first).text, (await last).text]).to.deep.equal(['call 1', 'call 2']);
  });

  it('says what is wrong with the connection or the address', async () => {
    handle = (request) => request.socket.destroy();
    expect(await rejection(ask())).to.have.property('code', 'UND_ERR_SOCKET');
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(await rejection(ask())).to.have.property('code', 'ECONNREFUSED');
    origin = '';
    expect(await rejection(ask())).to.be.instanceOf(Error);
    nothingIsLeft();
  });

  describe('with a reader', () => {
    let begun: number;
    let taken: string;

    beforeEach(() => {
      begun = 0;
      taken = '';
    });

    const read = (take: (chunk: Buffer) => 'more' | 'enough' = () => 'more', clock = new FakeClock()) =>
      exchange(
        agent,
        { origin, path: '/a', method: 'GET', headers: {}, body: undefined },
        { clock, timeoutMs: MINUTE, largestBytes: 10, signal: controller.signal },
        {
          begun: () => void (begun += 1),
          take: (chunk) => {
            taken += chunk.toString();
            return take(chunk);
          },
        },
      );

    /** Two chunks of an answer, in one piece. */
    const sendTwo =
      (onClose: () => void): Handler =>
      (_, response) => {
        response.on('close', onClose);
        response.cork();
        response.write('first');
        response.write('second');
        response.uncork();
      };

    it('hands over what comes, however long it takes and however large it is', async () => {
      const clock = new FakeClock();
      const first = Promise.withResolvers<void>();
      let last = (): void => {};
      handle = (_, response) => {
        response.write('more than ten bytes, ');
        last = () => response.end('and more');
      };
      const reading = read(() => {
        first.resolve();
        return 'more';
      }, clock);
      await first.promise;
      await clock.advance(2 * MINUTE);
      last();
      expect(await reading).to.include({ statusCode: 200, text: '' });
      expect({ taken, begun }).to.deep.equal({ taken: 'more than ten bytes, and more', begun: 1 });
      nothingIsLeft();
    });

    it('answers all of an error', async () => {
      handle = (_, response) => response.writeHead(410).end('too old');
      expect(await read()).to.include({ statusCode: 410, text: 'too old' });
      expect({ taken, begun }).to.deep.equal({ taken: '', begun: 0 });
    });

    for (const [row, take, expected] of [
      ['ends at what is enough', (): 'enough' => 'enough', 'it resolved'],
      [
        'rejects with what the reader throws',
        (): never => {
          throw new RangeError('no such thing');
        },
        'no such thing',
      ],
    ] as const) {
      it(`${row}, and closes the connection`, async () => {
        const closed = Promise.withResolvers<void>();
        handle = sendTwo(closed.resolve);
        const reason = await rejection(read(take));
        expect(reason instanceof Error ? reason.message : reason).to.equal(expected);
        await closed.promise;
        expect(taken).to.equal('first');
        nothingIsLeft();
      });
    }

    it('rejects with the reason of the signal, and hands over nothing more', async () => {
      const reason = new Error('not wanted any more');
      const closed = Promise.withResolvers<void>();
      handle = sendTwo(closed.resolve);
      const reading = read(() => {
        controller.abort(reason);
        return 'more';
      });
      expect(await rejection(reading)).to.equal(reason);
      await closed.promise;
      expect(taken).to.equal('first');
      nothingIsLeft();
    });
  });
});
