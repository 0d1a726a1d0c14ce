import type { ServerResponse } from 'node:http';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RemoteError } from '../../src/errors.ts';
import { listWatch } from '../../src/kubernetes/list-watch.ts';
import { objectAt, textAt } from '../../src/kubernetes/wire.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import type { ListWatch, WatchEvent } from '../../src/runtime/informer.ts';
import { failureOf } from '../controllers/world.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { json, status } from '../support/fault-apiserver.ts';
import { never, TransportFixture } from './fixture.ts';

interface Item {
  readonly name: string;
}

function line(type: string, name: string, resourceVersion: string): string {
  return `${JSON.stringify({ type, object: { kind: 'Thing', metadata: { name, resourceVersion } } })}\n`;
}

const FROM_10 = { resourceVersion: '10', timeoutSeconds: 300 };

describe('kubernetes/list-watch', () => {
  const fixture = new TransportFixture();

  function source(options: { timeoutMs?: number; clock?: Clock } = {}): ListWatch<Item> {
    return listWatch<Item>({
      transport: fixture.transport(options),
      resource: 'things',
      path: '/api/v1/things',
      selectors: { fieldSelector: 'spec.signerName=a/b' },
      read: (object) => {
        const name = textAt(objectAt(objectAt(object)['metadata'])['name']);
        return name === 'left-out' ? undefined : { name };
      },
      keyOf: ({ name }) => name,
      identityOf: ({ name }) => name,
    });
  }

  it('asks for smaller pages when one is too large to be taken in one piece', async () => {
    const wanted: string[] = [];
    fixture.server.answer = ({ query }, response) => {
      const limit = Number(query.get('limit'));
      wanted.push(String(limit));
      const note = 'x'.repeat(100_000);
      const items = Array.from({ length: limit }, (_, number) => ({ metadata: { name: `a${number}` }, note }));
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ metadata: { resourceVersion: '7' }, items }));
    };
    const page = await source({ timeoutMs: 20_000 }).list('', never);
    expect(wanted).to.deep.equal(['500', '50']);
    expect(page.items).to.have.length(50);
  });

  /** Has the server send these texts, one after the other, and then end the watch. */
  function sends(...texts: readonly (string | Buffer)[]): void {
    fixture.server.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      void sendAll(response, texts);
    };
  }
  async function sendAll(response: ServerResponse, texts: readonly (string | Buffer)[]): Promise<void> {
    for (const text of texts) {
      await new Promise<void>((resolve) => response.write(text, () => resolve()));
      await new Promise((resolve) => setImmediate(resolve));
    }
    response.end();
  }
  async function watched(signal = never): Promise<WatchEvent<Item>[]> {
    const events: WatchEvent<Item>[] = [];
    await source().watch(FROM_10, (event) => events.push(event), signal);
    return events;
  }
  async function watchFailure(): Promise<RemoteError> {
    const error = await failureOf(watched());
    expect(error).to.be.instanceOf(RemoteError);
    return error as RemoteError;
  }

  describe('list', () => {
    it('asks for a page of 500 with its selector, and goes on with the continue token', async () => {
      const things = source();
      const metadata = { resourceVersion: '77', continue: 'more' };
      const items = [{ metadata: { name: 'a' } }, { metadata: { name: 'left-out' } }];
      fixture.server.answer = json(200, { metadata, items });
      expect(await things.list('', never)).to.deep.equal({
        items: [{ name: 'a' }],
        resourceVersion: '77',
        continueToken: 'more',
      });
      await things.list('more', never);
      expect(fixture.server.seen.map(({ query }) => Object.fromEntries(query))).to.deep.equal([
        { fieldSelector: 'spec.signerName=a/b', limit: '500' },
        { fieldSelector: 'spec.signerName=a/b', limit: '500', continue: 'more' },
      ]);
    });

    it('of nothing at all is empty: the API server sends null', async () => {
      fixture.server.answer = json(200, { metadata: { resourceVersion: '1' }, items: null });
      expect(await source().list('', never)).to.deep.include({ items: [], continueToken: '' });
    });

    it('with a continue token that is too old is Expired', async () => {
      fixture.server.answer = status(410, 'Expired', 'The provided continue parameter is too old');
      expect(await failureOf(source().list('old', never))).to.include({ code: 'Expired' });
    });
  });

  describe('stream', () => {
    const END = `${JSON.stringify({
      type: 'BOOKMARK',
      object: { metadata: { resourceVersion: '20', annotations: { 'k8s.io/initial-events-end': 'true' } } },
    })}\n`;

    async function streamed(from = source()): Promise<{ names: string[]; version: string | undefined }> {
      const names: string[] = [];
      const version = await from.stream?.(({ name }) => names.push(name), never);
      return { names, version };
    }

    it('asks for all that there is, and ends with the bookmark that says so', async () => {
      sends(line('ADDED', 'a', '11') + line('BOOKMARK', '', '12') + line('ADDED', 'left-out', '13'), END);
      expect(await streamed()).to.deep.equal({ names: ['a'], version: '20' });
      expect(Object.fromEntries(fixture.server.seen[0]?.query ?? [])).to.deep.equal({
        fieldSelector: 'spec.signerName=a/b',
        watch: 'true',
        allowWatchBookmarks: 'true',
        sendInitialEvents: 'true',
        resourceVersionMatch: 'NotOlderThan',
        timeoutSeconds: '600',
      });
    });

    it('takes nothing after that, and does not wait for the server to end it', async () => {
      const closed = Promise.withResolvers<void>();
      fixture.server.answer = (_request, response) => {
        response.on('close', () => closed.resolve());
        response.writeHead(200);
        response.write(line('ADDED', 'a', '11') + END + line('ADDED', 'b', '21'));
      };
      expect(await streamed()).to.deep.equal({ names: ['a'], version: '20' });
      await closed.promise;
    });

    it('is not asked for again from a server that refuses it', async () => {
      fixture.server.answer = status(422, 'Invalid', 'sendInitialEvents is forbidden for watch');
      const things = source();
      expect(await streamed(things)).to.deep.equal({ names: [], version: undefined });
      expect(await streamed(things)).to.deep.equal({ names: [], version: undefined });
      expect(fixture.server.seen).to.have.length(1);
    });

    it('that ends before its end is Unavailable', async () => {
      sends(line('ADDED', 'a', '11'));
      expect(await failureOf(streamed())).to.include({ code: 'Unavailable' });
    });
  });

  describe('watch', () => {
    it('asks for bookmarks from a version, for a time', async () => {
      sends();
      await watched();
      expect(Object.fromEntries(fixture.server.seen[0]?.query ?? [])).to.deep.equal({
        fieldSelector: 'spec.signerName=a/b',
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: '10',
        timeoutSeconds: '300',
      });
    });

    it('is counted once, when the answer begins', async () => {
      const first = Promise.withResolvers<void>();
      let end = (): void => {};
      fixture.server.answer = (_request, response) => {
        response.writeHead(200);
        response.write(line('ADDED', 'a', '11'));
        end = () => response.end();
      };
      const watching = source().watch(FROM_10, () => first.resolve(), never);
      await first.promise;
      const counted = [{ verb: 'watch', status: '200' }];
      expect(fixture.calls.map(({ verb, status: answer }) => ({ verb, status: answer }))).to.deep.equal(counted);
      end();
      await watching;
      expect(fixture.calls).to.have.length(1);
    });

    it('yields what comes, and ends without an error when the server ends it', async () => {
      sends(
        line('ADDED', 'a', '11') + line('MODIFIED', 'a', '12'),
        line('DELETED', 'a', '13'),
        line('BOOKMARK', '', '99'),
      );
      expect(await watched()).to.deep.equal([
        { type: 'put', item: { name: 'a' }, resourceVersion: '11' },
        { type: 'put', item: { name: 'a' }, resourceVersion: '12' },
        { type: 'gone', key: 'a', resourceVersion: '13' },
        { type: 'bookmark', resourceVersion: '99' },
      ]);
    });

    it('moves on past an object that is left out', async () => {
      sends(line('ADDED', 'left-out', '11') + line('DELETED', 'left-out', '12'));
      expect(await watched()).to.deep.equal([
        { type: 'bookmark', resourceVersion: '11' },
        { type: 'gone', key: 'left-out', resourceVersion: '12' },
      ]);
    });

    it('reads lines that are split anywhere, even within a character', async () => {
      const bytes = Buffer.from(line('ADDED', 'knöten-€', '11') + line('ADDED', 'b', '12'));
      for (const size of [1, 7, 64]) {
        sends(
          ...Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
            bytes.subarray(at * size, (at + 1) * size),
          ),
        );
        expect((await watched()).map((event) => ('item' in event ? event.item.name : ''))).to.deep.equal([
          'knöten-€',
          'b',
        ]);
      }
    });

    it('takes the ERROR event of a version that is too old for Expired', async () => {
      const object = { kind: 'Status', reason: 'Expired', code: 410, message: 'too old resource version: 1 (527)' };
      sends(`${JSON.stringify({ type: 'ERROR', object })}\n`);
      expect(await watchFailure())
        .to.include({ code: 'Expired' })
        .and.to.have.property('message')
        .that.contains('527');
    });

    it('takes any other ERROR event for a failure, too', async () => {
      sends(`${JSON.stringify({ type: 'ERROR', object: { code: 500, message: 'boom' } })}\n`);
      expect(await watchFailure()).to.include({ code: 'Unavailable' });
      sends(`${JSON.stringify({ type: 'ERROR', object: {} })}\n`);
      expect(await watchFailure()).to.include({ code: 'Unavailable' });
    });

    for (const [row, text] of [
      ['a line that is no JSON', 'not json\n'],
      ['an event without a version', '{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n'],
      ['a line of more than 8 MiB', Buffer.alloc(9 * 1024 * 1024, 0x20)],
    ] as const) {
      it(`takes ${row} for Unreadable`, async () => {
        sends(text);
        expect(await watchFailure()).to.include({ code: 'Unreadable' });
      });
    }

    it('does not deliver half a line when the server closes in the middle of it', async () => {
      sends(line('ADDED', 'a', '11'), line('ADDED', 'b', '12').slice(0, 30));
      expect(await watched()).to.have.length(1);
    });

    it('takes a connection that breaks for Unavailable', async () => {
      fixture.server.answer = (_request, response) => {
        response.writeHead(200);
        response.write(line('ADDED', 'a', '11'));
        setImmediate(() => response.destroy());
      };
      expect(await watchFailure()).to.include({ code: 'Unavailable' });
    });

    for (const [code, reason, expected] of [
      [410, 'Expired', 'Expired'],
      [429, 'TooManyRequests', 'TooManyRequests'],
      [403, 'Forbidden', 'Forbidden'],
      [500, 'InternalError', 'Unavailable'],
    ] as const) {
      it(`that is refused with ${code} is ${expected}`, async () => {
        fixture.server.answer = status(code, reason, 'no', { 'retry-after': '2' });
        expect(await watchFailure()).to.include({ code: expected, retryAfterMs: 2_000 });
      });
    }

    it('gives up on a server that does not even answer', async () => {
      fixture.server.answer = () => {};
      const silent = source({ timeoutMs: 50 }).watch(FROM_10, () => {}, never);
      expect(await failureOf(silent)).to.include({ code: 'Unavailable' });
    });

    it('may be quiet for longer than a call may take', async () => {
      const clock = new FakeClock();
      let end = (): void => {};
      fixture.server.answer = (_request, response) => {
        response.writeHead(200);
        response.write(line('ADDED', 'a', '11'));
        end = () => response.end(line('ADDED', 'b', '12'));
      };
      const events: WatchEvent<Item>[] = [];
      const first = Promise.withResolvers<void>();
      const take = (event: WatchEvent<Item>): void => {
        events.push(event);
        first.resolve();
      };
      const watching = source({ timeoutMs: 1_000, clock }).watch(FROM_10, take, never);
      await first.promise;
      await clock.advance(60_000);
      end();
      await watching;
      expect(events).to.have.length(2);
    });

    it('ends at once when it is aborted, and closes its connection', async () => {
      const stop = new AbortController();
      let closed: Promise<void> = Promise.resolve();
      fixture.server.answer = (_request, response) => {
        closed = new Promise((resolve) => response.on('close', () => resolve()));
        response.writeHead(200);
        response.flushHeaders();
        stop.abort();
      };
      expect(await failureOf(watched(stop.signal))).to.include({ code: 'Unavailable' });
      await closed;
    });
  });
});
