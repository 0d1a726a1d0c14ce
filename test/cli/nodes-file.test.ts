import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readNodesFile } from '../../src/cli/nodes-file.ts';

describe('cli/nodes-file', () => {
  const line = (number: number, node: string, lifetimeMs?: number, addresses: string[] = []): object => ({
    line: number,
    node,
    lifetimeMs,
    addresses,
  });
  const GOOD: readonly (readonly [string, string, object[]])[] = [
    ['nothing', '', []],
    ['one node a line', 'worker-1\nworker-2\n', [line(1, 'worker-1'), line(2, 'worker-2')]],
    ['no newline at its end', 'worker-1', [line(1, 'worker-1')]],
    [
      'comments and blank lines, which count',
      '# rack 7\n\nworker-1 # first\n  \nworker-2',
      [line(3, 'worker-1'), line(5, 'worker-2')],
    ],
    [
      'Windows line ends and a byte order mark',
      '\uFEFFworker-1\r\nworker-2\r\n',
      [line(1, 'worker-1'), line(2, 'worker-2')],
    ],
    ['a lifetime', 'worker-1,30m\nworker-2, 1h30m', [line(1, 'worker-1', 1_800_000), line(2, 'worker-2', 5_400_000)]],
    [
      'addresses and no lifetime',
      'worker-1,,10.0.0.1 fd00::1',
      [line(1, 'worker-1', undefined, ['10.0.0.1', 'fd00::1'])],
    ],
    [
      'addresses in columns of their own',
      'worker-1,1h,10.0.0.1,10.0.0.2\nworker-2,1h,,',
      [line(1, 'worker-1', 3_600_000, ['10.0.0.1', '10.0.0.2']), line(2, 'worker-2', 3_600_000)],
    ],
    ['quotes', '"worker-1","1h","10.0.0.1"', [line(1, 'worker-1', 3_600_000, ['10.0.0.1'])]],
    ['a header', 'Node,TTL,Addresses\nworker-1', [line(2, 'worker-1')]],
    ['a node that is called node', 'node\nttl', [line(1, 'node'), line(2, 'ttl')]],
  ];
  for (const [what, text, nodes] of GOOD) {
    it(`takes ${what}`, () => expect(readNodesFile(text)).to.deep.equal({ nodes, problems: [] }));
  }

  const NAME = 'a node name is a lower-case DNS name of at most 251 characters';
  const BAD: readonly (readonly [string, string, readonly (readonly [number, string])[]])[] = [
    ['a bad name', 'worker-1\nWorker_2', [[2, `"Worker_2": ${NAME}`]]],
    ['a missing name', ',1h', [[1, `"": ${NAME}`]]],
    ['blanks for commas', 'worker-1 1h', [[1, `"worker-1 1h": ${NAME}`]]],
    ['a path', '../pools/x', [[1, `"../pools/x": ${NAME}`]]],
    ['a header that comes late', 'worker-1\nnode,ttl', [[2, 'ttl "ttl": is no duration such as 30m or 1h30m']]],
    ['a node twice', 'worker-1\n#\nworker-1,1h', [[3, 'node worker-1 stands in line 1 already']]],
    ['a lifetime that is none', 'worker-1,1d', [[1, 'ttl "1d": is no duration such as 30m or 1h30m']]],
    [
      'a lifetime that is too short',
      'worker-1,1s',
      [[1, 'ttl "1s": a token lives for a minute at least and 8760h at most']],
    ],
    [
      'an address in the column of the lifetime',
      'worker-1,10.0.0.1',
      [[1, 'ttl "10.0.0.1": is no duration such as 30m or 1h30m']],
    ],
    ['an address that is none', 'worker-1,,10.0.0.256', [[1, 'address "10.0.0.256": is no address of a host']]],
    [
      'an address of no host',
      'worker-1,,127.0.0.1 0.0.0.0',
      [
        [1, 'address "127.0.0.1": is no address of a host'],
        [1, 'address "0.0.0.0": is no address of a host'],
      ],
    ],
    [
      'an address of two nodes, however written',
      'a,,fd00::1\nb,,fd00:0::1',
      [[2, 'address fd00:0:0:0:0:0:0:1 stands in line 1 already']],
    ],
    ['an address twice', 'a,,10.0.0.1 10.0.0.1', [[1, 'address 10.0.0.1 stands there twice']]],
    [
      'everything at once',
      'A,1d,x\nb\nb',
      [
        [1, `"A": ${NAME}`],
        [1, 'ttl "1d": is no duration such as 30m or 1h30m'],
        [1, 'address "x": is no address of a host'],
        [3, 'node b stands in line 2 already'],
      ],
    ],
  ];
  for (const [what, text, problems] of BAD) {
    it(`reports ${what}, with the line`, () => {
      expect(readNodesFile(text).problems).to.deep.equal(
        problems.map(([number, message]) => ({ line: number, message })),
      );
    });
  }
});
