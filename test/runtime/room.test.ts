import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import type { Place } from '../../src/runtime/fair-queue.ts';
import { Room } from '../../src/runtime/room.ts';

const of = (user: string, flow = '', inClass = 'renewal'): Place => ({ class: inClass, weight: 1, user, flow });

describe('runtime/room', () => {
  let room: Room;
  beforeEach(() => {
    room = new Room({ ofUser: 8, ofFlow: 4 });
  });
  const take = (count: number, ...place: Parameters<typeof of>): number =>
    Array.from({ length: count }, () => room.take(of(...place))).filter((taken) => taken).length;
  const giveBack = (count: number, ...place: Parameters<typeof of>): boolean[] =>
    Array.from({ length: count }, () => room.giveBack(of(...place)));

  it('takes as many of one flow as it may and not one more, and leaves room for the others of its user', () => {
    expect(take(5, 'a', 'f')).to.equal(4);
    expect(take(5, 'a', 'g')).to.equal(4);
  });

  it('takes as many of one user as it may and not one more, and those of every other', () => {
    expect(take(4, 'a', 'f') + take(4, 'a', 'g')).to.equal(8);
    expect(take(1, 'a', 'h')).to.equal(0);
    expect(take(4, 'b', 'h')).to.equal(4);
  });

  it('counts a flow in each class apart', () => {
    expect(take(5, 'a', 'f', 'renewal') + take(5, 'a', 'f', 'serving')).to.equal(8);
  });

  it('says once that there is room, when half of what was full is free', () => {
    take(5, 'a', 'f');
    expect(giveBack(4, 'a', 'f')).to.deep.equal([false, true, false, false]);
    expect(take(5, 'a', 'f')).to.equal(4);
  });

  it('says nothing where nobody was turned away', () => {
    take(4, 'a', 'f');
    expect(giveBack(4, 'a', 'f')).to.deep.equal([false, false, false, false]);
  });

  it('says that a user has room, too, and nothing of its flows before that', () => {
    take(5, 'a', 'f');
    take(4, 'a', 'g');
    expect(take(1, 'a', 'h')).to.equal(0);
    expect(room.admits('a')).to.equal(false);
    expect(giveBack(3, 'a', 'f')).to.deep.equal([false, false, false]);
    expect(giveBack(1, 'a', 'g')).to.deep.equal([true]);
    expect(room.admits('a')).to.equal(true);
  });

  it('takes nobody before half is free, once somebody was turned away', () => {
    take(5, 'a', 'f');
    giveBack(1, 'a', 'f');
    expect(take(1, 'a', 'f')).to.equal(0);
    expect(giveBack(1, 'a', 'f')).to.deep.equal([true]);
  });
});
