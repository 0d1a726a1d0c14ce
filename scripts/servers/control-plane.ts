import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HttpsClient } from './https-client.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { createCa, createServiceAccountKeys, LOOPBACK_HOSTS, writePair } from './pki.ts';
import type { LocalCa } from './pki.ts';
import { withFreePorts } from './ports.ts';
import type { ServerProcess } from './process.ts';
import { bindBootstrap } from './rbac.ts';
import type { BootstrapBindings } from './rbac.ts';
import type { Supervisor } from './supervisor.ts';

export interface ControlPlaneOptions {
  readonly etcd: string;
  readonly kubeApiserver: string;
  readonly bindings?: BootstrapBindings | undefined;
  /** User name of `serviceKubeconfig`; it has no groups and only the rights that the caller grants it. */
  readonly serviceUser?: string | undefined;
  /** More flags for kube-apiserver. */
  readonly apiServerFlags?: readonly string[] | undefined;
}

/** A real etcd and kube-apiserver on loopback; no controller manager, no scheduler. */
export interface ControlPlane {
  /** `https://127.0.0.1:PORT`. */
  readonly server: string;
  readonly port: number;
  readonly etcdPort: number;
  /** With its `ca.crt`, and `client.crt` and `client.key` for a client of it. */
  readonly etcdDir: string;
  /** The cluster CA: clients are trusted by it, the API server's certificate comes from it, the service signs with it. */
  readonly ca: LocalCa;
  readonly caFile: string;
  readonly caKeyFile: string;
  /** A member of system:masters. */
  readonly adminKubeconfig: string;
  readonly serviceKubeconfig: string;
  /** Calls as the admin. */
  readonly admin: HttpsClient;
  /** A kubeconfig with a fresh client certificate for `system:node:<name>` in `system:nodes`. */
  nodeKubeconfig(name: string): Promise<string>;
  /** A kubeconfig with a fresh client certificate for any user. */
  clientKubeconfig(file: string, user: string, groups?: readonly string[]): Promise<string>;
  /** A kubeconfig with a bearer token, as a kubelet bootstraps with. */
  tokenKubeconfig(file: string, token: string): string;
  /** Connections are refused from then on; etcd runs on. */
  stopApiServer(): Promise<void>;
  /** Starts it again on the same port and waits until it is ready. */
  startApiServer(): Promise<void>;
  /** `stopApiServer` and `startApiServer`. */
  restartApiServer(): Promise<void>;
}

/** Starts both under the supervisor and waits until the API server is ready and the bootstrap bindings are there. */
export async function startControlPlane(supervisor: Supervisor, options: ControlPlaneOptions): Promise<ControlPlane> {
  const ca = await createCa('local cluster CA');
  const etcd = await startEtcd(supervisor, options.etcd);
  const pki = supervisor.folder('cluster');
  const kubeconfigs = supervisor.folder('kubeconfigs');
  const serviceAccounts = await createServiceAccountKeys();
  const serving = await ca.server('kube-apiserver', [...LOOPBACK_HOSTS, 'kubernetes.default.svc', '10.96.0.1']);
  const caFile = writePair(pki, 'ca', ca);
  writePair(pki, 'apiserver', serving);
  writePair(pki, 'service-accounts', { certificate: serviceAccounts.publicKey, key: serviceAccounts.key });
  const adminCertificate = await ca.client('admin', ['system:masters']);

  const launch = async (port: number): Promise<ServerProcess> => {
    const started = supervisor.start({
      name: 'kube-apiserver',
      command: options.kubeApiserver,
      args: [...apiServerFlags(pki, etcd, port), ...(options.apiServerFlags ?? [])],
    });
    const client = new HttpsClient({ server: `https://127.0.0.1:${port}`, ca: ca.certificate, ...adminCertificate });
    const answers = async (path: string): Promise<boolean> => (await client.send('GET', path)).status === 200;
    try {
      await supervisor.ready(started, () => answers('/readyz'));
      // Made in the background after the start, and needed by the first Secret.
      await supervisor.ready(started, () => answers('/api/v1/namespaces/kube-system'));
      await supervisor.ready(started, () => answers('/api/v1/namespaces/default'));
    } catch (error) {
      await supervisor.end(started, 0);
      throw error;
    } finally {
      await client.close();
    }
    return started;
  };
  let running: ServerProcess | undefined;
  const port = await withFreePorts(1, async ([port = 0]) => {
    running = await launch(port);
    return port;
  });
  const server = `https://127.0.0.1:${port}`;
  const admin = new HttpsClient({ server, ca: ca.certificate, ...adminCertificate });
  supervisor.onStop(() => admin.close());
  await bindBootstrap(admin, options.bindings ?? {});
  // As manifests/base makes it: where the service keeps what it remembers of nodes.
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kubelet-bootstrap' } };
  await admin.must('POST', '/api/v1/namespaces', namespace, [409]);

  const kubeconfig = (file: string, credential: Parameters<typeof writeKubeconfig>[3]): string =>
    writeKubeconfig(join(kubeconfigs, `${file}.kubeconfig`), server, ca.certificate, credential);
  const clientKubeconfig: ControlPlane['clientKubeconfig'] = async (file, user, groups) =>
    kubeconfig(file, await ca.client(user, groups));
  const stopApiServer = async (): Promise<void> => {
    if (running !== undefined) await supervisor.end(running, API_SERVER_GRACE_MS);
    running = undefined;
  };
  const startApiServer = async (): Promise<void> => {
    running ??= await launch(port);
  };
  return {
    server,
    port,
    etcdPort: etcd.port,
    etcdDir: etcd.dir,
    ca,
    caFile,
    caKeyFile: join(pki, 'ca.key'),
    adminKubeconfig: kubeconfig('admin', adminCertificate),
    serviceKubeconfig: await clientKubeconfig('service', options.serviceUser ?? 'kubelet-bootstrap'),
    admin,
    nodeKubeconfig: (name) => clientKubeconfig(`node-${name}`, `system:node:${name}`, ['system:nodes']),
    clientKubeconfig,
    tokenKubeconfig: (file, token) => kubeconfig(file, { token }),
    stopApiServer,
    startApiServer,
    restartApiServer: async () => {
      await stopApiServer();
      await startApiServer();
    },
  };
}

/** Open watches would let a polite end take a minute. */
const API_SERVER_GRACE_MS = 2_000;

interface Etcd {
  readonly port: number;
  readonly dir: string;
}

async function startEtcd(supervisor: Supervisor, binary: string): Promise<Etcd> {
  const dir = supervisor.folder('etcd');
  const ca = await createCa('local etcd CA');
  const client = await ca.client('kube-apiserver');
  const caFile = join(dir, 'ca.crt');
  writeFileSync(caFile, ca.certificate);
  writePair(dir, 'server', await ca.server('etcd', LOOPBACK_HOSTS));
  writePair(dir, 'client', client);
  const tls = ['cert', 'key'].flatMap((kind) => {
    const file = join(dir, kind === 'cert' ? 'server.crt' : 'server.key');
    return [`--${kind}-file=${file}`, `--peer-${kind}-file=${file}`];
  });
  const port = await withFreePorts(2, async ([port = 0, peerPort = 0]) => {
    const url = `https://127.0.0.1:${port}`;
    const peerUrl = `https://127.0.0.1:${peerPort}`;
    const started = supervisor.start({
      name: 'etcd',
      command: binary,
      args: [
        `--data-dir=${join(dir, 'data')}`,
        `--listen-client-urls=${url}`,
        `--advertise-client-urls=${url}`,
        `--listen-peer-urls=${peerUrl}`,
        `--initial-advertise-peer-urls=${peerUrl}`,
        `--initial-cluster=default=${peerUrl}`,
        '--client-cert-auth',
        '--peer-client-cert-auth',
        `--trusted-ca-file=${caFile}`,
        `--peer-trusted-ca-file=${caFile}`,
        ...tls,
        '--unsafe-no-fsync',
        '--log-level=warn',
      ],
    });
    const probe = new HttpsClient({ server: url, ca: ca.certificate, ...client });
    try {
      await supervisor.ready(started, async () => (await probe.send('GET', '/health')).status === 200);
    } catch (error) {
      await supervisor.end(started, 0);
      throw error;
    } finally {
      await probe.close();
    }
    return port;
  });
  return { port, dir };
}

function apiServerFlags(pki: string, etcd: Etcd, port: number): string[] {
  const file = (name: string): string => join(pki, name);
  return [
    `--etcd-servers=https://127.0.0.1:${etcd.port}`,
    `--etcd-cafile=${join(etcd.dir, 'ca.crt')}`,
    `--etcd-certfile=${join(etcd.dir, 'client.crt')}`,
    `--etcd-keyfile=${join(etcd.dir, 'client.key')}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    `--tls-cert-file=${file('apiserver.crt')}`,
    `--tls-private-key-file=${file('apiserver.key')}`,
    `--client-ca-file=${file('ca.crt')}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--enable-bootstrap-token-auth=true',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${file('service-accounts.crt')}`,
    `--service-account-signing-key-file=${file('service-accounts.key')}`,
    '--service-cluster-ip-range=10.96.0.0/24',
    // A loopback address is no endpoint that the reconciler would accept.
    '--endpoint-reconciler-type=none',
    '--profiling=false',
  ];
}
