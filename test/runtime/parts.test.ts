import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { Store } from '../../src/ports.ts';
import { Controller } from '../../src/runtime/controller.ts';
import { type Part, startAll } from '../../src/runtime/lifecycle.ts';
import { mergeStores } from '../../src/runtime/merged-store.ts';
import { periodic } from '../../src/runtime/periodic.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';

const never = new AbortController().signal;

describe('runtime/lifecycle', () => {
  let told: string[];
  beforeEach(() => {
    told = [];
  });
  function part(name: string, options: { startFails?: boolean; stopFails?: boolean } = {}): Part {
    return {
      name,
      start: async () => {
        await Promise.resolve();
        if (options.startFails === true) throw new Error(`${name} cannot start`);
        told.push(`start ${name}`);
      },
      stop: async () => {
        await Promise.resolve();
        told.push(`stop ${name}`);
        if (options.stopFails === true) throw new Error(`${name} cannot stop`);
      },
    };
  }
  const onStopFailure = (name: string, error: unknown): void =>
    void told.push(`${name} failed: ${(error as Error).message}`);

  it('starts in order and stops in reverse', async () => {
    const stop = await startAll([part('a'), part('b'), part('c')], onStopFailure);
    await stop(never);
    expect(told).to.deep.equal(['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a']);
  });

  it('stops what was started, in reverse, when one cannot start, and hands the error on', async () => {
    const parts = [part('a'), part('b'), part('c', { startFails: true }), part('d')];
    const error = await startAll(parts, onStopFailure).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect((error as Error).message).to.equal('c cannot start');
    expect(told).to.deep.equal(['start a', 'start b', 'stop b', 'stop a']);
  });

  it('stops the others when one cannot stop, and never rejects', async () => {
    const stop = await startAll([part('a'), part('b', { stopFails: true })], onStopFailure);
    await stop(never);
    expect(told.slice(2)).to.deep.equal(['stop b', 'b failed: b cannot stop', 'stop a']);
  });

  it('stops every part once, however often it is asked', async () => {
    const stop = await startAll([part('a')], onStopFailure);
    await stop(never);
    await stop(never);
    expect(told).to.deep.equal(['start a', 'stop a']);
  });
});

describe('runtime/periodic', () => {
  let clock: FakeClock;
  beforeEach(() => {
    clock = new FakeClock();
  });

  it('runs at once, too, where it is told to', async () => {
    let passes = 0;
    const part = periodic('look', 1_000, clock, () => Promise.resolve((passes += 1)), 'atOnce');
    await part.start();
    expect(passes).to.equal(1);
    await clock.advance(1_000);
    expect(passes).to.equal(2);
    await part.stop(never);
    expect(clock.timers).to.equal(0);
  });

  it('runs every interval, the first time after one', async () => {
    let passes = 0;
    const part = periodic('sweep', 1_000, clock, () => Promise.resolve((passes += 1)));
    await part.start();
    await clock.advance(999);
    expect(passes).to.equal(0);
    await clock.advance(1);
    expect(passes).to.equal(1);
    await clock.advance(5_000);
    expect(passes).to.equal(6);
    await part.stop(never);
    expect(clock.timers).to.equal(0);
  });

  it('does not begin a pass while another runs', async () => {
    let finish = (): void => {};
    let passes = 0;
    const part = periodic('sweep', 1_000, clock, () => {
      passes += 1;
      return new Promise<void>((resolve) => (finish = resolve));
    });
    await part.start();
    await clock.advance(10_000);
    expect(passes).to.equal(1);
    finish();
    await clock.advance(1_000);
    expect(passes).to.equal(2);
    const stopping = part.stop(never);
    finish();
    await stopping;
  });

  it('aborts the pass under way when it is stopped, and waits for its end', async () => {
    let ended = false;
    const part = periodic('sweep', 1_000, clock, async (signal) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      ended = true;
    });
    await part.start();
    await clock.advance(1_000);
    await part.stop(never);
    expect(ended).to.equal(true);
  });
});

describe('runtime/controller', () => {
  it('looks again after what reconcile answers, up to a tenth later', async () => {
    const clock = new FakeClock();
    const seen: number[] = [];
    const controller = new Controller({
      name: 'test',
      concurrency: 1,
      clock,
      random: () => 1,
      placeOf: () => ({ class: 'a', weight: 1, user: '', flow: '' }),
      onFailure: () => {},
      reconcile: () => Promise.resolve(seen.push(clock.monotonic()) < 3 ? 1_000 : undefined),
    });
    controller.add('a');
    await clock.advance(10_000);
    expect(seen).to.deep.equal([0, 1_100, 2_200]);
    expect(clock.timers).to.equal(0);
    await controller.queue.stop(never);
    await settled();
  });
});

describe('runtime/merged-store', () => {
  function storeOf(entries: Readonly<Record<string, number>>, fresh = true): Store<number> {
    const map = new Map(Object.entries(entries));
    return { get: (key) => map.get(key), values: () => map.values(), size: map.size, fresh: () => fresh };
  }

  it('reads as one store', () => {
    const merged = mergeStores([storeOf({ a: 1 }), storeOf({ b: 2, c: 3 })]);
    expect(merged.get('c')).to.equal(3);
    expect(merged.get('d')).to.equal(undefined);
    expect([...merged.values()]).to.deep.equal([1, 2, 3]);
    expect(merged.size).to.equal(3);
  });

  it('is fresh when every one of them is', () => {
    expect(mergeStores([storeOf({}), storeOf({})]).fresh()).to.equal(true);
    expect(mergeStores([storeOf({}), storeOf({}, false)]).fresh()).to.equal(false);
  });
});
