/** `kubelet-bootstrap ca`: how the rotation of the CA stands, and its steps. */
import { readFile } from 'node:fs/promises';
import { nextStep, STEPS, type Urgency } from '../../ca/next-step.ts';
import {
  againstCancelling,
  againstFinishing,
  againstPreparing,
  againstSigning,
  type Objection,
} from '../../ca/safety.ts';
import type { Standing } from '../../ca/standing.ts';
import type { Config } from '../../config.ts';
import { messageOf, RefusedError, UsageError } from '../../errors.ts';
import { TRUST_KEY, TRUST_MAP } from '../../kubernetes/trust-bundle.ts';
import { newPair, renewedPair } from '../../local-ca/new-pair.ts';
import { readPair } from '../../local-ca/pair.ts';
import { systemClock } from '../../runtime/clock.ts';
import { formatDuration, parseDuration } from '../../runtime/duration.ts';
import { parseTime } from '../../tokens/token-secret.ts';
import { type CaEntry, type CaPair, VaultCaPair } from '../../vault/ca-pair.ts';
import { observeRotation } from '../../wiring/ca-standing.ts';
import { objectionAsText, standingAsJson, standingAsText } from '../ca-output.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption } from '../output.ts';
import { withServers } from '../servers.ts';
import type { SharedFlags } from '../settings.ts';

export interface CaStatusFlags extends SharedFlags {
  readonly output: string;
}

export interface CaRotateFlags extends SharedFlags {
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly sameKey?: boolean | undefined;
  readonly commonName?: string | undefined;
  readonly lifetime: string;
  readonly signFrom?: string | undefined;
  readonly finish?: boolean | undefined;
  readonly cancel?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

const EXIT_OF: Readonly<Record<Urgency, number>> = {
  none: EXIT_CODES.ok,
  due: EXIT_CODES.ailing,
  urgent: EXIT_CODES.sick,
};
const BACKDATE_MS = 5 * 60_000;

/** Prints the CAs, who still holds certificates of which, and the next step. Writes nothing. Answers the exit code. */
export async function caStatus(flags: CaStatusFlags, io: Io): Promise<number> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  return withServers(flags, io, async (servers) => {
    const standing = await observeRotation(servers, io.interrupted);
    io.out(format === 'json' ? formatJson(standingAsJson(standing)) : standingAsText(standing));
    return EXIT_OF[STEPS[nextStep(standing)].urgency];
  });
}

type Action = 'prepare' | 'sign' | 'finish' | 'cancel';

/**
 * Does one step of a rotation in the KV entry, or says how it is done where the CAs are elsewhere. Throws RefusedError
 * `Unsafe` for a step that would cost nodes their access, `Conflict` when somebody else wrote meanwhile.
 */
export async function caRotate(flags: CaRotateFlags, io: Io): Promise<number> {
  const action = actionOf(flags);
  const from = flags.signFrom === undefined ? undefined : timeOf(flags.signFrom);
  return withServers(flags, io, async (servers) => {
    const { config, vault } = servers;
    const { vaultPath, next } = config.signer.ca;
    const source =
      vaultPath === undefined || vault === undefined || next !== undefined
        ? undefined
        : new VaultCaPair(vault.keyValue, vaultPath);
    // Read before it is judged: what somebody writes from here on makes the write below fail.
    const entry = await source?.load(io.interrupted);
    heedObjections(objectionsTo(action, await observeRotation(servers, io.interrupted), from ?? 0), flags, io);
    if (source === undefined || entry === undefined) {
      sayUnused(flags, io);
      io.out(byHand(action, config));
      return EXIT_CODES.ok;
    }
    const changed = await changedEntry(action, entry, from, flags);
    if (flags.dryRun !== true) await source.replace(entry, changed, io.interrupted);
    const place = source.describe();
    io.out(`${flags.dryRun === true ? 'would be written to' : 'written to'} ${place}: ${WRITTEN[action]}\n`);
    io.out(afterwards(action, config, place));
    return EXIT_CODES.ok;
  });
}

function sayUnused({ certificate, key, sameKey, commonName }: CaRotateFlags, io: Io): void {
  const given = Object.entries({ certificate, key, 'same-key': sameKey, 'common-name': commonName });
  const flags = given.flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}`]));
  if (flags.length > 0) io.err(`not used, as nothing is written where the config names the CAs: ${flags.join(', ')}\n`);
}

/** Throws RefusedError `Unsafe` for what stands in the way and is not forced; says what is. */
function heedObjections(objections: readonly Objection[], { force }: CaRotateFlags, io: Io): void {
  const heeded = objections.filter(({ forcible }) => !forcible || force !== true);
  if (heeded.length > 0) {
    const hint = heeded.every(({ forcible }) => forcible) ? '--force does it all the same\n' : '';
    throw new RefusedError('Unsafe', `nothing was written:\n${heeded.map(objectionAsText).join('')}${hint}`.trimEnd());
  }
  for (const objection of objections) io.err(`forced, although ${objectionAsText(objection).slice(2)}`);
}

function actionOf({ signFrom, finish, cancel }: CaRotateFlags): Action {
  const named: readonly (Action | false)[] = [
    signFrom !== undefined && 'sign',
    finish === true && 'finish',
    cancel === true && 'cancel',
  ];
  const [action = 'prepare', ...more] = named.filter((each) => each !== false);
  if (more.length > 0) throw new UsageError('say one of --sign-from, --finish and --cancel');
  return action;
}

function timeOf(text: string): number {
  const ms = text === 'now' ? systemClock.now() : parseTime(text);
  if (ms === undefined)
    throw new UsageError(`--sign-from ${text}: is neither now nor a time such as 2027-01-31T00:00:00Z`);
  return ms;
}

function objectionsTo(action: Action, standing: Standing, from: number): Objection[] {
  switch (action) {
    case 'prepare':
      return againstPreparing(standing);
    case 'sign':
      return againstSigning(standing, from);
    case 'finish':
      return againstFinishing(standing);
    case 'cancel':
      return againstCancelling(standing);
  }
}

async function changedEntry(
  action: Action,
  entry: CaEntry,
  from: number | undefined,
  flags: CaRotateFlags,
): Promise<Pick<CaEntry, 'certPem' | 'keyPem' | 'next'>> {
  const { certPem, keyPem, next } = entry;
  if (action === 'prepare') return { certPem, keyPem, next: { ...(await nextPair(entry, flags)), from: undefined } };
  if (action === 'cancel') return { certPem, keyPem, next: undefined };
  if (next === undefined) throw new RefusedError('Unsafe', 'the next CA was taken away meanwhile');
  return action === 'sign' ? { certPem, keyPem, next: { ...next, from } } : { ...next, next: undefined };
}

async function nextPair(entry: CaPair, flags: CaRotateFlags): Promise<CaPair> {
  const now = systemClock.now();
  const { certificate, key, sameKey, commonName, lifetime } = flags;
  if ((certificate === undefined) !== (key === undefined)) throw new UsageError('--certificate and --key go together');
  if (certificate !== undefined && key !== undefined) {
    const [certPem, keyPem] = await Promise.all([textOf('--certificate', certificate), textOf('--key', key)]);
    readPair({ certPem, keyPem }, now);
    return { certPem, keyPem };
  }
  const ms = parseDuration(lifetime);
  if (ms === undefined || ms <= 0) throw new UsageError(`--lifetime ${lifetime}: is no duration such as 87600h`);
  const times = { notBefore: now - BACKDATE_MS, notAfter: now + ms };
  if (sameKey === true) return renewedPair(readPair(entry, now), times);
  const stamp = new Date(now).toISOString().slice(0, 16).replaceAll(/[-:T]/g, '');
  return newPair(commonName ?? `kubelet-bootstrap-ca-${stamp}`, times);
}

async function textOf(flag: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${flag} ${path}: ${messageOf(error)}`, { cause: error });
  }
}

const WRITTEN: Readonly<Record<Action, string>> = {
  prepare: 'a next CA, which signs nothing yet',
  sign: 'when it signs',
  finish: 'the CA that signs alone, the previous one dropped',
  cancel: 'the first CA alone',
};

/** What only the admin can do after a step, in order. */
function afterwards(action: Action, { signer, state }: Config, place: string): string {
  const seen = `within ${formatDuration(signer.ca.refresh)} the service has seen it`;
  const bundle = `kubectl -n ${state.namespace} get configmap ${TRUST_MAP} -o jsonpath='{.data.${TRUST_KEY.replace('.', '\\.')}}'`;
  const steps: Readonly<Record<Action, readonly string[]>> = {
    prepare: [
      `${seen} and published it: ${bundle}`,
      'Add it to the file of --client-ca-file (and of --kubelet-certificate-authority) of every API server; the first is read anew by itself, for the second restart them.',
      'Have everybody else trust it who checks certificates of nodes.',
      'kubelet-bootstrap ca rotate --sign-from now',
    ],
    sign: [`${seen}; nodes change over as they renew.`, 'kubelet-bootstrap ca status, until it says Finish'],
    finish: [
      `${seen} and published the CA that is left: ${bundle}`,
      'Take the previous CA out of --client-ca-file and --kubelet-certificate-authority, once nothing else has certificates of it: admins, kube-controller-manager and kube-scheduler are on no record.',
      `Destroy the versions of ${place} that still hold its key: bao kv destroy -versions=...`,
    ],
    cancel: [`${seen}.`, 'Take the CA out again wherever it was added.'],
  };
  return steps[action].map((step, index) => `${index + 1}. ${step}\n`).join('');
}

/** The same where the config names the CAs: every step is the admin's. */
function byHand(action: Action, config: Config): string {
  const steps: Readonly<Record<Action, readonly string[]>> = {
    prepare: ['Make the next CA, and name it in the config as signer.ca.next, without `from`.'],
    sign: ['Set signer.ca.next.from in the config.'],
    finish: ['Put what signer.ca.next names into signer.ca in the config, and take signer.ca.next away, both at once.'],
    cancel: ['Take signer.ca.next out of the config.'],
  };
  return `${steps[action].join('\n')} The service reads it within 10 s. Then:\n${afterwards(action, config, 'the place')}`;
}
