import { expect } from 'chai';
import { describe, it } from 'mocha';
import { standingAsJson, standingAsText } from '../../src/cli/ca-output.ts';
import { NOW, standing, UNKNOWN, UNTRUSTED } from '../ca/rotation-scene.ts';

describe('cli/ca-output', () => {
  it('shows each CA in a line, why the previous one has to stay, and the step', () => {
    const text = standingAsText(standing({ held: [{}, { usage: 'serving' }, { node: 'worker-2', replaced: true }] }));
    const [head, signing, previous, , ...lines] = text.trimEnd().split('\n');
    expect(head).to.match(/^ROLE +NAME +KEY +SIGNS FROM +ENDS +API SERVER +NODES +LAST CERTIFICATE ENDS$/);
    expect(signing).to.match(/^signing +CN=bb +b{16} +2026-05-31T00:00:00Z .*trusts it until .* 0 +-$/);
    expect(previous).to.match(/^previous +CN=aa +a{16} +- .* 2 +2026-06-02T00:00:00Z$/);
    expect(lines).to.deep.equal([
      'dropping the previous CA is not safe, and is at 2026-06-02T00:00:00Z at the latest:',
      '- StillHeld: 2 nodes hold certificates (worker-1, worker-2), 1 of them replaced by newer ones, ' +
        'the last until 2026-06-02T00:00:00.000Z, of "CN=aa" (aaaaaaaaaaaaaaaa)',
      'AwaitNodes: Nothing: nodes still hold certificates of the previous CA.',
    ]);
  });

  for (const [name, scene, pattern] of [
    ['that it is safe', {}, /^dropping the previous CA is safe\nFinish: /m],
    ['no time where none can be told', { unreadable: ['worker-9'] }, /^dropping the previous CA is not safe:\n- Rec/m],
    ['that the next one has no time', { stage: 'next' }, /^next .* no time yet /m],
    ['that it is not trusted', { stage: 'next', fresh: UNTRUSTED }, /^next .* does not trust it /m],
    ['that nobody knows', { stage: 'alone', old: UNKNOWN }, /^signing .* not known /m],
    [
      'why one cannot be used',
      { stage: 'next', unusable: [{ role: 'next', why: 'the key does not fit' }] },
      /^the next CA cannot be used: the key does not fit\nMendCa: /m,
    ],
  ] as const) {
    it(`says ${name}`, () => {
      expect(standingAsText(standing(scene))).to.match(pattern);
    });
  }

  it('has for programs every node by name, and null where there is nothing to say', () => {
    const alone = standingAsJson(standing({ stage: 'alone', held: [{}] }));
    expect(alone).to.include({ step: 'Rest', urgency: 'none', safeToDrop: null, safeFrom: null });
    const held = [{ node: 'worker-1', usage: 'client', notAfter: '2026-06-02T00:00:00Z', replaced: false }];
    expect(alone).to.have.nested.property('cas[0].held').that.deep.equals(held);
    const rotating = standingAsJson(standing({ held: [{}], fresh: { trustedUntil: NOW + 1_000 } }));
    expect(rotating).to.include({ step: 'AwaitNodes', safeToDrop: false, safeFrom: '2026-06-02T00:00:00Z' });
    expect(rotating).to.have.nested.property('objections[0].code', 'StillHeld');
    expect(rotating).to.have.nested.property('cas[0].trustedUntil', '2026-06-01T00:00:01Z');
  });
});
