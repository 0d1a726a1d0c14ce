import { expect } from 'chai';
import { describe, it } from 'mocha';
import { usesOfToken } from '../../src/cli/commands/token-stolen.ts';
import { shardOf } from '../../src/nodes/record-format.ts';
import type { Csr, StateMap } from '../../src/ports.ts';
import { certificateUntil, goodCsr, NODE, NOW, recorded } from '../policy/good-request.ts';

const ID = 'abcdef';
const ENDS = NOW + 3_600_000;

describe('cli: who used a token', () => {
  const requester = { ...goodCsr('bootstrap').requester, username: `system:bootstrap:${ID}` };
  const csr = (change: Partial<Csr>): Csr => ({ ...goodCsr('bootstrap'), requester, ...change });
  const issued = { issued: true, request: new Uint8Array(), certificate: certificateUntil(ENDS) };
  const map = (name: string, change: Partial<StateMap>): StateMap => ({
    name,
    uid: 'uid',
    resourceVersion: '1',
    createdAt: NOW,
    records: new Map(),
    claims: new Map(),
    ...change,
  });
  const token = { id: ID, pool: undefined, key: '', usedAt: NOW, seenAt: undefined };
  const record = (node: string, id = ID): StateMap =>
    map(shardOf(node), {
      records: new Map([
        [node, { known: true, value: { ...recorded({ token: { ...token, id } }), node } }],
        ['unreadable', { known: false, why: 'x' }],
      ]),
    });
  const claims = (name: string, node: string): StateMap =>
    map(name, { claims: new Map([[node, { node, key: '', at: NOW }]]) });

  const ROWS: readonly (readonly [string, readonly Csr[], readonly StateMap[], readonly object[]])[] = [
    ['nobody', [], [], []],
    [
      'who asks',
      [csr({ name: 'csr-1' })],
      [],
      [{ node: NODE, csr: 'csr-1', state: 'pending', certificateEnds: undefined }],
    ],
    [
      'who has a certificate, of which the request is not kept',
      [csr({ name: 'csr-1', ...issued })],
      [],
      [{ node: NODE, csr: 'csr-1', state: 'issued', certificateEnds: ENDS }],
    ],
    [
      'whose name cannot be read',
      [csr({ name: 'csr-1', request: new Uint8Array() })],
      [],
      [{ node: undefined, csr: 'csr-1', state: 'pending', certificateEnds: undefined }],
    ],
    [
      'not who used another token',
      [csr({ requester: { ...requester, username: 'system:bootstrap:abcdeg' } })],
      [record('b', 'abcdeg'), claims('token-claims-abcdeg', 'c')],
      [],
    ],
    [
      'who is on record, and who has claimed it, where no CSR is left',
      [],
      [claims(`token-claims-${ID}`, 'c'), record('b')],
      [
        { node: 'b', csr: undefined, state: 'on record', certificateEnds: ENDS },
        { node: 'c', csr: undefined, state: 'claimed', certificateEnds: undefined },
      ],
    ],
    [
      'each once',
      [csr({ name: 'csr-1', ...issued })],
      [record(NODE), claims(`token-claims-${ID}`, NODE)],
      [{ node: NODE, csr: 'csr-1', state: 'issued', certificateEnds: ENDS }],
    ],
  ];
  for (const [what, csrs, maps, uses] of ROWS) {
    it(`finds ${what}`, () => expect(usesOfToken(ID, csrs, maps)).to.deep.equal(uses));
  }
});
