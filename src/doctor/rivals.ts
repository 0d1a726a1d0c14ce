/**
 * Who else decides and signs. kube-controller-manager approves whatever the bindings of nodeclient and selfnodeclient
 * allow, for any name; this service asks for the same bindings (DESIGN D7), so they cannot be taken away. What tells a
 * rival is that kube-controller-manager runs and was not told to leave these CSRs alone, or that it has just decided.
 */
import { listed, quote } from '../pki/quote.ts';
import type { Fact } from '../policy/facts.ts';
import { APPROVAL_REASONS, REASONS } from '../policy/reasons.ts';
import { CLIENT_SIGNER } from '../ports.ts';
import { type Finding, finding, notChecked } from './finding.ts';
import type { ControllerManager, SeenCsr } from './observations.ts';

export interface RivalInput {
  readonly csrs: Fact<readonly SeenCsr[]>;
  readonly controllerManager: Fact<ControllerManager>;
  /** Whether RBAC allows a class to be approved without a human: without it nobody approves by access review. */
  readonly bindings: boolean;
  /** The signer of this config runs. */
  readonly signs: boolean;
  /** Subject of the CA that is signed with, as node:crypto writes it; undefined where it is not known. */
  readonly caSubject: string | undefined;
  /** In ms. */
  readonly longestLifeMs: number;
  /** The API server's time where it is known, ms since the epoch. */
  readonly now: number;
}

/** Whether kube-controller-manager does something here: seen to, told to, told not to, not known, or not running. */
type Activity = 'seen' | 'on' | 'off' | 'unclear' | 'absent';

/** The lease is renewed every few seconds, and taken over after 15 s. */
const LEASE_LIVES_MS = 60_000;
/** Between the CSR and its certificate, and what kube-controller-manager backdates and rounds. */
const LIFE_SLACK_MS = 24 * 3_600_000;
const LEAVE_ALONE =
  'Run kube-controller-manager with --controllers=*,-csrapproving, and with --cluster-signing-kube-apiserver-client-* ' +
  'and --cluster-signing-legacy-unknown-* instead of --cluster-signing-cert-file and -key-file.';

export function checkRivals(input: RivalInput): readonly Finding[] {
  const { csrs, controllerManager } = input;
  const seen = csrs.known ? csrs.value : [];
  return [
    ...(csrs.known ? [] : [notChecked('rivals', 'CSRs of kubelets', csrs.why)]),
    ...(controllerManager.known ? [] : [notChecked('rivals', 'kube-controller-manager', controllerManager.why)]),
    ...controllerManagerFindings(input, seen),
    ...otherSigners(input, seen),
    ...otherDeciders(seen),
  ];
}

function controllerManagerFindings(input: RivalInput, csrs: readonly SeenCsr[]): readonly Finding[] {
  const { bindings, signs } = input;
  const approved = csrs.filter((csr) => csr.conditions.some(byControllerManager));
  const failed = csrs.filter((csr) => csr.conditions.some(failedByControllerManager));
  const approves = bindings ? activity(input, approved, (command) => runs(command, APPROVING)) : 'off';
  const signing = activity(input, failed, (command) => runs(command, SIGNING) && hasSigningFiles(command));
  const acts = (what: Activity): boolean => what === 'seen' || what === 'on';
  const report = (code: Parameters<typeof finding>[0], found: string): Finding[] => [
    finding(code, 'kube-controller-manager', found, LEAVE_ALONE),
  ];
  const evidence = `approves first certificates for any name, and renewals: ${told(approves, approved)}`;
  if (acts(approves) && acts(signing)) return report('GuardBypassed', `${evidence}; it also signs`);
  if (acts(approves) && !signs) return report('GuardBypassed', `${evidence}; the signer of this config does not run`);
  if (acts(signing)) return report('ControllerManagerSigns', `signs for kubelets: ${told(signing, failed)}`);
  if (acts(approves)) return report('ControllerManagerApproves', evidence);
  if (approves === 'unclear' || signing === 'unclear') {
    return report(
      'ControllerManagerUnclear',
      'it runs, and no pod of it shows its flags; none of its decisions is seen',
    );
  }
  return [];
}

function told(what: Activity, csrs: readonly SeenCsr[]): string {
  return what === 'seen' ? `seen at ${count(csrs)}` : 'its flags leave that on';
}

/** Flags say more than what was seen: CSRs of the time before it was switched off stay for an hour and more. */
function activity(
  { controllerManager, now }: RivalInput,
  seen: readonly SeenCsr[],
  isOn: (command: readonly string[]) => boolean,
): Activity {
  const { commands, renewedAt } = controllerManager.known
    ? controllerManager.value
    : { commands: [], renewedAt: undefined };
  if (commands.length > 0 && !commands.some((command) => isOn(command))) return 'off';
  if (seen.length > 0) return 'seen';
  if (commands.length > 0) return 'on';
  return renewedAt !== undefined && now - renewedAt < LEASE_LIVES_MS ? 'unclear' : 'absent';
}

const APPROVING = ['csrapproving', 'certificatesigningrequest-approving-controller'];
const SIGNING = ['csrsigning', 'certificatesigningrequest-signing-controller'];
const SIGNING_FILES = ['cluster-signing', 'cluster-signing-kubelet-client', 'cluster-signing-kubelet-serving'];

/** Values of a flag, as `--flag=value` or in two words. */
function flagValues(command: readonly string[], flag: string): string[] {
  return command.flatMap((word, index) => {
    if (word.startsWith(`--${flag}=`)) return [word.slice(flag.length + 3)];
    return word === `--${flag}` ? [command[index + 1] ?? ''] : [];
  });
}

/** As k8s.io/controller-manager's IsControllerEnabled: the first mention counts, and without one `*`. */
function runs(command: readonly string[], names: readonly string[]): boolean {
  const values = flagValues(command, 'controllers');
  const words = values.length === 0 ? ['*'] : values.flatMap((value) => value.split(',')).map((word) => word.trim());
  const mention = words.find((word) => names.includes(word.replace(/^-/, '')));
  return mention === undefined ? words.includes('*') : !mention.startsWith('-');
}

function hasSigningFiles(command: readonly string[]): boolean {
  return SIGNING_FILES.some((kind) => flagValues(command, `${kind}-cert-file`).some((value) => value !== ''));
}

type SeenCondition = SeenCsr['conditions'][number];

const byControllerManager = ({ type, reason, message }: SeenCondition): boolean =>
  type === 'Approved' && reason === 'AutoApproved' && message.startsWith('Auto approving ');
const failedByControllerManager = ({ type, reason }: SeenCondition): boolean =>
  type === 'Failed' && reason === 'SignerValidationFailure';

function otherSigners({ caSubject, longestLifeMs }: RivalInput, csrs: readonly SeenCsr[]): readonly Finding[] {
  const issued = csrs.flatMap((csr) => (csr.certificate === undefined ? [] : [{ csr, ...csr.certificate }]));
  const foreign = issued.filter(({ issuer }) => caSubject !== undefined && issuer !== caSubject);
  const long = issued.filter(
    (each) => !foreign.includes(each) && each.notAfter - each.csr.createdAt > longestLifeMs + LIFE_SLACK_MS,
  );
  const issuers = [...new Set(foreign.map(({ issuer }) => quote(issuer.replaceAll('\n', ', '))))];
  const mend =
    'Find what signs for kubelets besides this service, and switch it off. A CA that was changed lately does this, too.';
  const of = (those: typeof issued): string => count(those.map(({ csr }) => csr));
  return [
    ...(foreign.length === 0
      ? []
      : [finding('OtherSigner', 'certificates of kubelets', `from ${listed(issuers)}: ${of(foreign)}`, mend)]),
    ...(long.length === 0
      ? []
      : [finding('OtherSigner', 'certificates of kubelets', `live longer than the config allows: ${of(long)}`, mend)]),
  ];
}

const OWN_APPROVALS: readonly string[] = Object.values(APPROVAL_REASONS);

function isOwn({ type, reason, message }: SeenCondition): boolean {
  if (type === 'Approved') return OWN_APPROVALS.includes(reason) && message.startsWith('kubelet-bootstrap: ');
  return Object.hasOwn(REASONS, reason);
}

/** A reason is free text: whoever may approve can write another one each time. */
const MOST_REASONS = 10;

/** By the reason that they gave: who it was is not written in a CSR. */
function otherDeciders(csrs: readonly SeenCsr[]): readonly Finding[] {
  const decided = csrs.flatMap((csr) =>
    csr.conditions
      .filter(({ type }) => type === 'Approved' || type === 'Denied')
      .filter((condition) => !isOwn(condition) && !byControllerManager(condition))
      .map(({ type, reason }) => ({ csr, how: `${type.toLowerCase()} with reason ${quote(reason)}` })),
  );
  const mend =
    'Switch that approver off, or leave kubelets to it alone. `KubectlApprove` and `KubectlDeny` are people.';
  const told = (how: string, those: typeof decided): Finding =>
    finding('OtherApprover', 'CSRs of kubelets', `${how}: ${count(those.map(({ csr }) => csr))}`, mend);
  const byReason = [...Map.groupBy(decided, ({ how }) => how)];
  const rest = byReason.slice(MOST_REASONS);
  return [
    ...byReason.slice(0, MOST_REASONS).map(([how, those]) => told(how, those)),
    ...(rest.length === 0
      ? []
      : [
          told(
            `with ${rest.length} more reasons`,
            rest.flatMap(([, those]) => those),
          ),
        ]),
  ];
}

/** `3 CSRs, the newest csr-x7k2p (client)`. */
function count(csrs: readonly SeenCsr[]): string {
  const newest = csrs.reduce((a, b) => (b.createdAt > a.createdAt ? b : a), csrs[0] ?? NONE);
  const kind = newest.signerName === CLIENT_SIGNER ? 'client' : 'serving';
  return `${csrs.length} CSR${csrs.length === 1 ? '' : 's'}, the newest ${newest.name} (${kind})`;
}

const NONE: SeenCsr = { name: '', signerName: '', createdAt: 0, conditions: [], certificate: undefined };
