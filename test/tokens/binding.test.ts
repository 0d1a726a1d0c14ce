import { expect } from 'chai';
import * as fc from 'fast-check';
import { describe, it } from 'mocha';
import {
  type Binding,
  describeBinding,
  groupOfBinding,
  isNodeName,
  isPoolName,
  readBinding,
} from '../../src/tokens/binding.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'.split('');
const label = fc
  .tuple(
    fc.constantFrom(...LETTERS),
    fc.string({ unit: fc.constantFrom(...LETTERS, '-'), maxLength: 20 }),
    fc.constantFrom(...LETTERS),
  )
  .map((parts) => parts.join(''));
const nodeName = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join('.'));
const binding: fc.Arbitrary<Binding> = fc.oneof(
  nodeName.map((node): Binding => ({ kind: 'node', node })),
  label.map((pool): Binding => ({ kind: 'pool', pool })),
);
/** What upstream takes for a group of a token: anything else kills the login of the whole token. */
const ACCEPTED = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

describe('tokens/binding', () => {
  it('reads back every binding from its group, among other groups', () => {
    fc.assert(
      fc.property(binding, (binding) => {
        const group = groupOfBinding(binding);
        expect(group).to.match(ACCEPTED);
        expect(readBinding(['system:bootstrappers', group, 'system:authenticated'])).to.deep.equal({
          kind: 'bound',
          binding,
        });
      }),
    );
  });

  it('is one-to-one: what it reads is written as the same group', () => {
    const suffix = fc.string({ unit: fc.constantFrom('a', '1', '-', ':', '.', 'A', '\n'), maxLength: 12 });
    const group = fc
      .tuple(fc.constantFrom('node', 'pool'), suffix)
      .map((parts) => `system:bootstrappers:${parts.join(':')}`);
    fc.assert(
      fc.property(group, (group) => {
        const reading = readBinding([group]);
        if (reading.kind === 'bound') expect(groupOfBinding(reading.binding)).to.equal(group);
        else expect(reading).to.deep.equal({ kind: 'malformed', group });
      }),
      { numRuns: 1000 },
    );
  });

  it('writes the dots of a node name as colons', () => {
    const node = 'ip-10-0-0-1.ec2.internal';
    expect(groupOfBinding({ kind: 'node', node })).to.equal('system:bootstrappers:node:ip-10-0-0-1:ec2:internal');
  });

  it('binds names of 251 characters, the longest whose group logs in, and none of 252', () => {
    const longest = `${'a'.repeat(125)}.${'b'.repeat(125)}`;
    expect(longest).to.have.length(251);
    expect(isNodeName(longest)).to.equal(true);
    expect(groupOfBinding({ kind: 'node', node: longest })).to.match(ACCEPTED);
    expect(readBinding([groupOfBinding({ kind: 'node', node: longest })]).kind).to.equal('bound');
    expect(isNodeName(`${longest}b`)).to.equal(false);
    expect(readBinding([`system:bootstrappers:node:${'a'.repeat(252)}`]).kind).to.equal('malformed');
  });

  const NO_NODES = [
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    '-a',
    'a-',
    'a.-b',
    'A',
    'a_b',
    'a:b',
    'a/b',
    '../a',
    'a b',
    'a\n',
    'ä',
    '*',
    'a.*',
  ];
  for (const name of NO_NODES) {
    it(`takes ${JSON.stringify(name)} for no node name`, () => {
      expect(isNodeName(name)).to.equal(false);
    });
  }

  const POOLS: readonly (readonly [string, boolean])[] = [
    ['workers', true],
    ['a', true],
    ['0-gpu-9', true],
    ['a'.repeat(63), true],
    ['a'.repeat(64), false],
    ['', false],
    ['-a', false],
    ['a-', false],
    ['a.b', false],
    ['a:b', false],
    ['A', false],
    ['a\n', false],
  ];
  for (const [name, good] of POOLS) {
    it(`takes ${JSON.stringify(name)} for ${good ? 'a' : 'no'} pool name`, () => {
      expect(isPoolName(name)).to.equal(good);
    });
  }

  const NODE = 'system:bootstrappers:node:a';
  const READINGS: readonly (readonly [string, readonly string[], string])[] = [
    ['no groups', [], 'none'],
    ['the common group alone', ['system:bootstrappers'], 'none'],
    ['a group that only begins like one', ['system:bootstrappers:nodes:a', 'system:bootstrappers:node'], 'none'],
    ['a group with something before it', [`x${NODE}`], 'none'],
    ['two nodes', [NODE, 'system:bootstrappers:node:b'], 'ambiguous'],
    ['node and pool', [NODE, 'system:bootstrappers:pool:p'], 'ambiguous'],
    ['the same node twice', [NODE, NODE], 'ambiguous'],
    ['one that is good and one that is not', [NODE, 'system:bootstrappers:node:'], 'ambiguous'],
    ['an empty name', ['system:bootstrappers:node:'], 'malformed'],
    ['an empty pool', ['system:bootstrappers:pool:'], 'malformed'],
    ['a name with an empty label', ['system:bootstrappers:node:a::b'], 'malformed'],
    ['a name with a dot, which no token can have', ['system:bootstrappers:node:a.b'], 'malformed'],
    ['a pool with a colon', ['system:bootstrappers:pool:a:b'], 'malformed'],
    ['upper case', ['system:bootstrappers:node:A'], 'malformed'],
  ];
  for (const [sentence, groups, kind] of READINGS) {
    it(`reads ${sentence} as ${kind}`, () => {
      expect(readBinding(groups).kind).to.equal(kind);
    });
  }

  it('names bindings for people', () => {
    expect(describeBinding({ kind: 'node', node: 'a.b' })).to.equal('node a.b');
    expect(describeBinding({ kind: 'pool', pool: 'p' })).to.equal('pool p');
  });
});
