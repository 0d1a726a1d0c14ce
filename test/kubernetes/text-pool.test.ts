import { expect } from 'chai';
import { describe, it } from 'mocha';
import { TextPool } from '../../src/kubernetes/text-pool.ts';

describe('kubernetes/text-pool', () => {
  it('answers the same list for lists that say the same', () => {
    const pool = new TextPool();
    const first = pool.list(['a', 'b']);
    expect(pool.list(['a', 'b'])).to.equal(first);
    expect(pool.list(['a'])).to.deep.equal(['a']);
  });

  it('tells apart lists that look alike when they are joined', () => {
    const pool = new TextPool();
    for (const list of [['a\nb'], ['a', 'b'], ['a', '', 'b'], ['a\n', 'b'], ['a', '\nb'], [''], []]) {
      expect(pool.list(list)).to.deep.equal(list);
    }
  });

  it('answers every text as it is, however many and long they are', () => {
    const pool = new TextPool();
    for (let count = 0; count < 5_000; count += 1) {
      expect(pool.text(`text ${count}`)).to.equal(`text ${count}`);
      expect(pool.list([`text ${count}`])).to.deep.equal([`text ${count}`]);
    }
    expect(pool.text('x'.repeat(10_000))).to.have.length(10_000);
  });

  it('makes what a key says once', () => {
    const pool = new TextPool();
    const first = pool.made('a', () => ({ a: 1 }));
    expect(pool.made('a', () => ({ a: 1 }))).to.equal(first);
    expect(pool.made('b', () => ({ b: 2 }))).to.deep.equal({ b: 2 });
  });

  it('makes what keys say, however many and long they are', () => {
    const pool = new TextPool();
    for (let count = 0; count < 5_000; count += 1) {
      expect(pool.made(`${count}`, () => ({ count }))).to.deep.equal({ count });
    }
    expect(pool.made('x'.repeat(10_000), () => 'long')).to.equal('long');
  });
});
