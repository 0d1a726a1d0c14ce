import { expect } from 'chai';
import { describe, it } from 'mocha';
import { checkNodeRecords } from '../../src/doctor/node-records.ts';
import type { NodeStanding } from '../../src/doctor/observations.ts';

const set = (...names: string[]): ReadonlySet<string> => new Set(names);
/** Three Nodes, each with a record of its own making. */
const good: NodeStanding = {
  nodes: ['a', 'b', 'c'],
  known: set('a', 'b', 'c', 'gone'),
  adopted: set(),
  unreadable: [],
};

describe('doctor/node-records', () => {
  const ROWS: readonly (readonly [
    string,
    Partial<NodeStanding>,
    'adopt' | 'strict',
    readonly (readonly [string, string])[],
  ])[] = [
    ['strict may be switched on', {}, 'adopt', [['EveryNodeOnRecord', 'all 3 Nodes']]],
    ['and there is nothing to tell where it is', {}, 'strict', []],
    [
      'adopted ones are counted',
      { adopted: set('a', 'b', 'gone') },
      'adopt',
      [['EveryNodeOnRecord', '2 of them adopted']],
    ],
    [
      'one that is missing',
      { known: set('a', 'b') },
      'adopt',
      [['NodesNotOnRecord', '1 of 3 Nodes have no certificate on record: c']],
    ],
    ['one that is missing, and strict is on', { known: set('a', 'b') }, 'strict', [['StrictTooSoon', '1 of 3']]],
    ['all are missing: the first day', { known: set() }, 'adopt', [['NodesNotOnRecord', '3 of 3']]],
    ['a cluster without Nodes has nothing to tell', { nodes: [] }, 'adopt', []],
    ['where no records are kept there is nothing to tell', { known: undefined }, 'strict', []],
    [
      'one that cannot be read is not missing, and is in the way of strict',
      { known: set('a', 'b'), unreadable: ['c'] },
      'adopt',
      [['RecordUnreadable', 'cannot be read']],
    ],
    [
      'one that cannot be read and one that is missing',
      { known: set('a'), unreadable: ['c'] },
      'adopt',
      [
        ['RecordUnreadable', 'cannot be read'],
        ['NodesNotOnRecord', '1 of 3 Nodes have no certificate on record: b'],
      ],
    ],
  ];
  for (const [what, change, credentials, wanted] of ROWS) {
    it(what, () => {
      const found = checkNodeRecords({ ...good, ...change }, credentials);
      expect(found.map(({ code }) => code)).to.deep.equal(wanted.map(([code]) => code));
      for (const [index, [, text]] of wanted.entries()) expect(found[index]?.found).to.include(text);
    });
  }
});
