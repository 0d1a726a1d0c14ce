import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { Place } from '../../src/runtime/fair-queue.ts';
import { Room } from '../../src/runtime/room.ts';

const of = (user: string, inClass = 'renewal'): Place => ({ class: inClass, weight: 1, user, flow: '' });

describe('runtime/room', () => {
  let room: Room;
  beforeEach(() => {
    room = new Room({ ofClass: 8, ofUser: 4 });
  });
  const take = (user: string, count: number, inClass?: string): number =>
    Array.from({ length: count }, () => room.take(of(user, inClass))).filter((taken) => taken).length;

  it('takes as many of one user as it may, and not one more', () => {
    expect(take('a', 5)).to.equal(4);
    expect(take('b', 4)).to.equal(4);
  });

  it('takes as many of one class as it may, whoever they are of, and not one more', () => {
    expect(take('a', 4) + take('b', 4)).to.equal(8);
    expect(take('c', 1)).to.equal(0);
    expect(take('c', 1, 'bootstrap')).to.equal(1);
  });

  it('counts a user in each class apart', () => {
    expect(take('a', 5) + take('a', 5, 'serving')).to.equal(8);
  });

  it('says once that there is room, when half of what was full is free', () => {
    take('a', 5);
    expect([1, 2, 3, 4].map(() => room.giveBack(of('a')))).to.deep.equal([false, true, false, false]);
    expect(take('a', 5)).to.equal(4);
  });

  it('says nothing where nobody was turned away', () => {
    take('a', 4);
    expect([1, 2, 3, 4].map(() => room.giveBack(of('a')))).to.deep.equal([false, false, false, false]);
  });

  it('says that a class has room, too', () => {
    take('a', 4);
    take('b', 4);
    take('c', 1);
    expect([1, 2, 3].map(() => room.giveBack(of('a')))).to.deep.equal([false, false, false]);
    expect(room.giveBack(of('b'))).to.equal(true);
  });

  it('is not held by one that was turned away', () => {
    take('a', 4);
    take('a', 100);
    for (let count = 0; count < 4; count += 1) room.giveBack(of('a'));
    expect(take('a', 4)).to.equal(4);
  });
});
