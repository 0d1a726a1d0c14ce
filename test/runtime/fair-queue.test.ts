import { expect } from 'chai';
import { describe, it } from 'mocha';
import PQueue from 'p-queue';
import { FairQueue, type FairQueueOptions, type Place } from '../../src/runtime/fair-queue.ts';

type Run = () => Promise<unknown>;

const WEIGHTS = { bootstrap: 4, renewal: 2, serving: 1 } as const;

function place(name: keyof typeof WEIGHTS, flow = '', user = ''): Place {
  return { class: name, weight: WEIGHTS[name], user, flow };
}

describe('runtime/fair-queue', () => {
  const names = new WeakMap<Run, string>();
  function task(name: string): Run {
    const run: Run = () => Promise.resolve();
    names.set(run, name);
    return run;
  }
  function taken(queue: FairQueue, count: number): string[] {
    return Array.from({ length: count }, () => names.get(queue.dequeue() ?? task('nothing')) ?? '');
  }

  it('serves classes 4:2:1 in every cycle of seven while all have work, and never one class in a block', () => {
    const queue = new FairQueue();
    for (const name of ['serving', 'renewal', 'bootstrap'] as const) {
      for (let number = 0; number < 700; number += 1) queue.enqueue(task(name), { place: place(name) });
    }
    for (let cycle = 0; cycle < 100; cycle += 1) {
      const turns = taken(queue, 7);
      const count = (name: string): number => turns.filter((turn) => turn === name).length;
      expect([count('bootstrap'), count('renewal'), count('serving')]).to.deep.equal([4, 2, 1]);
      expect(turns.join(' ')).not.to.contain('bootstrap bootstrap bootstrap');
    }
  });

  it('gives the share of a class without work to the others, and saves nothing up for it', () => {
    const queue = new FairQueue();
    for (let number = 0; number < 100; number += 1) queue.enqueue(task('serving'), { place: place('serving') });
    expect(new Set(taken(queue, 50))).to.deep.equal(new Set(['serving']));
    for (let number = 0; number < 14; number += 1) queue.enqueue(task('bootstrap'), { place: place('bootstrap') });
    expect(taken(queue, 5).filter((name) => name === 'bootstrap')).to.have.length(4);
  });

  it('holds no debt against a class that comes back with work', () => {
    const queue = new FairQueue();
    const add = (name: keyof typeof WEIGHTS): void => queue.enqueue(task(name), { place: place(name) });
    for (let number = 0; number < 100; number += 1) add('bootstrap');
    add('serving');
    // Served once, at the cost of a whole cycle.
    const firstTurn = taken(queue, 10).indexOf('serving');
    add('serving');
    expect(taken(queue, 10).indexOf('serving')).to.be.within(0, firstTurn + 1);
  });

  it('keeps one flow with 5,000 tasks from delaying a hundred others', () => {
    const queue = new FairQueue();
    for (let number = 0; number < 5_000; number += 1)
      queue.enqueue(task('greedy'), { place: place('bootstrap', 'greedy') });
    for (let number = 0; number < 100; number += 1)
      queue.enqueue(task(`node-${number}`), { place: place('bootstrap', `node-${number}`) });
    const turns = taken(queue, 101);
    expect(turns.filter((name) => name === 'greedy')).to.have.length(1);
    expect(new Set(turns).size).to.equal(101);
    expect(queue.size).to.equal(4_999);
  });

  it('gives a user with 5,000 flows as many turns as a user with one', () => {
    const queue = new FairQueue();
    for (let number = 0; number < 5_000; number += 1) {
      queue.enqueue(task('many'), { place: place('bootstrap', `node-${number}`, 'pool token') });
    }
    for (let number = 0; number < 3; number += 1) {
      queue.enqueue(task('few'), { place: place('bootstrap', 'node', 'node token') });
    }
    expect(taken(queue, 7)).to.deep.equal(['many', 'few', 'many', 'few', 'many', 'few', 'many']);
    expect(queue.size).to.equal(4_996);
  });

  it('gives flows turns one after another, first come first served within each', () => {
    const queue = new FairQueue();
    for (const [flow, number] of [
      ['a', 1],
      ['a', 2],
      ['b', 1],
      ['a', 3],
      ['c', 1],
      ['b', 2],
    ] as const) {
      queue.enqueue(task(`${flow}${number}`), { place: place('bootstrap', flow) });
    }
    expect(taken(queue, 6)).to.deep.equal(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
    expect(queue.dequeue()).to.equal(undefined);
    expect(queue.size).to.equal(0);
  });

  it('removes one task, and counts and lists what waits', () => {
    const queue = new FairQueue();
    const [first, second, third] = [task('1'), task('2'), task('3')];
    queue.enqueue(first, { place: place('bootstrap', 'a') });
    queue.enqueue(second, { place: place('renewal', 'b') });
    queue.enqueue(third, { place: place('bootstrap', 'a') });
    expect(queue.size).to.equal(3);
    expect(queue.filter()).to.have.members([first, second, third]);
    queue.remove(second);
    queue.remove(task('unknown'));
    expect(queue.size).to.equal(2);
    expect(queue.filter()).to.have.members([first, third]);
    expect(taken(queue, 2)).to.deep.equal(['1', '3']);
  });

  it('takes tasks without a place, and has no priorities', () => {
    const queue = new FairQueue();
    queue.enqueue(task('anywhere'));
    expect(taken(queue, 1)).to.deep.equal(['anywhere']);
    expect(() => queue.setPriority()).to.throw(TypeError);
  });

  it('stands behind p-queue, which then runs by its order', async () => {
    const order: string[] = [];
    const gate = new PQueue<FairQueue, FairQueueOptions>({ concurrency: 1, queueClass: FairQueue, autoStart: false });
    for (const name of ['serving', 'serving', 'bootstrap', 'bootstrap'] as const) {
      void gate.add(() => void order.push(name), { place: place(name) });
    }
    expect(gate.size).to.equal(4);
    gate.start();
    await gate.onIdle();
    expect(order).to.deep.equal(['bootstrap', 'bootstrap', 'serving', 'serving']);
  });
});
