import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { type DecisionFields, decisionFields } from '../../src/controllers/decision-log.ts';
import { review } from '../../src/policy/review.ts';
import type { RequestPath } from '../../src/policy/verdict.ts';
import { type Change, HELD, NODE, NOW, ruleInput } from '../policy/good-request.ts';

function fieldsOf(path: RequestPath, change: Change = {}): DecisionFields {
  const input = ruleInput(path, change);
  return decisionFields(input.request, { facts: input.facts, verdict: review(input) });
}

describe('controllers/decision-log', () => {
  it('names request, requester, token, node, verdict and reason', () => {
    const request = Buffer.from('the same bytes twice');
    const digest = createHash('sha256').update(request).digest('hex');
    expect(fieldsOf('bootstrap', { request })).to.include({ request: `sha256:${digest}` });
    expect(fieldsOf('bootstrap')).to.deep.include({
      csr: 'csr-x7k2p',
      uid: 'uid-1',
      requester: 'system:bootstrap:abcdef',
      tokenId: 'abcdef',
      node: NODE,
      path: 'bootstrap',
      verdict: 'approve',
      reason: 'BootstrapApproved',
      violations: [],
      remarks: [],
    });
  });

  it('has every violation with code and message, and every remark', () => {
    const refused = fieldsOf('bootstrap', { csr: { usages: [], expirationSeconds: 1e9 } });
    expect(refused.violations.map(({ code }) => code)).to.deep.equal(['UsagesNotExact', 'DurationTooLong']);
    const adopted = fieldsOf('renewal', { facts: { record: { known: true, value: undefined } } });
    expect(adopted.remarks).to.deep.equal(['CredentialAdopted']);
  });

  it('has the facts that the path needs, and no other', () => {
    expect(Object.keys(fieldsOf('bootstrap').facts)).to.deep.equal(['token', 'access', 'record', 'presence', 'claims']);
    expect(Object.keys(fieldsOf('renewal').facts)).to.deep.equal(['access', 'record', 'presence']);
    expect(Object.keys(fieldsOf('serving').facts)).to.deep.equal(['record', 'addresses']);
    expect(fieldsOf('other').facts).to.deep.equal({});
    const superseded = fieldsOf('renewal', { facts: { supersededBy: 'csr-2' } });
    expect(superseded.facts).to.include({ supersededBy: 'csr-2' });
  });

  it('says why a fact is not known', () => {
    const { facts } = fieldsOf('bootstrap', { facts: { claims: { known: false, why: 'time-out' } } });
    expect(facts['claims']).to.equal('unknown: time-out');
  });

  it('tells certificates apart, and holds no secret', () => {
    const { facts } = fieldsOf('renewal');
    expect(facts['record']).to.deep.include({ certificates: [HELD.slice(0, 16)] });
    const text = JSON.stringify(fieldsOf('bootstrap', { token: { expiresAt: NOW + 1 } }));
    expect(text).to.not.match(/[a-z0-9]{6}\.[a-z0-9]{16}/);
  });
});
