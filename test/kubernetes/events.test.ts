import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { Events } from '../../src/kubernetes/events.ts';
import type { Notice } from '../../src/ports.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { json, status } from '../support/fault-apiserver.ts';
import { never, TransportFixture } from './fixture.ts';

const MINUTE = 60_000;

interface SentEvent {
  readonly metadata: { readonly name: string };
  readonly reason: string;
  readonly note: string;
}

describe('kubernetes/events', () => {
  const fixture = new TransportFixture();
  let clock: FakeClock;
  let dropped: string[];
  let events: Events;
  beforeEach(() => {
    clock = new FakeClock();
    dropped = [];
    let number = 0;
    fixture.server.answer = json(201, {});
    events = new Events({
      transport: fixture.transport({ connections: 16 }),
      clock,
      instance: 'test-1',
      unique: () => `u${(number += 1)}`,
      onDropped: (why) => dropped.push(why),
    });
  });

  function notice(change: Partial<Notice> = {}): Notice {
    return { csr: { name: 'csr-1', uid: 'u-1' }, reason: 'TokenExpired', message: 'why', source: 'someone', ...change };
  }
  /** Waits for what is on its way. */
  async function sent(): Promise<SentEvent[]> {
    await events.stop(never);
    return fixture.server.seen.map(({ body }) => body as SentEvent);
  }

  it('are written to `default`, where `kubectl describe csr` looks, about the CSR by its uid', async () => {
    events.warn(notice());
    await sent();
    const [seen] = fixture.server.seen;
    expect(seen).to.deep.include({ method: 'POST', path: '/apis/events.k8s.io/v1/namespaces/default/events' });
    expect(seen?.body).to.deep.equal({
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: 'csr-1.u1' },
      eventTime: new Date(clock.now()).toISOString().replace('Z', '000Z'),
      type: 'Warning',
      reason: 'TokenExpired',
      action: 'Review',
      note: 'why',
      reportingController: 'kubelet-bootstrap',
      reportingInstance: 'test-1',
      regarding: {
        apiVersion: 'certificates.k8s.io/v1',
        kind: 'CertificateSigningRequest',
        name: 'csr-1',
        uid: 'u-1',
      },
    });
  });

  it('are about any other object just so', async () => {
    const object = { apiVersion: 'v1', kind: 'Service', namespace: 'default', name: 'kubernetes' };
    events.warn({ object, reason: 'ExpiresSoon', message: 'why', source: 'expiry' });
    await sent();
    expect(fixture.server.seen[0]?.body).to.deep.include({ reason: 'ExpiresSoon', regarding: object });
  });

  it('come once in ten minutes from one source for one reason', async () => {
    events.warn(notice());
    events.warn(notice({ csr: { name: 'csr-2', uid: 'u-2' } }));
    await clock.advance(10 * MINUTE - 1);
    events.warn(notice());
    expect(await sent()).to.have.length(1);
    await clock.advance(1);
    events.warn(notice());
    expect(await sent()).to.have.length(2);
    expect(dropped, 'being quiet is no loss').to.deep.equal([]);
  });

  it('of another source or for another reason come all the same', async () => {
    events.warn(notice());
    events.warn(notice({ source: 'another' }));
    events.warn(notice({ reason: 'TokenNotFound' }));
    expect(await sent()).to.have.length(3);
  });

  it('come ten in a second at most; the others are counted', async () => {
    for (let number = 0; number < 25; number += 1) events.warn(notice({ source: `source-${number}` }));
    expect(await sent()).to.have.length(10);
    expect(dropped).to.deep.equal(Array.from({ length: 15 }, () => 'limited'));
    await clock.advance(1_000);
    events.warn(notice({ source: 'source-20' }));
    expect(await sent()).to.have.length(11);
  });

  it('that cannot be written are counted, and come again with the next occasion', async () => {
    fixture.server.answer = status(403, 'Forbidden', 'no');
    events.warn(notice());
    await sent();
    expect(dropped).to.deep.equal(['failed']);
    fixture.server.answer = json(201, {});
    events.warn(notice());
    expect(await sent()).to.have.length(2);
  });

  for (const [row, name, expected] of [
    ['capitals and underscores', 'Node_CSR', 'node-csr.u1'],
    ['punctuation at both ends', '_a.b-', 'a-b.u1'],
    ['nothing that an Event may have', '___', 'csr.u1'],
    ['254 characters', 'a'.repeat(254), `${'a'.repeat(200)}.u1`],
    ['a hyphen where it is cut', `${'a'.repeat(199)}-b`, `${'a'.repeat(199)}.u1`],
  ] as const) {
    it(`have a valid name for a CSR with ${row}`, async () => {
      events.warn(notice({ csr: { name, uid: 'u-1' } }));
      expect((await sent())[0]?.metadata.name).to.equal(expected);
    });
  }

  for (const [row, message] of [
    ['letters', 'a'.repeat(5_000)],
    ['umlauts', 'ä'.repeat(1_000)],
    ['emoji', `a${'🚀'.repeat(1_000)}`],
  ] as const) {
    it(`have a note of at most 1,024 bytes, whatever ${row} it is made of`, async () => {
      events.warn(notice({ message }));
      const note = (await sent())[0]?.note ?? '';
      expect(Buffer.byteLength(note)).to.be.within(1_000, 1_024);
      expect(note.slice(0, 200)).to.equal(message.slice(0, 200));
    });
  }

  it('keep a note of just 1,024 bytes whole', async () => {
    events.warn(notice({ message: 'a'.repeat(1_024) }));
    expect((await sent())[0]?.note).to.have.length(1_024);
  });

  for (const [row, abortBefore] of [
    ['that time is up', false],
    ['that it was up before', true],
  ] as const) {
    it(`do not keep the service from stopping: a server that hangs is left when told ${row}`, async () => {
      fixture.server.answer = () => {};
      events.warn(notice());
      const stop = new AbortController();
      if (abortBefore) stop.abort();
      const stopped = events.stop(stop.signal);
      stop.abort();
      await stopped;
      expect(dropped).to.deep.equal(['failed']);
    });
  }
});
