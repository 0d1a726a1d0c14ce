import * as fc from 'fast-check';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { formatAddress, parseRanges } from '../../src/policy/addresses.ts';
import { addressBytes } from '../support/csr-builder.ts';

const contains = (range: string, address: string | Uint8Array): boolean => {
  const { ranges, wrong } = parseRanges([range]);
  expect(wrong).to.deep.equal([]);
  return ranges.contains(typeof address === 'string' ? addressBytes(address) : address);
};
const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);

/** Range, address inside at either edge, addresses just outside. */
const EDGES: readonly (readonly [range: string, inside: readonly string[], outside: readonly string[]])[] = [
  ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255'], ['9.255.255.255', '11.0.0.0']],
  ['192.168.4.0/23', ['192.168.4.0', '192.168.5.255'], ['192.168.3.255', '192.168.6.0']],
  ['10.1.2.3/32', ['10.1.2.3'], ['10.1.2.2', '10.1.2.4']],
  ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['::', '::1']],
  ['0.0.0.0/1', ['0.0.0.0', '127.255.255.255'], ['128.0.0.0']],
  ['10.9.9.9/8', ['10.0.0.0', '10.255.255.255'], ['11.0.0.0']],
  ['fd00::/8', ['fd00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'], ['fe00::', 'fcff::']],
  ['2001:db8::/33', ['2001:db8::', '2001:db8:7fff:ffff::'], ['2001:db8:8000::', '2001:db7:ffff::']],
  ['2001:db8::1/128', ['2001:db8::1'], ['2001:db8::', '2001:db8::2']],
  ['::/0', ['::', 'ffff::'], ['10.0.0.1', '0.0.0.0']],
  ['::ffff:0:0/96', ['::ffff:a00:1'], ['10.0.0.1']],
];

describe('policy/addresses', () => {
  for (const [range, inside, outside] of EDGES) {
    it(`${range} holds ${inside.join(' and ')}, not ${outside.join(' and ')}`, () => {
      for (const address of inside) expect(contains(range, address), address).to.equal(true);
      for (const address of outside) expect(contains(range, address), address).to.equal(false);
    });
  }

  const WRONG = [
    '',
    '10.0.0.1',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '10.0.0/8',
    '10.0.0.256/8',
    '010.0.0.0/8',
    ' 10.0.0.0/8',
    '10.0.0.0/8\n',
    'fd00::/129',
    'fd00:::/8',
    'fe80::1%eth0/64',
    'example.org/8',
    '/8',
  ];
  for (const text of WRONG) {
    it(`refuses ${JSON.stringify(text)} as a range`, () => {
      expect(parseRanges(['10.0.0.0/8', text]).wrong).to.deep.equal([text]);
    });
  }

  it('does not take an IPv4 address for its IPv6 form, nor the other way round', () => {
    const mapped = Buffer.from('00000000000000000000ffff0a000001', 'hex');
    expect(contains('10.0.0.0/8', mapped)).to.equal(false);
    expect(contains('::ffff:0:0/96', mapped)).to.equal(true);
  });

  it('holds nothing that is no address, and nothing when there are no ranges', () => {
    for (const size of [0, 3, 5, 8, 15, 17]) expect(contains('0.0.0.0/0', new Uint8Array(size))).to.equal(false);
    expect(parseRanges([]).ranges.contains(addressBytes('10.0.0.1'))).to.equal(false);
  });

  it('agrees with arithmetic for any range and address', () => {
    const family = fc.constantFrom(4, 16);
    const any = family.chain((size) =>
      fc.record({
        network: fc.uint8Array({ minLength: size, maxLength: size }),
        noise: fc.uint8Array({ minLength: size, maxLength: size }),
        prefix: fc.nat(size * 8),
        shared: fc.nat(size * 8),
      }),
    );
    fc.assert(
      fc.property(any, ({ network, noise, prefix, shared }) => {
        const bits = BigInt(network.length * 8);
        const cut = (bytes: Uint8Array, length: number): bigint => toNumber(bytes) >> (bits - BigInt(length));
        // An address that has its first `shared` bits from the network.
        const rest = bits - BigInt(shared);
        const value = (cut(network, shared) << rest) | (toNumber(noise) & ((1n << rest) - 1n));
        const address = Buffer.from(value.toString(16).padStart(network.length * 2, '0'), 'hex');
        const range = `${formatAddress(network)}/${prefix}`;
        expect(contains(range, address), range).to.equal(cut(network, prefix) === cut(address, prefix));
      }),
    );
  });

  it('writes addresses as they are known', () => {
    expect(formatAddress(addressBytes('10.0.0.1'))).to.equal('10.0.0.1');
    expect(formatAddress(addressBytes('2001:db8::1'))).to.equal('2001:db8:0:0:0:0:0:1');
  });
});
