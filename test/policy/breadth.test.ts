import { expect } from 'chai';
import { describe, it } from 'mocha';
import { admitsAnyName, coversHalf, SAMPLE_NAMES } from '../../src/policy/breadth.ts';
import { isNodeName } from '../../src/tokens/binding.ts';

describe('policy/breadth', () => {
  it('has twenty sample names, all of them names of nodes', () => {
    expect(new Set(SAMPLE_NAMES).size).to.equal(20);
    for (const name of SAMPLE_NAMES) expect(isNodeName(name), name).to.equal(true);
  });

  for (const [pattern, wide] of [
    ['.*', true],
    ['.+', true],
    ['[a-z0-9.-]+', true],
    ['[a-z].*', false],
    ['worker-.*', false],
    ['.*1', false],
  ] as const) {
    it(`${wide ? 'takes' : 'does not take'} ${pattern} for a pattern of any name`, () => {
      expect(admitsAnyName((name) => new RegExp(`^(?:${pattern})$`).test(name))).to.equal(wide);
    });
  }

  for (const [sentence, cidrs, half] of [
    ['nothing', [], false],
    ['all of IPv4', ['0.0.0.0/0'], true],
    ['half of IPv4', ['128.0.0.0/1'], true],
    ['a quarter of it', ['128.0.0.0/2'], false],
    ['two quarters', ['0.0.0.0/2', '192.0.0.0/2'], true],
    ['the same quarter twice', ['0.0.0.0/2', '0.0.0.0/2'], false],
    ['a quarter and a part of it', ['0.0.0.0/2', '10.0.0.0/8'], false],
    ['the private ranges', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'], false],
    ['a network written with an address in it', ['200.1.2.3/1'], true],
    ['half of IPv6', ['8000::/1'], true],
    ['all unique local addresses', ['fc00::/7'], false],
    ['two quarters of IPv6', ['::/2', '4000::/2'], true],
    ['quarters of both families', ['0.0.0.0/2', '::/2'], false],
  ] as const) {
    it(`says that ${sentence} ${half ? 'covers' : 'does not cover'} half of a family`, () => {
      expect(coversHalf(cidrs)).to.equal(half);
    });
  }
});
