import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import type { HttpsAccess } from './https-client.ts';
import type { KeyPair } from './pki.ts';

/** How a client proves who it is: with a certificate or with a bearer token. */
export type Credential = KeyPair | { readonly token: string };

/** Writes a kubeconfig with everything in it (no references to other files), mode 0600, and answers its path. */
export function writeKubeconfig(path: string, server: string, ca: string, credential: Credential): string {
  const user =
    'token' in credential
      ? { token: credential.token }
      : {
          'client-certificate-data': base64(credential.certificate),
          'client-key-data': base64(credential.key),
        };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'local',
    clusters: [{ name: 'local', cluster: { server, 'certificate-authority-data': base64(ca) } }],
    users: [{ name: 'local', user }],
    contexts: [{ name: 'local', context: { cluster: 'local', user: 'local' } }],
  };
  writeFileSync(path, stringify(config), { mode: 0o600 });
  return path;
}

interface Kubeconfig {
  readonly 'current-context': string;
  readonly clusters: readonly { name: string; cluster: Readonly<Record<string, string>> }[];
  readonly users: readonly { name: string; user: Readonly<Record<string, string>> }[];
  readonly contexts: readonly { name: string; context: { cluster: string; user: string } }[];
}

/** Reads server, CA and credential of the current context; data or files, certificate or token. */
export function readKubeconfig(path: string): HttpsAccess {
  const config = parse(readFileSync(path, 'utf8')) as Kubeconfig;
  const context = config.contexts.find(({ name }) => name === config['current-context'])?.context;
  const cluster = config.clusters.find(({ name }) => name === context?.cluster)?.cluster ?? {};
  const user = config.users.find(({ name }) => name === context?.user)?.user ?? {};
  const pem = (from: Readonly<Record<string, string>>, key: string): string | undefined => {
    const data = from[`${key}-data`];
    if (data !== undefined) return Buffer.from(data, 'base64').toString();
    return from[key] === undefined ? undefined : readFileSync(resolve(dirname(path), from[key]), 'utf8');
  };
  const ca = pem(cluster, 'certificate-authority');
  if (cluster['server'] === undefined || ca === undefined)
    throw new Error(`${path}: no server or CA in the current context`);
  return {
    server: cluster['server'],
    ca,
    certificate: pem(user, 'client-certificate'),
    key: pem(user, 'client-key'),
    headers: user['token'] === undefined ? undefined : { authorization: `Bearer ${user['token']}` },
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
