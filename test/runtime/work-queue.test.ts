import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { RemoteError } from '../../src/errors.ts';
import type { Place } from '../../src/runtime/fair-queue.ts';
import { WorkQueue, type WorkQueueOptions } from '../../src/runtime/work-queue.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';

const PLACE: Place = { class: 'bootstrap', weight: 4, user: '', flow: '' };
const never = new AbortController().signal;

interface Run {
  readonly key: string;
  readonly signal: AbortSignal;
  readonly finish: () => void;
  readonly fail: (error?: unknown) => void;
}

describe('runtime/work-queue', () => {
  let clock: FakeClock;
  let runs: Run[];
  let failures: { key: string; retryInMs: number }[];
  beforeEach(() => {
    clock = new FakeClock();
    runs = [];
    failures = [];
  });

  /** A queue whose work ends when the test says so. */
  function queueOf(options: Partial<WorkQueueOptions> = {}): WorkQueue {
    return new WorkQueue({
      concurrency: 4,
      clock,
      random: () => 0,
      work: (key, signal) =>
        new Promise((resolve, reject) => {
          runs.push({ key, signal, finish: resolve, fail: (error = new Error('no luck')) => reject(error) });
        }),
      onFailure: (key, _error, retryInMs) => failures.push({ key, retryInMs }),
      ...options,
    });
  }

  const keys = (): string[] => runs.map(({ key }) => key);
  async function finish(index: number): Promise<void> {
    runs[index]?.finish();
    await settled();
  }
  async function fail(index: number, error?: unknown): Promise<void> {
    runs[index]?.fail(error);
    await settled();
  }

  describe('a key', () => {
    it('that is added while it waits is worked on once', async () => {
      const queue = queueOf({ concurrency: 1 });
      queue.add('first', PLACE);
      for (let count = 0; count < 5; count += 1) queue.add('second', PLACE);
      expect(queue.depth).to.equal(1);
      await finish(0);
      await finish(1);
      expect(keys()).to.deep.equal(['first', 'second']);
      expect(queue).to.include({ depth: 0, inFlight: 0, delayed: 0 });
    });

    it('that is added while it is worked on is worked on again afterwards, and once', async () => {
      const queue = queueOf();
      queue.add('a', PLACE);
      for (let count = 0; count < 5; count += 1) queue.add('a', PLACE);
      await settled();
      expect(keys(), 'never twice at once').to.deep.equal(['a']);
      await finish(0);
      expect(keys()).to.deep.equal(['a', 'a']);
      await finish(1);
      expect(keys()).to.deep.equal(['a', 'a']);
    });

    it('that is added while it is worked on is worked on again even if that fails', async () => {
      const queue = queueOf();
      queue.add('a', PLACE);
      queue.add('a', PLACE);
      await fail(0);
      expect(keys()).to.deep.equal(['a', 'a']);
      expect(queue.delayed, 'the retry is superseded').to.equal(0);
    });

    it('never runs twice at the same time, whatever adds it', async () => {
      const running = new Set<string>();
      let overlaps = 0;
      let worked = 0;
      const queue = queueOf({
        work: async (key) => {
          if (running.has(key)) overlaps += 1;
          running.add(key);
          worked += 1;
          await clock.sleep(worked % 7);
          running.delete(key);
          if (worked % 5 === 0) throw new Error('no luck');
        },
      });
      for (let step = 0; step < 300; step += 1) {
        queue.add(`key-${step % 3}`, PLACE);
        queue.addAfter(`key-${(step + 1) % 3}`, PLACE, step % 11);
        await clock.advance(1);
      }
      expect(overlaps).to.equal(0);
      expect(worked).to.be.greaterThan(50);
    });

    it('that is forgotten is not worked on again by itself, and its failures are forgotten', async () => {
      const queue = queueOf();
      queue.add('a', PLACE);
      await fail(0);
      queue.forget('a');
      await clock.advance(3_600_000);
      expect(keys()).to.deep.equal(['a']);
      queue.add('a', PLACE);
      await fail(1);
      expect(failures.map(({ retryInMs }) => retryInMs)).to.deep.equal([100, 100]);
    });
  });

  describe('a failure', () => {
    it('is repeated after a wait that doubles from 200 ms to a minute, with jitter on its upper half', async () => {
      const queue = queueOf();
      queue.add('a', PLACE);
      await settled();
      for (let attempt = 0; attempt < 12; attempt += 1) {
        await fail(attempt);
        await clock.advance(60_000);
      }
      const halves = [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000];
      expect(failures.map(({ retryInMs }) => retryInMs)).to.deep.equal(halves);
    });

    it('delays its own key alone', async () => {
      const queue = queueOf({ concurrency: 1 });
      queue.add('bad', PLACE);
      await fail(0);
      queue.add('good', PLACE);
      await finish(1);
      expect(keys()).to.deep.equal(['bad', 'good']);
      expect(queue.delayed).to.equal(1);
      await clock.advance(100);
      expect(keys()).to.deep.equal(['bad', 'good', 'bad']);
    });

    it('waits as long as the server asked for, up to the longest wait', async () => {
      const queue = queueOf();
      const busy = (retryAfterMs: number): RemoteError =>
        new RemoteError('kubernetes', 'TooManyRequests', 'slow down', { retryAfterMs });
      queue.add('a', PLACE);
      await fail(0, busy(5_000));
      await clock.advance(5_000);
      await fail(1, busy(86_400_000));
      expect(failures.map(({ retryInMs }) => retryInMs)).to.deep.equal([5_000, 60_000]);
    });

    it('is forgotten after a success', async () => {
      const queue = queueOf();
      queue.add('a', PLACE);
      await fail(0);
      await clock.advance(100);
      await finish(1);
      queue.add('a', PLACE);
      await fail(2);
      expect(failures.map(({ retryInMs }) => retryInMs)).to.deep.equal([100, 100]);
    });
  });

  describe('addAfter', () => {
    it('keeps the earlier of two times', async () => {
      const queue = queueOf();
      queue.addAfter('a', PLACE, 1_000);
      queue.addAfter('a', PLACE, 5_000);
      queue.addAfter('b', PLACE, 5_000);
      queue.addAfter('b', PLACE, 1_000);
      expect(queue.delayed).to.equal(2);
      await clock.advance(1_000);
      expect(keys()).to.have.members(['a', 'b']);
      await finish(0);
      await finish(1);
      await clock.advance(10_000);
      expect(keys()).to.have.length(2);
      expect(clock.timers, 'timers left behind').to.equal(0);
    });

    it('gives way to an add', async () => {
      const queue = queueOf();
      queue.addAfter('a', PLACE, 1_000);
      queue.add('a', PLACE);
      expect(queue.delayed).to.equal(0);
      await finish(0);
      await clock.advance(10_000);
      expect(keys()).to.deep.equal(['a']);
    });
  });

  it('works on no more than its concurrency under 500 keys, and its gauges say so', async () => {
    let most = 0;
    let mostSaid = 0;
    let running = 0;
    let done = 0;
    const queue = queueOf({
      concurrency: 8,
      work: async () => {
        running += 1;
        most = Math.max(most, running);
        mostSaid = Math.max(mostSaid, queue.inFlight);
        expect(queue.inFlight).to.equal(running);
        await clock.sleep(1 + (done % 3));
        running -= 1;
        done += 1;
      },
    });
    for (let number = 0; number < 500; number += 1) queue.add(`csr-${number}`, { ...PLACE, flow: `node-${number}` });
    expect(queue.depth + queue.inFlight).to.equal(500);
    expect(queue.inFlight).to.equal(8);
    await clock.advance(1_000);
    expect({ most, mostSaid, done }).to.deep.equal({ most: 8, mostSaid: 8, done: 500 });
    expect(queue).to.include({ depth: 0, inFlight: 0, delayed: 0 });
  });

  it('holds no more keys than it may, and works on every one that comes again when there is room', async () => {
    const cache = Array.from({ length: 1_000 }, (_, number) => `a-${number}`);
    const done: string[] = [];
    let most = 0;
    const of = (user: string): Place => ({ ...PLACE, user });
    const queue: WorkQueue = queueOf({
      concurrency: 2,
      limits: { ofUser: 10, ofFlow: 10 },
      work: async (key) => {
        await clock.sleep(1);
        done.push(key);
      },
      onRoom: (user) => {
        expect(user).to.equal('a');
        for (const key of cache) if (!done.includes(key) && !queue.has(key)) queue.add(key, of('a'));
        most = Math.max(most, queue.depth);
      },
    });
    expect(cache.filter((key) => queue.add(key, of('a')))).to.have.length(12);
    expect(queue.depth).to.equal(10);
    expect(queue.add('b-1', of('b')), 'room of another user').to.equal(true);
    await clock.advance(10);
    expect(done).to.include('b-1');
    await clock.advance(1_000);
    expect(done.filter((key) => key.startsWith('a-')).toSorted()).to.deep.equal(cache.toSorted());
    expect(most).to.be.at.most(10);
    expect(queue).to.include({ depth: 0, inFlight: 0, delayed: 0 });
  });

  it('knows the keys that wait for their turn, their time or their end', async () => {
    const queue = queueOf({ concurrency: 1 });
    queue.add('running', PLACE);
    queue.add('waiting', PLACE);
    queue.addAfter('later', PLACE, 10);
    expect(['running', 'waiting', 'later', 'other'].map((key) => queue.has(key))).to.deep.equal([
      true,
      true,
      true,
      false,
    ]);
    await finish(0);
    expect(queue.has('running')).to.equal(false);
  });

  describe('stop', () => {
    it('waits for what runs, drops what waits, and takes nothing more', async () => {
      const queue = queueOf({ concurrency: 1 });
      queue.add('running', PLACE);
      queue.add('waiting', PLACE);
      queue.add('running', PLACE);
      queue.addAfter('later', PLACE, 10);
      let stopped = false;
      const stopping = queue.stop(never).then(() => (stopped = true));
      queue.add('too late', PLACE);
      queue.addAfter('much too late', PLACE, 10);
      await clock.advance(1_000);
      expect(stopped).to.equal(false);
      expect(runs[0]?.signal.aborted, 'work in hand may end').to.equal(false);
      await finish(0);
      await stopping;
      expect(keys()).to.deep.equal(['running']);
      expect(queue).to.include({ depth: 0, inFlight: 0, delayed: 0 });
      expect(clock.timers).to.equal(0);
    });

    for (const [row, abortBefore] of [
      ['aborts the work in hand when its own signal aborts', false],
      ['aborts the work in hand at once when its signal is aborted already', true],
    ] as const) {
      it(row, async () => {
        const queue = queueOf({
          work: (_key, signal) =>
            new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
        });
        queue.add('a', PLACE);
        const deadline = new AbortController();
        if (abortBefore) deadline.abort();
        const stopping = queue.stop(deadline.signal);
        deadline.abort();
        await stopping;
        expect(queue.inFlight).to.equal(0);
        expect(failures, 'no retry is planned').to.deep.equal([]);
        expect(clock.timers).to.equal(0);
      });
    }

    it('is at once over when there is nothing to do', async () => {
      await queueOf().stop(never);
    });
  });

  it('lets everything else have its turn every 10 ms, when no work waits for anybody', async () => {
    let others = 0;
    let busyMs = 0;
    const seen: number[] = [];
    const queue = queueOf({
      concurrency: 2,
      clock: {
        now: () => clock.now(),
        monotonic: () => clock.monotonic() + busyMs,
        sleep: clock.sleep.bind(clock),
        turn: clock.turn.bind(clock),
        after: clock.after.bind(clock),
      },
      work: () => {
        seen.push(others);
        busyMs += 4;
        return Promise.resolve();
      },
    });
    setImmediate(() => (others += 1));
    for (let count = 0; count < 8; count += 1) queue.add(`key-${count}`, PLACE);
    while (seen.length < 8) await settled();
    expect(seen).to.deep.equal([0, 0, 0, 1, 1, 1, 1, 1]);
  });
});
