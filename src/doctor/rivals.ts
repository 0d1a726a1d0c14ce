/**
 * Who else decides and signs. kube-controller-manager approves whatever the bindings of nodeclient and selfnodeclient
 * allow, for any name; this service asks for the same bindings (DESIGN D7), so they cannot be taken away. What tells a
 * rival is that kube-controller-manager runs and was not told to leave these CSRs alone, or that it has just decided.
 */
import { quote } from '../pki/quote.ts';
import type { Fact } from '../policy/facts.ts';
import { APPROVAL_REASONS, REASONS } from '../policy/reasons.ts';
import { CLIENT_SIGNER, type Condition, type Csr } from '../ports.ts';
import { type Finding, finding, notChecked } from './finding.ts';
import type { ControllerManager } from './observations.ts';

export interface RivalInput {
  readonly csrs: Fact<readonly Csr[]>;
  readonly controllerManager: Fact<ControllerManager>;
  /** Whether RBAC allows a class to be approved without a human: without it nobody approves by access review. */
  readonly bindings: boolean;
  /** This config approves; where it does not, somebody else is meant to. */
  readonly approves: boolean;
  /** The same of signing. */
  readonly signs: boolean;
  /** Key identifiers, hex, of the CAs that certificates may be of; empty where that is not known. */
  readonly caKeyIds: readonly string[];
  /** In ms. */
  readonly longestLifeMs: number;
  /** The API server's time where it is known, ms since the epoch. */
  readonly now: number;
}

/** Whether kube-controller-manager does something here: seen to, told to, told not to, not known, or not running. */
type Activity = 'seen' | 'on' | 'off' | 'unclear' | 'absent';

/** The lease is renewed every few seconds, and taken over after 15 s. */
const LEASE_LIVES_MS = 60_000;
/** A CSR may have waited for a day before it was approved and signed. */
const LIFE_SLACK_MS = 24 * 3_600_000;
const MANAGER = 'kube-controller-manager';
const NO_APPROVER = 'Run kube-controller-manager with --controllers=*,-csrapproving.';
const NO_SIGNER =
  'Give kube-controller-manager --cluster-signing-kube-apiserver-client-* and --cluster-signing-legacy-unknown-* ' +
  'instead of --cluster-signing-cert-file and -key-file.';

export function checkRivals(input: RivalInput): readonly Finding[] {
  const { csrs, controllerManager } = input;
  const seen = csrs.known ? csrs.value : [];
  return [
    ...(csrs.known ? [] : [notChecked('rivals', 'CSRs of kubelets', csrs.why)]),
    ...(controllerManager.known ? [] : [notChecked('rivals', MANAGER, controllerManager.why)]),
    ...controllerManagerFindings(input, seen),
    ...(input.signs ? otherSigners(input, seen) : []),
    ...otherDeciders(input.approves, seen),
  ];
}

function controllerManagerFindings(input: RivalInput, csrs: readonly Csr[]): readonly Finding[] {
  const approved = csrs.filter((csr) => csr.conditions.some(byControllerManager));
  const failed = csrs.filter((csr) => csr.conditions.some(failedByControllerManager));
  const approving = input.bindings ? activity(input, approved, (command) => runs(command, APPROVING)) : 'off';
  const signing = activity(input, failed, (command) => runs(command, SIGNING) && hasSigningFiles(command));
  const acts = (what: Activity): boolean => what === 'seen' || what === 'on';
  const approves = `approves first certificates for any name, and renewals: ${told(approving, approved)}`;
  const signs = `signs for kubelets: ${told(signing, failed)}`;
  if (acts(approving) && input.approves && !input.signs) {
    return [finding('GuardBypassed', MANAGER, `${approves}; this config does not sign`, NO_APPROVER)];
  }
  if (acts(approving) && acts(signing) && input.approves) {
    return [finding('GuardBypassed', MANAGER, `${approves}; it also signs`, `${NO_APPROVER} ${NO_SIGNER}`)];
  }
  const found = [
    ...(acts(approving)
      ? [input.approves ? finding('ControllerManagerApproves', MANAGER, approves, NO_APPROVER) : expected(approves)]
      : []),
    ...(acts(signing)
      ? [input.signs ? finding('ControllerManagerSigns', MANAGER, signs, NO_SIGNER) : expected(signs)]
      : []),
  ];
  const unclear = (approving === 'unclear' && input.approves) || (signing === 'unclear' && input.signs);
  if (found.length > 0 || !unclear) return found;
  const unseen = 'it runs, and no pod of it shows its flags; none of its decisions is seen';
  return [finding('ControllerManagerUnclear', MANAGER, unseen, `${NO_APPROVER} ${NO_SIGNER}`)];
}

/** By this mode of the service it is somebody else's part. */
function expected(found: string, what = MANAGER): Finding {
  return finding('OthersInForce', what, found, 'Nothing: `mode` leaves that to others.');
}

function told(what: Activity, csrs: readonly Csr[]): string {
  return what === 'seen' ? `seen at ${count(csrs)}` : 'its flags leave that on';
}

/** Flags say more than what was seen: CSRs of the time before it was switched off stay for an hour and more. */
function activity(
  { controllerManager, now }: RivalInput,
  seen: readonly Csr[],
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

const byControllerManager = ({ type, reason, message }: Condition): boolean =>
  type === 'Approved' && reason === 'AutoApproved' && message.startsWith('Auto approving ');
const failedByControllerManager = ({ type, reason }: Condition): boolean =>
  type === 'Failed' && reason === 'SignerValidationFailure';

function otherSigners({ caKeyIds, longestLifeMs }: RivalInput, csrs: readonly Csr[]): readonly Finding[] {
  const isForeign = ({ certificate }: Csr): boolean =>
    certificate !== undefined && caKeyIds.length > 0 && !caKeyIds.includes(certificate.issuer);
  const isLong = ({ certificate, createdAt }: Csr): boolean =>
    certificate !== undefined && certificate.notAfter - createdAt > longestLifeMs + LIFE_SLACK_MS;
  const mend =
    'Switch off what signs besides this service. A CA that was changed lately, or its lifetime, does this too.';
  const of = (found: string, those: readonly Csr[]): Finding[] =>
    those.length === 0 ? [] : [finding('OtherSigner', 'certificates of kubelets', `${found}: ${count(those)}`, mend)];
  return [
    ...of('are not from the CA of the config', csrs.filter(isForeign)),
    ...of(
      'live longer than the config allows',
      csrs.filter((csr) => !isForeign(csr) && isLong(csr)),
    ),
  ];
}

const OWN_APPROVALS: readonly string[] = Object.values(APPROVAL_REASONS);

function isOwn({ type, reason, message }: Condition): boolean {
  if (type === 'Approved') return OWN_APPROVALS.includes(reason) && message.startsWith('kubelet-bootstrap: ');
  return Object.hasOwn(REASONS, reason);
}

/** A reason is free text: whoever may approve can write another one each time. */
const MOST_REASONS = 10;

/** By the reason that they gave: who it was is not written in a CSR. */
function otherDeciders(approves: boolean, csrs: readonly Csr[]): readonly Finding[] {
  const decided = csrs.flatMap((csr) =>
    csr.conditions
      .filter(({ type }) => type === 'Approved' || type === 'Denied')
      .filter((condition) => !isOwn(condition) && !byControllerManager(condition))
      .map(({ type, reason }) => ({ csr, how: `${type.toLowerCase()} with reason ${quote(reason)}` })),
  );
  const mend =
    'Switch that approver off, or leave kubelets to it alone. `KubectlApprove` and `KubectlDeny` are people.';
  const tell = (how: string, those: typeof decided): Finding => {
    const found = `${how}: ${count(those.map(({ csr }) => csr))}`;
    return approves ? finding('OtherApprover', KUBELETS, found, mend) : expected(found, KUBELETS);
  };
  const byReason = [...Map.groupBy(decided, ({ how }) => how)];
  const rest = byReason.slice(MOST_REASONS);
  return [
    ...byReason.slice(0, MOST_REASONS).map(([how, those]) => tell(how, those)),
    ...(rest.length === 0
      ? []
      : [
          tell(
            `with ${rest.length} more reasons`,
            rest.flatMap(([, those]) => those),
          ),
        ]),
  ];
}

const KUBELETS = 'CSRs of kubelets';

/** `3 CSRs, the newest csr-x7k2p (client)`. */
function count(csrs: readonly Csr[]): string {
  const [newest] = csrs.toSorted((a, b) => b.createdAt - a.createdAt);
  const kind = newest?.signerName === CLIENT_SIGNER ? 'client' : 'serving';
  return `${csrs.length} CSR${csrs.length === 1 ? '' : 's'}, the newest ${newest?.name} (${kind})`;
}
