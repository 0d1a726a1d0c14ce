import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  accessCell,
  accessClasses,
  accessQuestions,
  type AccessRow,
  checkAccess,
} from '../../src/doctor/access-matrix.ts';

const TOKENS = 'system:bootstrappers';
const NODES = 'system:nodes';
const POOL = 'system:bootstrappers:pool:workers';

/** Both classes and one pool with everything, but for what is missing by class. */
function rows(missing: Readonly<Record<string, readonly string[]>> = {}): AccessRow[] {
  return accessClasses(['workers']).map((of) => ({ of, missing: { known: true, value: missing[of.who] ?? [] } }));
}

const CREATION = ['create', 'get', 'list', 'watch'];

describe('doctor/access-matrix', () => {
  const ROWS: readonly (readonly [string, Parameters<typeof rows>[0], readonly (readonly [string, string])[]])[] = [
    ['nothing is found where every cell is there', {}, []],
    [
      'tokens that may not create CSRs',
      { [TOKENS]: CREATION, [POOL]: CREATION },
      [[`CSRs of ${TOKENS}`, 'system:node-bootstrapper']],
    ],
    ['tokens that may create CSRs and not watch them', { [TOKENS]: ['watch'] }, [[`CSRs of ${TOKENS}`, 'to watch']]],
    [
      'first certificates that nobody may approve are told once, not for each pool',
      { [TOKENS]: ['nodeclient'], [POOL]: ['nodeclient'] },
      [[`approval for ${TOKENS}`, 'certificatesigningrequests:nodeclient']],
    ],
    [
      'a pool that has it by its own group does not mend the class',
      { [TOKENS]: ['nodeclient'] },
      [[`approval for ${TOKENS}`, `to group ${TOKENS}`]],
    ],
    [
      'a pool alone that lacks it, as with an authorizer that denies',
      { [POOL]: ['nodeclient'] },
      [[`approval for ${POOL}`, `to group ${POOL}`]],
    ],
    [
      "renewals that nobody may approve: the talk's outage",
      { [NODES]: ['selfnodeclient'] },
      [[`approval for ${NODES}`, 'certificatesigningrequests:selfnodeclient to group system:nodes']],
    ],
    ['nodes that may not create CSRs', { [NODES]: CREATION }, [[`CSRs of ${NODES}`, '--authorization-mode=Node,RBAC']]],
    [
      'everything missing is one finding a cell',
      { [TOKENS]: [...CREATION, 'nodeclient'], [NODES]: [...CREATION, 'selfnodeclient'], [POOL]: CREATION },
      [
        [`CSRs of ${TOKENS}`, ''],
        [`approval for ${TOKENS}`, ''],
        [`CSRs of ${NODES}`, ''],
        [`approval for ${NODES}`, ''],
      ],
    ],
  ];
  for (const [what, missing, wanted] of ROWS) {
    it(what, () => {
      const found = checkAccess(rows(missing));
      expect(found.map((each) => each.what)).to.deep.equal(wanted.map(([of]) => of));
      for (const [index, [, text]] of wanted.entries()) {
        expect(found[index]).to.include({ code: 'AccessMissing', severity: 'error' });
        expect(`${found[index]?.found} ${found[index]?.mend}`).to.include(text);
      }
    });
  }

  it('that could not be asked is not taken for missing', () => {
    const found = checkAccess(rows().map(({ of }) => ({ of, missing: { known: false, why: 'forbidden' } })));
    expect(found.map(({ code }) => code)).to.deep.equal(['NotChecked', 'NotChecked', 'NotChecked']);
  });

  it('prints yes, no, in part, and unknown', () => {
    const [row] = rows({ [TOKENS]: ['watch', 'list', 'nodeclient'] });
    const [none] = rows({ [TOKENS]: CREATION });
    if (row === undefined || none === undefined) throw new Error('there are rows');
    expect(accessCell(row, 'create')).to.equal('yes, but not list, watch');
    expect(accessCell(row, 'approval')).to.equal('no');
    expect(accessCell(none, 'create')).to.equal('no');
    expect(accessCell(none, 'approval')).to.equal('yes');
    expect(accessCell({ of: row.of, missing: { known: false, why: '' } }, 'create')).to.equal('unknown');
  });

  it('asks for approvals by the groups of the class alone, as the service does, and for nodes by a name', () => {
    const [tokens, nodes, pool, ...more] = accessClasses(['workers']).map((each) => accessQuestions(each));
    expect(more).to.deep.equal([]);
    const approval = (questions = tokens): unknown => questions?.at(-1);
    expect(approval()).to.deep.equal({
      word: 'nodeclient',
      subject: { username: '', uid: '', groups: [TOKENS, 'system:authenticated'], extra: {} },
      attributes: {
        group: 'certificates.k8s.io',
        resource: 'certificatesigningrequests',
        verb: 'create',
        subresource: 'nodeclient',
      },
    });
    expect(approval(nodes)).to.deep.nested.include({ word: 'selfnodeclient', 'subject.username': '' });
    expect(approval(pool)).to.deep.nested.include({ 'subject.groups': [TOKENS, POOL, 'system:authenticated'] });
    expect(nodes?.slice(0, -1).map(({ word, subject }) => [word, subject.username])).to.deep.equal(
      CREATION.map((verb) => [verb, 'system:node:kubelet-bootstrap-doctor']),
    );
  });
});
