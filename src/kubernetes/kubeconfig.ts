import { existsSync, readFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { ConfigError, messageOf } from '../errors.ts';
import { Transport, type TransportOptions } from './transport.ts';

const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';
/** The CA that a pod checks the API server with. */
export const SERVICE_ACCOUNT_CA = '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt';

/** A cluster to talk to. */
export interface Cluster {
  readonly transport: Transport;
  /** PEM of the CA that the API server is checked with; '' when the kubeconfig names none. */
  readonly caCertificate: string;
}

/**
 * Reads a kubeconfig file, or several that are merged as kubectl does with a list in KUBECONFIG, or the service account
 * of the pod where `kubeconfig` is undefined. Nothing is sent yet.
 * Throws ConfigError: client-node itself falls back to http://localhost:8080 in silence.
 */
export function connectCluster(kubeconfig: string | undefined, options: TransportOptions): Cluster {
  const config = loadKubeConfig(kubeconfig);
  const caCertificate = caOf(config, kubeconfig);
  return { transport: new Transport(config, () => loadKubeConfig(kubeconfig), options), caCertificate };
}

/** The same API server for somebody else: who has this bearer token and nothing besides. Throws ConfigError. */
export function connectWithToken(kubeconfig: string | undefined, token: string, options: TransportOptions): Transport {
  const load = (): KubeConfig => {
    const cluster = loadKubeConfig(kubeconfig).getCurrentCluster();
    const config = new KubeConfig();
    if (cluster !== null) config.loadFromClusterAndUser(cluster, { name: 'token', token });
    return config;
  };
  return new Transport(load(), load, options);
}

function loadKubeConfig(kubeconfig: string | undefined): KubeConfig {
  let config = new KubeConfig();
  try {
    if (kubeconfig !== undefined) config = merged(filesOf(kubeconfig).map(readFile));
    else if (existsSync(SERVICE_ACCOUNT_TOKEN)) config.loadFromCluster();
    else throw new Error('not in a cluster: set `kubernetes.kubeconfig`, --kubeconfig or KUBECONFIG');
  } catch (error) {
    throw problem(kubeconfig, messageOf(error), error);
  }
  const wrong = whatIsWrong(config);
  if (wrong !== undefined) throw problem(kubeconfig, wrong);
  return config;
}

/** The files that a kubeconfig's name stands for. Of a list, missing ones are passed over; a single one has to be there. */
export function filesOf(kubeconfig: string): string[] {
  if (existsSync(kubeconfig)) return [kubeconfig];
  const files = kubeconfig.split(delimiter).filter((file) => file !== '' && existsSync(file));
  return files.length === 0 ? [kubeconfig] : files;
}

function readFile(path: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(path);
  return config;
}

/** The first file that names something decides. */
function merged(configs: readonly KubeConfig[]): KubeConfig {
  const config = new KubeConfig();
  const currentContext = configs.map((each) => each.currentContext).find((name) => isGiven(name)) ?? '';
  config.loadFromOptions({
    clusters: firstOfEachName(configs.flatMap(({ clusters }) => clusters)),
    users: firstOfEachName(configs.flatMap(({ users }) => users)),
    contexts: firstOfEachName(configs.flatMap(({ contexts }) => contexts)),
    currentContext,
  });
  return config;
}

function firstOfEachName<T extends { readonly name: string }>(items: readonly T[]): T[] {
  return [...new Map(items.toReversed().map((item) => [item.name, item])).values()];
}

function whatIsWrong(config: KubeConfig): string | undefined {
  const cluster = config.getCurrentCluster();
  if (cluster === null) return 'its current context names no cluster';
  if (!cluster.server.startsWith('https://')) return `its server is ${cluster.server}: only https is spoken`;
  const user = config.getCurrentUser();
  if (user === null) return 'its current context names no user';
  const { token, certData, certFile, authProvider, exec } = user;
  if ([token, certData, certFile, authProvider, exec].every((credential) => !isGiven(credential))) {
    return 'its user has no credential that is known here: client certificate, token or exec';
  }
  return cluster.skipTLSVerify ? 'it switches TLS verification off' : undefined;
}

/** client-node hands on what YAML leaves empty. */
function isGiven(credential: unknown): boolean {
  return credential !== undefined && credential !== null && credential !== '';
}

function problem(kubeconfig: string | undefined, message: string, cause?: unknown): ConfigError {
  const problems = [{ path: 'kubernetes.kubeconfig', message }];
  return new ConfigError(kubeconfig ?? 'service account', problems, { cause });
}

function caOf(config: KubeConfig, kubeconfig: string | undefined): string {
  const cluster = config.getCurrentCluster();
  if (cluster?.caData !== undefined) return Buffer.from(cluster.caData, 'base64').toString('utf8');
  try {
    return cluster?.caFile === undefined ? '' : readFileSync(cluster.caFile, 'utf8');
  } catch (error) {
    throw problem(kubeconfig, messageOf(error), error);
  }
}
