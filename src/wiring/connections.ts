/** From the config to connected adapters; shared by the service and the commands. Nothing is sent when they are made. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Config } from '../config.ts';
import { TokenDesk } from '../controllers/token-desk.ts';
import { allOrEveryProblem, ConfigError, messageOf } from '../errors.ts';
import { type Cluster, connectCluster, connectWithToken } from '../kubernetes/kubeconfig.ts';
import { tokenSecrets } from '../kubernetes/token-secrets.ts';
import type { ApiCall, Transport } from '../kubernetes/transport.ts';
import type { Log, Telemetry } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { type BootstrapToken, drawToken } from '../tokens/bootstrap-token.ts';
import { VaultSession } from '../vault/auth.ts';
import { type VaultCall, VaultClient } from '../vault/client.ts';
import { KeyValue } from '../vault/key-value.ts';
import { appRole, givenToken, jwtLogin, kubernetesLogin, type LoginMethod, tokenFile } from '../vault/login-methods.ts';
import type { VaultProblem } from '../vault/problems.ts';
import { VaultTokenPublications } from '../vault/token-publications.ts';

/** What tells the outside of calls. */
export interface CallObservers {
  readonly onApiCall: (call: ApiCall) => void;
  readonly onVaultCall: (call: VaultCall) => void;
}

/** For commands: nobody counts their calls. */
export const UNOBSERVED: CallObservers = { onApiCall: () => {}, onVaultCall: () => {} };

/** Watches hold a connection each for as long as they last. */
const WATCHES = 5;

/** Throws ConfigError when the kubeconfig is missing or unusable. */
export function openCluster(config: Config, clock: Clock, { onApiCall }: CallObservers): Cluster {
  const { kubeconfig, connections, timeout } = config.kubernetes;
  return connectCluster(kubeconfig, {
    clock,
    timeoutMs: timeout,
    connections: connections + WATCHES,
    onCall: onApiCall,
  });
}

/** The same API server, for whoever has this token. Throws ConfigError as `openCluster` does. */
export function openClusterAs(token: string, config: Config, clock: Clock, { onApiCall }: CallObservers): Transport {
  const { kubeconfig, timeout } = config.kubernetes;
  return connectWithToken(kubeconfig, token, { clock, timeoutMs: timeout, connections: 1, onCall: onApiCall });
}

/** A token that nobody has, drawn from the host's randomness. */
export function freshToken(): BootstrapToken {
  return drawToken((count) => randomBytes(count));
}

/** Vault, logged in when it is first needed. */
export interface Vault {
  readonly session: VaultSession;
  readonly keyValue: KeyValue;
  readonly publications: VaultTokenPublications;
  /** What is wrong with Vault, as far as the last calls have met it. */
  readonly problems: () => readonly VaultProblem[];
}

/**
 * Throws ConfigError when there is no `vault` in the config or its CA cannot be read. A given token (an admin's
 * VAULT_TOKEN) goes before the configured login.
 */
export async function openVault(
  config: Config,
  clock: Clock,
  { onVaultCall }: CallObservers,
  { token, holdsBack }: { readonly token?: string | undefined; readonly holdsBack?: boolean } = {},
): Promise<Vault> {
  const { vault } = config;
  if (vault === undefined) throw new ConfigError('config', [{ path: 'vault', message: 'is needed for this' }]);
  const { caFile } = vault;
  const readCa = caFile === undefined ? undefined : () => readPem('vault.caFile', caFile);
  await readCa?.();
  const client = new VaultClient({
    address: vault.address,
    readCa,
    holdsBack,
    namespace: vault.namespace,
    timeoutMs: vault.timeout,
    clock,
    onCall: onVaultCall,
  });
  const session = new VaultSession({
    client,
    clock,
    method: token === undefined ? loginMethod(vault, clock) : givenToken(token),
  });
  const keyValue = new KeyValue(session, vault.mount);
  const publications = new VaultTokenPublications(keyValue, vault.prefix, clock);
  return { session, keyValue, publications, problems: () => client.problems() };
}

function loginMethod({ auth }: NonNullable<Config['vault']>, clock: Clock): LoginMethod {
  switch (auth.method) {
    case 'tokenFile':
      return tokenFile(auth.tokenFile, clock);
    case 'approle':
      return appRole(auth);
    case 'kubernetes':
      return kubernetesLogin(auth);
    case 'jwt':
      return jwtLogin(auth);
  }
}

/** Issues and revokes tokens. Throws ConfigError when it is not known which CA nodes are to trust. */
export async function openTokenDesk(
  config: Config,
  clock: Clock,
  cluster: Cluster,
  vault: Vault,
  reports: { readonly telemetry: Telemetry; readonly log: Log },
): Promise<TokenDesk> {
  const { server, caFile } = config.cluster;
  const caCertificate = caFile === undefined ? cluster.caCertificate : await readPem('cluster.caFile', caFile);
  if (caCertificate === '') {
    throw new ConfigError('config', [{ path: 'cluster.caFile', message: 'is needed: the kubeconfig names no CA' }]);
  }
  return new TokenDesk({
    secrets: tokenSecrets(cluster.transport),
    publications: vault.publications,
    clock,
    randomBytes: (count) => randomBytes(count),
    cluster: { server, caCertificate },
    ...reports,
  });
}

/** Throws ConfigError when a file that the service does not start without cannot be read; what it connects by is not looked at. */
export async function checkFiles({ cluster, serving }: Config): Promise<void> {
  const inventory = serving.inventory?.file;
  await allOrEveryProblem([
    cluster.caFile === undefined ? undefined : readPem('cluster.caFile', cluster.caFile),
    inventory === undefined ? undefined : readText('serving.inventory.file', inventory),
  ]);
}

async function readPem(key: string, path: string): Promise<string> {
  const text = await readText(key, path);
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new ConfigError('config', [{ path: key, message: `${path} holds no PEM certificate` }]);
}

async function readText(key: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigError('config', [{ path: key, message: messageOf(error) }], { cause: error });
  }
}
