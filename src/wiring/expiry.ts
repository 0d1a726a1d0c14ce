/** Everything with an end that this config can see, for the service and for `expiry`. */
import { readFile } from 'node:fs/promises';
import { type Config, runningControllers } from '../config.ts';
import type { Authorities } from '../ports/ca.ts';
import { type CaRole, schedule } from '../ca/schedule.ts';
import { messageOf } from '../errors.ts';
import { ExpiryWatch } from '../controllers/expiry-watch.ts';
import { chainReading, fileReading, nameOf, readPem } from '../expiry/certificates.ts';
import type { Thresholds } from '../expiry/judge.ts';
import type { Reading, Thing } from '../expiry/thing.ts';
import { clientCas, servingCertificate, shownReading, tlsSecrets } from '../kubernetes/cluster-certificates.ts';
import { filesOf, SERVICE_ACCOUNT_CA } from '../kubernetes/kubeconfig.ts';
import { kubeconfigEnds } from '../kubernetes/kubeconfig-ends.ts';
import type { Transport } from '../kubernetes/transport.ts';
import { trustBundles } from '../kubernetes/trust-bundles.ts';
import type { CertificateSigner, EventSink, ExpirySource } from '../ports.ts';
import { type Clock, deadline } from '../runtime/clock.ts';
import { serverCertificates } from '../runtime/handshake.ts';
import type { Part } from '../runtime/lifecycle.ts';
import { periodic } from '../runtime/periodic.ts';
import { vaultSecretId, vaultToken } from '../vault/expiring.ts';
import type { Vault } from './connections.ts';
import type { Context } from './context.ts';
import { isUnusable } from './observe.ts';

export interface ExpiryWorld {
  readonly config: Config;
  readonly clock: Clock;
  readonly transport: Transport;
  /** The CAs that sign; used where the config does. */
  readonly authorities: Authorities;
  readonly vault: Vault | undefined;
  /** `vault` uses an admin's token in the place of the service's login. */
  readonly isGivenToken?: boolean;
}

export function thresholdsOf({ expiry }: Config): Thresholds {
  return { warningMs: expiry.warning, criticalMs: expiry.critical };
}

/** Where all of it is read. Nothing is read yet. */
export function expirySources(world: ExpiryWorld): ExpirySource[] {
  const { config, clock, transport, authorities } = world;
  const { kubeconfig } = config.kubernetes;
  const kubeconfigs = [...(kubeconfig === undefined ? [] : filesOf(kubeconfig)), ...config.expiry.kubeconfigs];
  const files = [
    ...(kubeconfig === undefined ? [SERVICE_ACCOUNT_CA] : []),
    ...[config.cluster.caFile, config.vault?.caFile].filter((path) => path !== undefined),
    ...config.expiry.files,
  ];
  return [
    ...(runningControllers(config).has('signer') ? [signingCas(authorities, clock)] : []),
    servingCertificate(transport, clock),
    clientCas(transport, clock),
    ...trustBundles(transport, clock),
    ...unique(config.expiry.secretNamespaces).map((namespace) => tlsSecrets(transport, namespace, clock)),
    ...unique(kubeconfigs).map((path) => kubeconfigEnds(path, clock)),
    ...unique(files).map((path) => pemFile(path, clock)),
    ...vaultSources(world),
  ];
}

function unique<T>(items: readonly T[]): T[] {
  return [...new Set(items)];
}

/** Every CA that signs, will, or did until another's time came; that one may be over. */
function signingCas(authorities: Authorities, clock: Clock): ExpirySource {
  return {
    kind: 'signing-ca',
    read: async (signal) => {
      // What keeps that from being known keeps the CA itself from being read.
      const following = await authorities.next(signal).catch(() => undefined);
      const next = following && { ca: following.backend, from: following.from };
      const cas = schedule(authorities.current, next, clock.now());
      return Promise.all(cas.map(({ role, ca }) => caThing(role, ca, clock.now(), signal)));
    },
  };
}

async function caThing(role: CaRole, ca: CertificateSigner, now: number, signal: AbortSignal): Promise<Thing> {
  const words = role === 'signing' ? '' : `${role}: `;
  const thing = (name: string, reading: Reading): Thing => ({
    kind: 'signing-ca',
    name: words + name,
    object: undefined,
    reading,
  });
  try {
    const pem = readPem((await ca.authority(signal)).certificatePem);
    const reading = chainReading(pem, now);
    const isOver = role === 'previous' && reading.kind === 'ends' && reading.endsAt <= now;
    return thing(pem.certificates.slice(0, 1).map(nameOf).join(''), isOver ? { kind: 'none', note: OVER } : reading);
  } catch (error) {
    signal.throwIfAborted();
    return thing('CA', { kind: isUnusable(error) ? 'unusable' : 'unreadable', note: messageOf(error) });
  }
}

const OVER = 'ended, and another one signs: take it out of the config';

function pemFile(path: string, clock: Clock): ExpirySource {
  const kind = 'file';
  return {
    kind,
    name: path,
    read: async (signal) => {
      const text = await readFile(path, { encoding: 'latin1', signal });
      return [{ kind, name: path, object: undefined, reading: fileReading(readPem(text), clock.now()) }];
    },
  };
}

function vaultSources({ config, clock, vault, isGivenToken = false }: ExpiryWorld): ExpirySource[] {
  if (config.vault === undefined || vault === undefined) return [];
  const { address, caFile, timeout, auth } = config.vault;
  const { host } = new URL(address);
  const kind = 'vault-server';
  const server: ExpirySource = {
    kind,
    name: host,
    read: async (signal) => {
      const ca = caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') };
      const chain = await serverCertificates(new URL(address), ca, deadline(timeout, signal));
      return [{ kind, name: host, object: undefined, reading: shownReading(chain, clock.now()) }];
    },
  };
  const replaced = auth.method !== 'tokenFile' && !isGivenToken;
  return [
    server,
    vaultToken(vault.session, isGivenToken ? 'VAULT_TOKEN' : 'login', replaced),
    ...(auth.method === 'approle' && !isGivenToken ? [vaultSecretId(vault.session, auth)] : []),
  ];
}

export interface ExpirySide {
  readonly watch: ExpiryWatch;
  readonly parts: readonly Part[];
}

/** The service's watch; it looks for the first time when its part starts. */
export function expirySide(
  context: Context,
  world: Omit<ExpiryWorld, 'config' | 'clock'>,
  events: EventSink,
): ExpirySide {
  const { config, clock, log } = context;
  const watch = new ExpiryWatch({
    sources: config.expiry.enabled ? expirySources({ ...world, config, clock }) : [],
    thresholds: thresholdsOf(config),
    intervalMs: config.expiry.interval,
    clock,
    events,
    home: { apiVersion: 'v1', kind: 'Namespace', name: config.state.namespace },
    log,
  });
  const looking = periodic(
    'expiry',
    () => watch.nextInMs(),
    clock,
    (signal) => watch.look(signal),
  );
  return { watch, parts: config.expiry.enabled ? [looking] : [] };
}
