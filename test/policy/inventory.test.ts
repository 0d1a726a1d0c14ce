import { expect } from 'chai';
import { describe, it } from 'mocha';
import { canonicalAddress, parseAddress } from '../../src/policy/addresses.ts';
import { readInventory } from '../../src/policy/inventory.ts';

describe('policy/inventory', () => {
  it('reads addresses in canonical form, and names', () => {
    const { inventory } = readInventory({ 'worker-1': ['10.0.0.1', 'FD00::17', 'w1.example.org'], 'worker-2': [] });
    expect(inventory?.get('worker-1')).to.deep.equal(['10.0.0.1', 'fd00:0:0:0:0:0:0:17', 'w1.example.org']);
    expect(inventory?.get('worker-2')).to.deep.equal([]);
  });

  it('is empty for an empty map', () => {
    expect(readInventory({}).inventory?.size).to.equal(0);
  });

  it('tells everything that is wrong, with its place', () => {
    const { inventory, problems } = readInventory({
      Worker: ['10.0.0.1'],
      a: '10.0.0.1',
      b: ['10.0.0.256', '10.0.0.1/32', '127.0.0.1', 'Name', '*.example.org', 7, 'fe80::1%eth0', '::ffff:10.0.0.1'],
    });
    expect(inventory).to.equal(undefined);
    expect(problems.map((problem) => problem.split(':')[0])).to.deep.equal([
      'Worker',
      'a',
      ...Array.from({ length: 8 }, (_, index) => `b.${index}`),
    ]);
  });

  for (const value of [null, 'text', 7, ['a'], undefined]) {
    it(`refuses ${JSON.stringify(value)}`, () => {
      expect(readInventory(value).problems).to.have.length(1);
    });
  }
});

describe('policy/addresses: parseAddress', () => {
  for (const [text, canonical] of [
    ['10.0.0.1', '10.0.0.1'],
    ['::', '0:0:0:0:0:0:0:0'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['fd00::', 'fd00:0:0:0:0:0:0:0'],
    ['2001:DB8::a:0:1', '2001:db8:0:0:0:a:0:1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ] as const) {
    it(`reads ${text}`, () => {
      expect(canonicalAddress(text)).to.equal(canonical);
    });
  }

  for (const text of [
    '',
    '10.0.0',
    '10.0.0.01',
    '10.0.0.256',
    '1:2:3',
    'fe80::1%0',
    '::ffff:10.0.0.1',
    '10.0.0.1/32',
    'a',
  ]) {
    it(`takes ${JSON.stringify(text)} for no address`, () => {
      expect(parseAddress(text)).to.equal(undefined);
    });
  }
});
