import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RE2JS } from 're2js';
import { admitsAnyName, type AddressFamily, widelyCovered } from '../../src/policy/breadth.ts';

const admitsAny = (pattern: string): boolean => {
  const matcher = RE2JS.compile(pattern);
  return admitsAnyName((name) => matcher.testExact(name));
};

describe('policy/breadth: a pattern of node names', () => {
  for (const pattern of [
    '.*',
    '.+',
    '(?s).*',
    '[a-z0-9.-]+',
    '[a-z0-9-]+',
    '[a-z].*',
    '[^.]+',
    String.raw`\S+`,
    String.raw`[a-z0-9-]+\..*`,
    String.raw`.*\..+`,
    'worker-[0-9]+|.*',
    '.{4,40}',
  ]) {
    it(`${pattern} admits anything`, () => expect(admitsAny(pattern)).to.equal(true));
  }

  for (const pattern of [
    'worker-[0-9]+',
    'worker-.*',
    '.*-[0-9]+',
    String.raw`.*\.example\.org`,
    String.raw`[a-z0-9-]+\.ec2\.internal`,
    'ip-[0-9-]+',
    '[a-m].*',
    '',
    'zeus',
    '.{4,34}',
  ]) {
    it(`${JSON.stringify(pattern)} does not`, () => expect(admitsAny(pattern)).to.equal(false));
  }

  it('is asked 20 names of each form, no name twice, and every one a node name', () => {
    const asked: string[] = [];
    admitsAnyName((name) => asked.push(name) > 0);
    admitsAnyName((name) => asked.push(name) > 0 && name.includes('.'));
    const names = new Set(asked);
    expect(names.size).to.equal(40);
    for (const name of names) expect(name).to.match(/^[a-z0-9]([-.a-z0-9]*[a-z0-9])$/);
  });
});

describe('policy/breadth: address ranges', () => {
  const ROWS: readonly (readonly [what: string, ranges: readonly string[], wide: readonly AddressFamily[]])[] = [
    ['none cover nothing', [], []],
    ['all of IPv4', ['0.0.0.0/0'], ['IPv4']],
    ['all of IPv6', ['::/0'], ['IPv6']],
    ['one half of IPv4', ['128.0.0.0/1'], ['IPv4']],
    ['one half of IPv6', ['8000::/1'], ['IPv6']],
    ['a quarter of IPv4', ['0.0.0.0/2'], []],
    ['two quarters of IPv4', ['0.0.0.0/2', '192.0.0.0/2'], ['IPv4']],
    ['the same quarter twice', ['0.0.0.0/2', '0.0.0.0/2'], []],
    ['the same quarter with other host bits', ['0.0.0.0/2', '10.1.2.3/2'], []],
    ['a quarter and an eighth in it', ['10.0.0.0/8', '0.0.0.0/2', '0.0.0.0/3', '32.0.0.0/3'], []],
    ['a quarter and two eighths beside it', ['64.0.0.0/2', '0.0.0.0/3', '32.0.0.0/3'], ['IPv4']],
    [
      'one /2 too few, the rest in eighths',
      ['0.0.0.0/2', '64.0.0.0/3', '96.0.0.0/4', '112.0.0.0/5', '120.0.0.0/6', '124.0.0.0/7', '126.0.0.0/8'],
      [],
    ],
    ['every private range', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'], []],
    ['a quarter of each family', ['0.0.0.0/2', '::/2'], []],
    ['half of each family', ['0.0.0.0/1', '8000::/1'], ['IPv4', 'IPv6']],
    ['both halves of one', ['::/1', '8000::/1', '10.0.0.0/8'], ['IPv6']],
    ['IPv4 written as IPv6', ['::ffff:0:0/96'], []],
  ];
  for (const [what, ranges, wide] of ROWS) {
    it(`${what}: ${wide.join(' and ') || 'not wide'}`, () => expect(widelyCovered(ranges)).to.deep.equal(wide));
  }
});
