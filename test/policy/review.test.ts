import { expect } from 'chai';
import { describe, it } from 'mocha';
import { APPROVAL_REASONS, isFinal, type ReasonCode, REASONS, REMARKS } from '../../src/policy/reasons.ts';
import { CHECKS, explainChecks, review } from '../../src/policy/review.ts';
import { reasonOf, type RequestPath } from '../../src/policy/verdict.ts';
import { type Change, codesOf, NODE, NODE_GROUP, onViolation, ruleInput, verdicts } from './good-request.ts';
import type { PolicyConfig } from '../../src/policy/policy-config.ts';
import { REMARK_ROWS } from './node-rows.ts';
import { TABLES } from './tables.ts';

const PATHS = Object.keys(TABLES) as RequestPath[];

/** What nothing outside the CSR can make right; the only reasons for a denial. */
const FINAL: readonly ReasonCode[] = [
  'RequesterNotToken',
  'RequesterGroupMissing',
  'RequestTooLarge',
  'PemMalformed',
  'DerMalformed',
  'SubjectMalformed',
  'AttributeNotAllowed',
  'ExtensionNotAllowed',
  'SanKindNotAllowed',
  'SanMalformed',
  'TooManySans',
  'KeyNotAllowed',
  'SignatureAlgorithmNotAllowed',
  'SignatureInvalid',
  'OrganizationNotSystemNodes',
  'CommonNameNotNode',
  'CommonNameNotRequester',
  'SanNotAllowed',
  'SanMissing',
  'UsagesNotExact',
];

for (const path of PATHS) {
  describe(`policy/review: ${path}`, () => {
    for (const [sentence, change, codes] of TABLES[path]) {
      it(sentence, () => {
        const { waiting, denying } = verdicts(ruleInput(path, change));
        expect(codesOf(waiting)).to.deep.equal(codes);
        expect(codesOf(denying)).to.deep.equal(codes);
        expect(waiting.path).to.equal(path);
        expect(waiting.kind).to.equal(codes.length === 0 ? 'approve' : 'wait');
        const held = codes.includes('FactUnavailable') || codes.includes('MetadataTooLarge');
        const hopeless = codes.some((code) => FINAL.includes(code)) && !held;
        expect(denying.kind).to.equal(codes.length === 0 ? 'approve' : hopeless ? 'deny' : 'wait');
      });
    }
  });
}

describe('policy/review: remarks', () => {
  for (const [sentence, path, change, codes] of REMARK_ROWS) {
    it(sentence, () => {
      const verdict = review(ruleInput(path, change));
      if (verdict.kind !== 'approve') throw new Error(`not approved: ${reasonOf(verdict)}`);
      expect(verdict.remarks.map(({ code }) => code)).to.deep.equal(codes);
    });
  }

  it('has a row for every remark', () => {
    expect(new Set(REMARK_ROWS.flatMap(([, , , codes]) => codes))).to.deep.equal(new Set(Object.keys(REMARKS)));
  });
});

describe('policy/review: as a whole', () => {
  it('has a row for every reason code', () => {
    const produced = new Set(PATHS.flatMap((path) => TABLES[path].flatMap(([, , codes]) => codes)));
    expect(Object.keys(REASONS).filter((code) => !produced.has(code as ReasonCode))).to.deep.equal([]);
  });

  it('has no row twice', () => {
    for (const path of PATHS) {
      const sentences = TABLES[path].map(([sentence]) => sentence);
      expect(sentences.filter((sentence, index) => sentences.indexOf(sentence) !== index)).to.deep.equal([]);
    }
  });

  it('denies for exactly the final reasons', () => {
    const final = Object.keys(REASONS).filter((code) => isFinal(code as ReasonCode));
    expect(final.sort()).to.deep.equal(FINAL.toSorted());
  });

  it('denies by the class of the reason', () => {
    const rows: readonly (readonly [keyof PolicyConfig['onViolation'], Change])[] = [
      ['form', { parts: { hash: 'sha1' } }],
      ['identity', { parts: { organization: 'system:masters' } }],
      ['names', { parts: { dns: [NODE] } }],
      ['terms', { csr: { usages: [] } }],
    ];
    for (const [denied] of rows) {
      const policy = { onViolation: { ...onViolation('wait'), [denied]: 'deny' } };
      for (const [of, change] of rows) {
        const { kind } = review(ruleInput('bootstrap', { ...change, policy }));
        expect(kind, `${of} with deny for ${denied}`).to.equal(of === denied ? 'deny' : 'wait');
      }
    }
  });

  it('tells of every reason how to mend it, in a sentence', () => {
    for (const [code, { mend }] of Object.entries(REASONS)) expect(mend, code).to.match(/^[A-Z].{10,}\.$/);
  });

  it('gives each approval its reason, and says whom it is for', () => {
    for (const path of ['bootstrap', 'renewal', 'serving'] as const) {
      const verdict = review(ruleInput(path));
      expect(reasonOf(verdict)).to.equal(APPROVAL_REASONS[path]);
      expect(verdict).to.have.property('message').that.includes(NODE);
    }
    expect(review(ruleInput('bootstrap')))
      .to.have.property('message')
      .that.includes('abcdef')
      .and.includes(`bound to node ${NODE}`);
  });

  it('takes the first violation in rule order for the reason of the whole', () => {
    const { waiting } = verdicts(ruleInput('bootstrap', { csr: { usages: [], expirationSeconds: 1e9 } }));
    expect(reasonOf(waiting)).to.equal('UsagesNotExact');
  });

  it('quotes the offending value, escaped and cut, and no token secret', () => {
    const nasty = `system:bootstrap:\u001b[31m\n\u202e${'x'.repeat(5000)}`;
    const { waiting } = verdicts(ruleInput('bootstrap', { requester: { username: nasty } }));
    const text = JSON.stringify(waiting);
    expect(text)
      .to.include('u202e')
      .and.match(/^[ -~]*$/);
    expect(text.length).to.be.below(1000);
  });

  it('is a function of its input: the same twice, and frozen input is left alone', () => {
    const input = Object.freeze(ruleInput('serving', { csr: { usages: Object.freeze(['x']) } }));
    expect(review(input)).to.deep.equal(review(input));
  });
});

describe('policy/review: explainChecks', () => {
  it('shows every check in the order in which they decide', () => {
    for (const path of PATHS) {
      const names = explainChecks(ruleInput(path)).map(({ name }) => name);
      expect(names).to.deep.equal(CHECKS[path].map(({ name }) => name));
      expect(new Set(names).size).to.equal(names.length);
    }
  });

  it('holds all the violations of the verdict, in its order, and says what each check expected and found', () => {
    for (const path of PATHS) {
      for (const [sentence, change] of TABLES[path]) {
        const input = ruleInput(path, change);
        const checks = explainChecks(input);
        const verdict = review(input);
        expect(
          checks.flatMap(({ violations }) => violations),
          sentence,
        ).to.deep.equal(verdict.kind === 'approve' ? [] : verdict.violations);
        for (const { name, expected, actual } of checks) {
          expect(expected, `${sentence}: ${name}`).to.not.equal('');
          expect(actual, `${sentence}: ${name}`).to.not.equal('');
        }
      }
    }
  });

  it('shows expected and actual of a token that is for another node', () => {
    const check = explainChecks(ruleInput('bootstrap', { parts: { commonName: 'system:node:worker-2' } })).find(
      ({ name }) => name === 'token binding',
    );
    expect(check).to.deep.include({
      expected: 'exactly one binding, to node worker-2 or to one of the pools ["workers"]',
      actual: `node ${NODE}`,
    });
    expect(check?.violations.map(({ code }) => code)).to.deep.equal(['TokenBoundToOtherNode']);
  });

  it('shows the groups of two bindings, and an unknown fact as unknown', () => {
    const checks = explainChecks(
      ruleInput('bootstrap', {
        requester: { groups: ['system:bootstrappers', NODE_GROUP, 'system:bootstrappers:pool:workers'] },
        facts: { token: { known: false, why: 'no watch' }, access: { known: false, why: 'time-out' } },
      }),
    );
    const actual = new Map(checks.map((check) => [check.name, check.actual]));
    expect(actual.get('token binding')).to.include(NODE_GROUP).and.include('pool:workers');
    expect(actual.get('token in force')).to.equal('unknown: no watch');
    expect(actual.get('access review')).to.equal('unknown: time-out');
  });
});
