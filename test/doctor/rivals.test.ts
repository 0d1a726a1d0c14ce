import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { FindingCode } from '../../src/doctor/finding.ts';
import type { ControllerManager } from '../../src/doctor/observations.ts';
import { checkRivals, type RivalInput } from '../../src/doctor/rivals.ts';
import { type Csr, SERVING_SIGNER } from '../../src/ports.ts';
import { certificateUntil, goodCsr } from '../policy/good-request.ts';

const NOW = Date.UTC(2027, 0, 31);
const HOUR = 3_600_000;
const CA = 'ab12';

type Decision = Pick<Csr['conditions'][number], 'type' | 'reason' | 'message'>;

const OURS: Decision = {
  type: 'Approved',
  reason: 'BootstrapApproved',
  message: 'kubelet-bootstrap: first certificate of worker-1, token abcdef bound to node worker-1',
};
const AUTO: Decision = {
  type: 'Approved',
  reason: 'AutoApproved',
  message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
};
const KUBECTL: Decision = {
  type: 'Approved',
  reason: 'KubectlApprove',
  message: 'This CSR was approved by kubectl certificate approve.',
};
const SHAPE: Decision = { type: 'Failed', reason: 'SignerValidationFailure', message: 'usages did not match' };

interface Change extends Omit<Partial<Csr>, 'conditions' | 'certificate'> {
  readonly conditions?: readonly Decision[];
  /** Key identifier of its issuer, and its end; `none`: it has no certificate. */
  readonly certificate?: { readonly issuer: string; readonly notAfter: number } | 'none';
}

/** A CSR that this service approved and signed, changed. */
function csr(change: Change = {}): Csr {
  const { conditions = [OURS], certificate = { issuer: CA, notAfter: NOW + 23 * HOUR }, ...more } = change;
  return {
    ...goodCsr('bootstrap'),
    name: 'csr-1',
    createdAt: NOW - HOUR,
    ...more,
    conditions: conditions.map((each) => ({
      ...each,
      status: 'True',
      lastUpdateTime: undefined,
      lastTransitionTime: undefined,
    })),
    certificate: certificate === 'none' ? undefined : { ...certificateUntil(certificate.notAfter), ...certificate },
  };
}

const controllerManager = (...flags: readonly string[]): ControllerManager => ({
  renewedAt: NOW - 3_000,
  commands: [['kube-controller-manager', '--leader-elect=true', ...flags]],
});
const OFF = '--controllers=*,-csrapproving';
const FILES = '--cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt';
const NO_PODS: ControllerManager = { renewedAt: NOW - 3_000, commands: [] };

/** A service that signs beside a kube-controller-manager that was told to leave kubelets alone, changed. */
function input(change: Partial<RivalInput> = {}): RivalInput {
  return {
    csrs: { known: true, value: [csr()] },
    controllerManager: { known: true, value: controllerManager(OFF) },
    bindings: true,
    approves: true,
    signs: true,
    caKeyIds: [CA],
    longestLifeMs: 24 * HOUR,
    now: NOW,
    ...change,
  };
}

const seen = (...value: readonly Csr[]): Partial<RivalInput> => ({ csrs: { known: true, value } });
const runs = (value: ControllerManager): Partial<RivalInput> => ({ controllerManager: { known: true, value } });

describe('doctor/rivals', () => {
  const ROWS: readonly (readonly [string, Partial<RivalInput>, readonly FindingCode[], string?])[] = [
    ['nobody, where its flags leave kubelets alone', {}, []],
    ['nobody, where it does not run at all', runs({ renewedAt: undefined, commands: [] }), []],
    ['nobody, where its lease is old', runs({ renewedAt: NOW - 60_000, commands: [] }), []],
    ['unclear, where its lease is renewed and no pod is there', runs(NO_PODS), ['ControllerManagerUnclear']],
    [
      'unclear a moment before its lease is old',
      runs({ renewedAt: NOW - 59_999, commands: [] }),
      ['ControllerManagerUnclear'],
    ],
    [
      'the approver, on by default',
      runs(controllerManager()),
      ['ControllerManagerApproves'],
      'its flags leave that on',
    ],
    ['the approver, on by `*`', runs(controllerManager('--controllers=*,-ttl')), ['ControllerManagerApproves']],
    ['the approver, named', runs(controllerManager('--controllers=csrapproving')), ['ControllerManagerApproves']],
    [
      'the approver, named in full and with a star',
      runs(controllerManager('--controllers', 'certificatesigningrequest-approving-controller,*')),
      ['ControllerManagerApproves'],
    ],
    ['nobody, where only others are named', runs(controllerManager('--controllers=ttl,node')), []],
    [
      'nobody, where it is off by its full name',
      runs(controllerManager('--controllers=*,-certificatesigningrequest-approving-controller')),
      [],
    ],
    ['nobody, where it is off in a second flag', runs(controllerManager('--controllers=*', OFF)), []],
    [
      'the first mention counts',
      runs(controllerManager('--controllers=csrapproving,-csrapproving')),
      ['ControllerManagerApproves'],
    ],
    [
      'one of several that is not told to',
      runs({ renewedAt: NOW, commands: [...controllerManager(OFF).commands, ...controllerManager().commands] }),
      ['ControllerManagerApproves'],
    ],
    ['nobody, where no binding lets it approve', { ...runs(controllerManager()), bindings: false }, []],
    [
      'the approver, seen, and no flags to see',
      { ...runs(NO_PODS), ...seen(csr(), csr({ name: 'csr-2', conditions: [AUTO], createdAt: NOW - 1 })) },
      ['ControllerManagerApproves'],
      'seen at 1 CSR, the newest csr-2 (client)',
    ],
    ['nobody, seen before it was switched off', seen(csr({ conditions: [AUTO] })), []],
    ['approver and signer: the default of kubeadm', runs(controllerManager(FILES)), ['GuardBypassed'], 'it also signs'],
    [
      'the approver, where the signer of the config does not run',
      { ...runs(controllerManager()), signs: false },
      ['GuardBypassed'],
      'this config does not sign',
    ],
    ['the signer alone', runs(controllerManager(OFF, FILES)), ['ControllerManagerSigns']],
    [
      'the signer alone, by files for kubelets',
      runs(controllerManager(OFF, '--cluster-signing-kubelet-client-cert-file=/ca.crt')),
      ['ControllerManagerSigns'],
    ],
    [
      'nobody, with files for other signers',
      runs(controllerManager(OFF, '--cluster-signing-legacy-unknown-cert-file=/ca')),
      [],
    ],
    ['nobody, with an empty file', runs(controllerManager(OFF, '--cluster-signing-cert-file=')), []],
    ['nobody, with csrsigning off', runs(controllerManager(`${OFF},-csrsigning`, FILES)), []],
    [
      'the signer, seen to refuse, and no flags to see',
      { ...runs(NO_PODS), ...seen(csr({ conditions: [OURS, SHAPE], certificate: 'none' })) },
      ['ControllerManagerSigns'],
      'seen at 1 CSR',
    ],
    [
      'another CA in a certificate',
      seen(csr({ certificate: { issuer: 'cd34', notAfter: NOW } })),
      ['OtherSigner'],
      'are not from the CA of the config: 1 CSR, the newest csr-1 (client)',
    ],
    [
      'nobody, while one CA follows another',
      { ...seen(csr({ certificate: { issuer: 'cd34', notAfter: NOW } })), caKeyIds: [CA, 'cd34'] },
      [],
    ],
    [
      'nobody, where the CA of the config is not known',
      { ...seen(csr({ certificate: { issuer: 'cd34', notAfter: NOW } })), caKeyIds: [] },
      [],
    ],
    [
      'nobody, a certificate of the longest life',
      seen(csr({ certificate: { issuer: CA, notAfter: NOW + 47 * HOUR } })),
      [],
    ],
    [
      'a certificate that lives longer',
      seen(csr({ signerName: SERVING_SIGNER, certificate: { issuer: CA, notAfter: NOW + 47 * HOUR + 1 } })),
      ['OtherSigner'],
      'live longer than the config allows: 1 CSR, the newest csr-1 (serving)',
    ],
    ['people', seen(csr({ conditions: [KUBECTL] })), ['OtherApprover'], 'approved with reason "KubectlApprove": 1 CSR'],
    [
      'somebody with our reason and not our message',
      seen(csr({ conditions: [{ ...OURS, message: 'x' }] })),
      ['OtherApprover'],
    ],
    [
      'somebody with our message and not our reason',
      seen(csr({ conditions: [{ ...OURS, reason: 'Mine' }] })),
      ['OtherApprover'],
    ],
    [
      "somebody with kube-controller-manager's reason",
      seen(csr({ conditions: [{ ...AUTO, message: 'x' }] })),
      ['OtherApprover'],
    ],
    [
      'nobody, denied by this service',
      seen(csr({ conditions: [{ type: 'Denied', reason: 'SanNotAllowed', message: '' }] })),
      [],
    ],
    [
      'somebody who denies',
      seen(csr({ conditions: [{ type: 'Denied', reason: 'PolicyDenied', message: '' }] })),
      ['OtherApprover'],
      'denied with reason "PolicyDenied"',
    ],
    [
      'each reason by itself, the newest of each named',
      seen(
        csr({ name: 'a', conditions: [KUBECTL], createdAt: NOW - 3 }),
        csr({ name: 'b', conditions: [KUBECTL], createdAt: NOW - 1 }),
        csr({ name: 'c', conditions: [{ ...OURS, reason: '\u001b[31m' }], createdAt: NOW - 2 }),
      ),
      ['OtherApprover', 'OtherApprover'],
      '2 CSRs, the newest b (client)',
    ],
    ['nobody, where a CSR has no decision', seen(csr({ conditions: [], certificate: 'none' })), []],
  ];
  for (const [what, change, codes, text = ''] of ROWS) {
    it(what, () => {
      const found = checkRivals(input(change));
      expect(found.map(({ code }) => code)).to.deep.equal(codes);
      expect(found[0]?.found ?? '').to.include(text);
      for (const each of found) expect(each.found).to.not.match(/\p{Cc}/u);
    });
  }

  const MODES: readonly (readonly [string, Partial<RivalInput>, readonly FindingCode[]])[] = [
    ['approving is left to others', { approves: false }, ['OthersInForce', 'ControllerManagerSigns', 'OthersInForce']],
    ['signing is left to others', { signs: false }, ['GuardBypassed', 'OtherApprover']],
    ['both are left to others', { approves: false, signs: false }, ['OthersInForce', 'OthersInForce', 'OthersInForce']],
  ];
  for (const [what, part, codes] of MODES) {
    it(`takes for expected what the mode expects: ${what}`, () => {
      const both = { ...runs(controllerManager(FILES)), ...seen(csr({ conditions: [KUBECTL] })) };
      expect(checkRivals(input({ ...both, ...part })).map(({ code }) => code)).to.deep.equal(codes);
    });
  }

  it('is not unclear about what the mode leaves to others', () => {
    const part = { approves: false, signs: false };
    expect(checkRivals(input({ ...runs(NO_PODS), ...part }))).to.deep.equal([]);
    const foreign = seen(csr({ certificate: { issuer: 'cd34', notAfter: NOW + 8760 * HOUR } }));
    expect(checkRivals(input({ ...foreign, ...part }))).to.deep.equal([]);
  });

  it('tells of ten reasons, and how many more there are', () => {
    const all = Array.from({ length: 12 }, (_, at) =>
      csr({ name: `csr-${at}`, conditions: [{ ...OURS, reason: `R${at}` }] }),
    );
    const found = checkRivals(input(seen(...all)));
    expect(found).to.have.length(11);
    expect(found.at(-1)?.found).to.match(/^with 2 more reasons: 2 CSRs, /);
    expect(checkRivals(input(seen(...all.slice(2))))).to.have.length(10);
  });

  it('says what could not be read, and judges by the rest', () => {
    const unknown = { known: false, why: 'forbidden' } as const;
    expect(checkRivals(input({ csrs: unknown, controllerManager: unknown })).map(({ code }) => code)).to.deep.equal([
      'NotChecked',
      'NotChecked',
    ]);
    const half = checkRivals(input({ controllerManager: unknown, ...seen(csr({ conditions: [AUTO] })) }));
    expect(half.map(({ code }) => code)).to.deep.equal(['NotChecked', 'ControllerManagerApproves']);
  });
});
