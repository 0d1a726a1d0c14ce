/** Reads all that `doctor` looks at. What cannot be read is unknown, with the reason; nothing is written. */
import type { Authorities } from '../ports/ca.ts';
import { breadthOf, type Config, policyOf, runningControllers } from '../config.ts';
import { readCas } from '../controllers/ca-watch.ts';
import { rotatingSigner } from '../controllers/rotating-signer.ts';
import { type AccessClass, accessClasses, accessQuestions, type AccessRow } from '../doctor/access-matrix.ts';
import type { ClusterView, NodeStanding, Observations, SetUp, SigningCa } from '../doctor/observations.ts';
import {
  attributesOf,
  EXCESSIVE_RIGHTS,
  neededRights,
  requesterOf,
  type Right,
  type RightAnswer,
} from '../doctor/service-rights.ts';
import { neededVaultRights, type VaultView } from '../doctor/vault-rights.ts';
import { isRemote, messageOf, RefusedError } from '../errors.ts';
import { askAccess } from '../kubernetes/access-reviews.ts';
import { csrListWatch } from '../kubernetes/csrs.ts';
import { allPages } from '../kubernetes/list-watch.ts';
import { nodeListWatch } from '../kubernetes/nodes.ts';
import { stateMaps } from '../kubernetes/state-maps.ts';
import { readClientCas, readControllerManager, readRbac, whoAmI } from '../kubernetes/survey.ts';
import type { Transport } from '../kubernetes/transport.ts';
import type { Fact } from '../policy/facts.ts';
import { type Authority, type Csr, KUBELET_SIGNERS } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { readCapabilities } from '../vault/capabilities.ts';
import { caPaths } from './authorities.ts';
import type { Vault } from './connections.ts';
import { longestLifeMs } from './longest-life.ts';
import { pkiEngines, pkiRoles } from './pki-backend.ts';

export interface ObserveOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly transport: Transport;
  /** As far as the config has one. */
  readonly vault: Vault | undefined;
  /** Whether `vault` uses an admin's token in the place of the service's login. */
  readonly vaultLogin: VaultView['login'];
  /** Those that sign, where this config does. */
  readonly authorities: Authorities | undefined;
  /** User name of the service's account. */
  readonly serviceUser: string;
}

/** Reads everything at once. Throws the reason of `signal` when it is aborted. */
export async function observe(options: ObserveOptions, signal: AbortSignal): Promise<Observations> {
  const { config, clock, serviceUser, authorities } = options;
  const [cluster, signingCa, vault] = await Promise.all([
    observeCluster(options, signal),
    authorities === undefined ? undefined : observeSigningCa(authorities, clock, signal),
    options.vault === undefined ? undefined : observeVault(options, options.vault, signal),
  ]);
  return { now: clock.now(), setUp: setUpOf(config), serviceUser, cluster, signingCa, vault };
}

function setUpOf(config: Config): SetUp {
  const { approver, mode } = config;
  const running = runningControllers(config);
  return {
    policy: policyOf(config),
    accessReview: approver.accessReview,
    approves: running.has('approver') && mode !== 'observe',
    signs: running.has('signer'),
    breadth: breadthOf(config),
    longestLifeMs: longestLifeMs(config),
  };
}

/** What `work` answers, or why it could not be had. Throws what is no fault of a remote system or of the set-up. */
export async function factOf<T>(work: Promise<T>, signal: AbortSignal): Promise<Fact<T>> {
  try {
    return { known: true, value: await work };
  } catch (error) {
    signal.throwIfAborted();
    if (!isRemote(error) && !(error instanceof RefusedError)) throw error;
    return { known: false, why: messageOf(error) };
  }
}

async function observeCluster(options: ObserveOptions, signal: AbortSignal): Promise<Fact<ClusterView>> {
  const { config, transport, serviceUser } = options;
  // With no answer at all, or none to this credential, each of the rest would only say so again.
  const [clock, self] = await Promise.all([
    factOf(transport.readClock(signal), signal),
    factOf(whoAmI(transport, signal), signal),
  ]);
  if (!clock.known && !self.known) return { known: false, why: self.why };
  const classes = accessClasses(Object.keys(config.pools));
  const user = self.known && self.value.username === serviceUser ? undefined : requesterOf(serviceUser);
  const needed = neededRights({
    controllers: runningControllers(config),
    observes: config.mode === 'observe',
    serving: config.serving.enabled,
    stateNamespace: config.state.namespace,
    expiry: config.expiry.enabled ? config.expiry : undefined,
  });
  const askRights = (rights: readonly Right[], isNeeded: boolean): Promise<RightAnswer>[] =>
    rights.flatMap((right) =>
      right.verbs.map(async (verb) => {
        const answer = await factOf(askAccess(transport, user, attributesOf(right, verb), signal), signal);
        return { right, verb, needed: isNeeded, answer };
      }),
    );
  const [access, rights, csrs, controllerManager, rbac, nodes, clientCas] = await Promise.all([
    Promise.all(classes.map((each) => askClass(transport, each, signal))),
    Promise.all([...askRights(needed, true), ...askRights(EXCESSIVE_RIGHTS, false)]),
    factOf(readCsrs(transport, signal), signal),
    factOf(readControllerManager(transport, signal), signal),
    factOf(readRbac(transport, signal), signal),
    factOf(readNodes(transport, config.state.namespace, signal), signal),
    factOf(readClientCas(transport, signal), signal),
  ]);
  return {
    known: true,
    value: { clock, access, rights, csrs, controllerManager, rbac, nodes, clientCas },
  };
}

async function askClass(transport: Transport, of: AccessClass, signal: AbortSignal): Promise<AccessRow> {
  const missing = accessQuestions(of).map(async ({ word, subject, attributes }) => {
    const { allowed } = await askAccess(transport, subject, attributes, signal);
    return allowed ? [] : [word];
  });
  return {
    of,
    missing: await factOf(
      Promise.all(missing).then((words) => words.flat()),
      signal,
    ),
  };
}

/** The CSRs of both signers. */
export async function readCsrs(transport: Transport, signal: AbortSignal): Promise<Csr[]> {
  const lists = KUBELET_SIGNERS.map((signer) => allPages(csrListWatch(transport, signer), signal));
  return (await Promise.all(lists)).flat();
}

async function readNodes(transport: Transport, namespace: string, signal: AbortSignal): Promise<NodeStanding> {
  const [nodes, maps] = await Promise.all([
    allPages(nodeListWatch(transport), signal),
    stateMaps(transport, namespace).list(signal),
  ]);
  const stored = maps.flatMap(({ records }) => [...records]);
  const records = stored.flatMap(([, record]) => (record.known ? [record.value] : []));
  return {
    nodes: nodes.map(({ name }) => name),
    known: new Set(records.filter(({ certificates }) => certificates.length > 0).map(({ node }) => node)),
    adopted: new Set(records.filter(({ adopted }) => adopted).map(({ node }) => node)),
    unreadable: stored.filter(([, record]) => !record.known).map(([node]) => node),
  };
}

const EMPTY = new Uint8Array();
/** A file that is not on this host says nothing of the one that the service has. */
const NOT_HERE = new Set<unknown>(['ENOENT', 'EACCES']);

async function observeSigningCa(
  authorities: Authorities,
  clock: Clock,
  signal: AbortSignal,
): Promise<Fact<SigningCa | { readonly problem: string }>> {
  const signer = rotatingSigner(authorities, clock);
  try {
    const { notAfter, ...signing } = await signer.authority(signal);
    const problem = await signer.problem(signal);
    if (problem !== undefined) return { known: true, value: { problem } };
    const cas = await readCas(authorities, clock.now(), signal);
    const others = cas.flatMap(({ role, from, ca }) =>
      role === 'signing' || !ca.known
        ? []
        : [{ ...identityOf(ca.value), takesOver: role === 'next' && from !== undefined }],
    );
    return { known: true, value: { ...identityOf(signing), notAfter, others } };
  } catch (error) {
    signal.throwIfAborted();
    if (isUnusable(error)) {
      return { known: true, value: { problem: messageOf(error) } };
    }
    return factOf(Promise.reject(error), signal);
  }
}

function identityOf({
  certificatePem,
  subjectKeyId = EMPTY,
}: Pick<Authority, 'certificatePem' | 'subjectKeyId'>): Pick<SigningCa, 'certificatePem' | 'keyId'> {
  return { certificatePem, keyId: Buffer.from(subjectKeyId).toString('hex') };
}

/** Whether a CA could be looked at and is of no use. */
export function isUnusable(error: unknown): boolean {
  return error instanceof RefusedError && !NOT_HERE.has(systemCodeOf(error));
}

/** The code of the operating system's error that led to this one, if one did. */
function systemCodeOf(error: unknown): unknown {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (!(each instanceof RefusedError) && 'code' in each) return each.code;
  }
  return undefined;
}

async function observeVault(options: ObserveOptions, vault: Vault, signal: AbortSignal): Promise<VaultView> {
  const { config, vaultLogin: login } = options;
  const { mount = '', prefix = '' } = config.vault ?? {};
  const controllers = runningControllers(config);
  const pki = pkiEngines(config).map((each) => ({
    mount: each.mount,
    issuer: each.issuer,
    roles: [...pkiRoles(config, each).values()],
  }));
  const wanted = neededVaultRights({ mount, prefix, caPaths: caPaths(config), pki, controllers });
  const paths = wanted.map(({ path }) => path);
  const work = readCapabilities(vault.session, paths, signal);
  const problem = await problemOf(vault, work, signal);
  return { problem, login, wanted, capabilities: await factOf(work, signal) };
}

/** What keeps Vault from being used by this login at all, as far as `first`, a call with it, tells. */
async function problemOf(vault: Vault, first: Promise<unknown>, signal: AbortSignal): Promise<string | undefined> {
  try {
    await first;
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    // Refused by Vault; without a status, it was a credential that is not on this host.
    const refused = isRemote(error, 'Unauthorized') && error.status !== undefined;
    if (refused || isRemote(error, 'Sealed', 'Unavailable')) return messageOf(error);
    // No right to ask, or a token that is dead: every living one of the service may look itself up.
    if (!isRemote(error, 'Forbidden')) return undefined;
    const path = ['auth', 'token', 'lookup-self'];
    const lookup = await factOf(vault.session.call({ operation: 'lookup', method: 'GET', path }, signal), signal);
    return lookup.known ? undefined : lookup.why;
  }
}
