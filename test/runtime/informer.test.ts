import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { RemoteError } from '../../src/errors.ts';
import { Informer, type InformerHandlers } from '../../src/runtime/informer.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { ScriptedListWatch, type Thing, thing } from './scripted-list-watch.ts';

const unavailable = (retryAfterMs?: number): RemoteError =>
  new RemoteError('kubernetes', 'Unavailable', 'no answer', { retryAfterMs });
const expired = new RemoteError('kubernetes', 'Expired', 'too old resource version');

describe('runtime/informer', () => {
  let clock: FakeClock;
  let source: ScriptedListWatch;
  let informer: Informer<Thing>;
  let told: string[];
  let failures: { message: string; retryInMs: number }[];
  const recorder: InformerHandlers<Thing> = {
    put: (item, before) =>
      told.push(`put ${item.name} ${item.note}${before === undefined ? '' : ` after ${before.note}`}`),
    gone: (item) => told.push(`gone ${item.name} ${item.note}`),
  };

  beforeEach(() => {
    clock = new FakeClock();
    source = new ScriptedListWatch();
    told = [];
    failures = [];
    informer = new Informer({
      name: 'things',
      source,
      clock,
      random: () => 0,
      onFailure: (message, retryInMs) => failures.push({ message, retryInMs }),
    });
    informer.subscribe(recorder);
  });
  afterEach(async () => {
    await informer.stop();
    expect(clock.timers, 'timers left behind').to.equal(0);
  });

  async function started(...items: Thing[]): Promise<void> {
    source.willList('10', ...items);
    informer.start();
    await settled();
    told.length = 0;
  }

  describe('listing as a stream', () => {
    it('takes all of it, and watches from the version that it ends with', async () => {
      source.stream = async (onItem) => {
        for (const item of [thing('a'), thing('b')]) onItem(item);
        return '10';
      };
      informer.start();
      await informer.synced;
      await settled();
      expect(source.asked).to.deep.equal(['watch 10']);
      expect([...informer.values()].map(({ name }) => name)).to.deep.equal(['a', 'b']);
    });

    it('is fresh when there is nothing', async () => {
      source.stream = async () => '10';
      informer.start();
      await informer.synced;
      expect(informer.fresh()).to.equal(true);
    });

    it('asks for pages where the server cannot', async () => {
      source.stream = async () => undefined;
      await started(thing('a'));
      expect(source.asked).to.deep.equal(['list', 'watch 10']);
      expect(informer.size).to.equal(1);
    });

    it('tells nobody of half a list, and begins again', async () => {
      const ends: (Error | string)[] = [new RemoteError('kubernetes', 'Unavailable', 'broke'), '10'];
      source.stream = async (onItem) => {
        onItem(thing('a'));
        const end = ends.shift();
        if (typeof end !== 'string') throw end;
        return end;
      };
      informer.start();
      await settled();
      expect({ size: informer.size, told }).to.deep.equal({ size: 0, told: [] });
      await clock.advance(200);
      await settled();
      expect(informer.size).to.equal(1);
      expect(failures).to.have.length(1);
    });

    it('begins again after a silence in the middle', async () => {
      let asked = 0;
      source.stream = (onItem, signal) => {
        asked += 1;
        onItem(thing('a'));
        return new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
        );
      };
      informer.start();
      await settled();
      await clock.advance(125_000);
      await settled();
      await clock.advance(200);
      await settled();
      expect(asked).to.equal(2);
      expect(failures[0]?.message).to.contain('silent');
    });
  });

  describe('listing', () => {
    it('reads every page, then watches from the version of the first', async () => {
      source.pages.push(
        { items: [thing('a'), thing('b')], resourceVersion: '10', continueToken: 'more' },
        { items: [thing('c')], resourceVersion: '12', continueToken: '' },
      );
      informer.start();
      await informer.synced;
      await settled();
      expect(source.asked).to.deep.equal(['list', 'list more', 'watch 10']);
      expect([...informer.values()].map(({ name }) => name)).to.deep.equal(['a', 'b', 'c']);
      expect(informer.size).to.equal(3);
      expect(informer.get('b')).to.deep.equal(thing('b'));
    });

    it('begins anew when a continue token expires between pages', async () => {
      source.pages.push({ items: [thing('a')], resourceVersion: '10', continueToken: 'more' }, expired);
      source.willList('20', thing('b'));
      informer.start();
      await clock.advance(200);
      expect(source.asked).to.deep.equal(['list', 'list more', 'list', 'watch 20']);
      expect(told).to.deep.equal(['put b ']);
    });

    it('is complete and fresh by the time that the first handler is told', async () => {
      const seen: (readonly [boolean, number])[] = [];
      informer.subscribe({ put: () => seen.push([informer.fresh(), informer.size]), gone: () => {} });
      source.willList('10', thing('a'), thing('b'));
      informer.start();
      await settled();
      expect(seen).to.deep.equal([
        [true, 2],
        [true, 2],
      ]);
    });

    describe('that its handlers are long busy with', () => {
      let busyMs: number;
      let slow: Informer<Thing>;
      beforeEach(() => {
        busyMs = 0;
        const busy = {
          now: () => clock.now(),
          monotonic: () => clock.monotonic() + busyMs,
          sleep: clock.sleep.bind(clock),
          turn: clock.turn.bind(clock),
          after: clock.after.bind(clock),
        };
        slow = new Informer({ name: 'things', source, clock: busy, random: () => 0, onFailure: () => {} });
        const note = (word: string, { name }: Thing): void => {
          busyMs += 15;
          told.push(`${word} ${name}`);
        };
        slow.subscribe({ put: (item) => note('put', item), gone: (item) => note('gone', item) });
        source.willList('10', ...['a', 'b', 'c', 'd', 'e'].map((name) => thing(name)));
        slow.start();
      });
      afterEach(() => slow.stop());

      it('lets everything else have its turn every 20 ms, and is synced at the end', async () => {
        let synced = false;
        void slow.synced.then(() => (synced = true));
        await settled();
        expect(told).to.deep.equal(['put a', 'put b']);
        expect([slow.size, slow.fresh(), synced], 'complete at once').to.deep.equal([5, true, false]);
        await clock.advance(0);
        expect(told).to.deep.equal(['put a', 'put b', 'put c', 'put d', 'put e']);
        expect(synced).to.equal(true);
        expect(source.asked).to.deep.equal(['list', 'watch 10']);
      });

      it('does so for what vanished, too', async () => {
        await clock.advance(0);
        told.length = 0;
        source.willList('50');
        source.open.fail(expired);
        await clock.advance(200);
        expect(told).to.deep.equal(['gone a', 'gone b', 'gone c', 'gone d', 'gone e']);
        expect(source.asked.slice(2)).to.deep.equal(['list', 'watch 50']);
      });

      it('tells of no more after a stop', async () => {
        await settled();
        await slow.stop();
        await clock.advance(1_000);
        expect(told).to.deep.equal(['put a', 'put b']);
        expect(source.asked).to.deep.equal(['list']);
      });
    });

    it('tells a late subscriber of what is there', async () => {
      await started(thing('a', 'one'));
      informer.subscribe(recorder);
      expect(told).to.deep.equal(['put a one']);
    });
  });

  describe('watching', () => {
    it('tells of new, changed and gone objects', async () => {
      await started(thing('a', 'old'));
      source.open.send({ type: 'put', item: thing('b', 'new'), resourceVersion: '11' });
      source.open.send({ type: 'put', item: thing('a', 'changed'), resourceVersion: '12' });
      source.open.send({ type: 'gone', key: 'b', resourceVersion: '13' });
      source.open.send({ type: 'gone', key: 'never-was', resourceVersion: '14' });
      await settled();
      expect(told).to.deep.equal(['put b new', 'put a changed after old', 'gone b new']);
      expect([...informer.values()]).to.deep.equal([thing('a', 'changed')]);
    });

    it('takes the same name with another identity for another object: gone, then put', async () => {
      await started(thing('a', 'first', 'uid-1'));
      source.open.send({ type: 'put', item: thing('a', 'second', 'uid-2'), resourceVersion: '11' });
      await settled();
      expect(told).to.deep.equal(['gone a first', 'put a second']);
    });

    it('goes on from the version of the last event or bookmark when the server ends the watch', async () => {
      await started();
      source.open.send({ type: 'put', item: thing('a'), resourceVersion: '11' });
      source.open.send({ type: 'bookmark', resourceVersion: '99' });
      source.open.end();
      await clock.advance(50);
      expect(source.asked).to.deep.equal(['list', 'watch 10', 'watch 99']);
      expect(told).to.deep.equal(['put a ']);
      expect(failures).to.deep.equal([]);
    });

    it('asks for watches of 300 to 600 seconds', async () => {
      await started();
      expect(source.open.timeoutSeconds).to.equal(300);
    });

    it('slows down when the server ends every watch at once', async () => {
      await started();
      for (let second = 0; second < 60; second += 1) {
        source.open.end();
        await clock.advance(1_000);
      }
      expect(source.watches.length).to.be.within(10, 40);
    });
  });

  describe('Expired', () => {
    it('lists again and tells of what vanished, appeared and was replaced meanwhile', async () => {
      await started(thing('kept', '1'), thing('vanished', '1'), thing('replaced', '1', 'uid-1'));
      source.willList('50', thing('kept', '2'), thing('replaced', '2', 'uid-2'), thing('new', '2'));
      source.open.fail(expired);
      await clock.advance(200);
      expect(told).to.deep.equal([
        'gone vanished 1',
        'put kept 2 after 1',
        'gone replaced 1',
        'put replaced 2',
        'put new 2',
      ]);
      expect(source.asked.slice(2)).to.deep.equal(['list', 'watch 50']);
      expect(informer.get('vanished')).to.equal(undefined);
    });
  });

  describe('failure', () => {
    it('of the watch goes on from the last version, without a list', async () => {
      await started();
      source.open.fail(unavailable());
      await clock.advance(200);
      expect(source.asked).to.deep.equal(['list', 'watch 10', 'watch 10']);
      expect(failures).to.deep.equal([{ message: 'things: no answer', retryInMs: 100 }]);
    });

    it('never makes it give up, and it comes back ever more slowly, up to 30 s', async () => {
      for (let attempt = 0; attempt < 500; attempt += 1) source.pages.push(unavailable());
      informer.start();
      await clock.advance(3_600_000);
      const waits = failures.map(({ retryInMs }) => retryInMs);
      expect(waits.slice(0, 4)).to.deep.equal([100, 200, 400, 800]);
      expect(Math.max(...waits)).to.equal(15_000);
      expect(failures.length).to.be.greaterThan(200);
      source.pages.length = 0;
      source.willList('10', thing('a'));
      await clock.advance(30_000);
      expect(informer.fresh()).to.equal(true);
    });

    it('starts its waits afresh after an event', async () => {
      await started();
      source.open.fail(unavailable());
      await clock.advance(200);
      source.open.send({ type: 'bookmark', resourceVersion: '11' });
      source.open.fail(unavailable());
      await clock.advance(200);
      expect(failures.map(({ retryInMs }) => retryInMs)).to.deep.equal([100, 100]);
    });

    it('that names a Retry-After waits that long, but no longer than a minute', async () => {
      source.pages.push(unavailable(7_000), unavailable(86_400_000));
      source.willList('10');
      informer.start();
      await clock.advance(6_999);
      expect(source.asked).to.have.length(1);
      await clock.advance(1);
      expect(source.asked).to.have.length(2);
      await clock.advance(60_000);
      expect(informer.fresh()).to.equal(true);
    });

    it('of one handler keeps the others from nothing, and is reported', async () => {
      informer.subscribe({
        put: () => {
          throw new Error('bug');
        },
        gone: () => {},
      });
      informer.subscribe({ ...recorder });
      await started();
      source.open.send({ type: 'put', item: thing('a'), resourceVersion: '11' });
      await settled();
      expect(told).to.deep.equal(['put a ', 'put a ']);
      expect(failures).to.deep.equal([{ message: 'things: a handler failed: bug', retryInMs: 0 }]);
      expect(source.asked, 'the watch goes on').to.deep.equal(['list', 'watch 10']);
    });
  });

  describe('freshness', () => {
    it('begins with the first complete list', async () => {
      expect(informer.fresh()).to.equal(false);
      source.pages.push({ items: [], resourceVersion: '10', continueToken: 'more' });
      informer.start();
      await settled();
      expect(informer.fresh(), 'half a list').to.equal(false);
    });

    it('lasts while bookmarks come', async () => {
      await started();
      for (let minute = 0; minute < 10; minute += 1) {
        await clock.advance(60_000);
        source.open.send({ type: 'bookmark', resourceVersion: `1${minute}` });
        await settled();
        expect(informer.fresh()).to.equal(true);
      }
      expect(source.asked).to.deep.equal(['list', 'watch 10']);
    });

    it('ends after 125 s of silence, which lists again: the version may be one of the future', async () => {
      await started();
      await clock.advance(124_999);
      expect(informer.fresh()).to.equal(true);
      await clock.advance(1);
      expect(informer.fresh()).to.equal(false);
      source.willList('5', thing('restored'));
      await clock.advance(200);
      expect(informer.fresh()).to.equal(true);
      expect(source.asked.slice(2)).to.deep.equal(['list', 'watch 5']);
      expect(failures[0]?.message).to.match(/silent/);
    });

    it('ends while every watch is refused, however often it is asked for', async () => {
      await started();
      for (let second = 0; second < 130; second += 1) {
        source.open.fail(unavailable());
        await clock.advance(1_000);
      }
      expect(source.watches.length).to.be.greaterThan(5);
      expect(informer.fresh()).to.equal(false);
    });
  });

  describe('stop', () => {
    for (const [row, prepare] of [
      ['ends a list that hangs', () => {}],
      ['ends an open watch', () => source.willList('10')],
      ['ends the wait between attempts', () => source.pages.push(unavailable(60_000))],
    ] as const) {
      it(row, async () => {
        prepare();
        informer.start();
        await settled();
        const asked = source.asked.length;
        await informer.stop();
        await clock.advance(600_000);
        expect(source.asked).to.have.length(asked);
      });
    }

    it('before the start is no error', async () => {
      await informer.stop();
    });
  });
});
