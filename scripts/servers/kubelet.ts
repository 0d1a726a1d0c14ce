import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { candidates } from './binaries.ts';
import { runCommand } from './long-step.ts';
import { freePorts } from './ports.ts';
import { logOf } from './process.ts';
import type { ServerProcess } from './process.ts';
import type { Supervisor } from './supervisor.ts';
import { tracesOfKubelet, undo } from './traces.ts';

export interface KubeletOptions {
  readonly binary: string;
  /** Node name. */
  readonly name: string;
  readonly bootstrapKubeconfig: string;
  /** CA of the clients that may call the kubelet. */
  readonly clusterCaFile: string;
}

/** A real kubelet with a containerd of its own. It asks for a client certificate, then for a serving certificate. */
export interface Kubelet {
  readonly name: string;
  readonly pid: number;
  /** The address that it registers with and wants in its serving certificate. */
  readonly nodeIp: string;
  readonly port: number;
  readonly logFile: string;
  /** Written by the kubelet when it has its client certificate. */
  readonly kubeconfig: string;
  /** PEM of key and certificate, replaced by each renewal: links to the current pair. */
  readonly clientPem: string;
  readonly servingPem: string;
  /** Ends the kubelet and its containerd, and puts back what they changed on the host (`traces.ts`). */
  stop(): Promise<void>;
}

/** Why a kubelet cannot run here, in words; undefined when it can. */
export function canRunKubelet(env: NodeJS.ProcessEnv = process.env): string | undefined {
  if (process.platform !== 'linux') return 'a kubelet runs on Linux only';
  if (process.getuid?.() !== 0) return 'a kubelet needs root';
  if (existsSync('/var/lib/kubelet/pki')) return 'this host is a node of a cluster: /var/lib/kubelet/pki is there';
  const missing = ['containerd', 'runc', 'mount', 'umount'].filter(
    (name) => candidates(name, withSbin(env)).length === 0,
  );
  if (missing.length > 0) return `a kubelet needs ${missing.join(' and ')} on the PATH`;
  const mayMount = spawnSync('unshare', ['--mount', 'true'], { stdio: 'ignore' }).status === 0;
  return mayMount ? undefined : 'a kubelet needs the right to mount (CAP_SYS_ADMIN)';
}

/** Debian keeps runc in /usr/sbin, which is not on everyone's PATH. */
function withSbin(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, PATH: `${env['PATH'] ?? ''}:/usr/sbin:/sbin` };
}

/**
 * Starts containerd and a kubelet. Resolves when the kubelet runs; its certificates come when they are approved. Started
 * again under the same name, it goes on with the certificates it has.
 */
export async function startKubelet(supervisor: Supervisor, options: KubeletOptions): Promise<Kubelet> {
  const reason = canRunKubelet();
  if (reason !== undefined) throw new Error(reason);
  const env = withSbin(process.env);
  const dir = supervisor.folder(`kubelet-${options.name}`);
  const socket = join(dir, 'containerd.sock');
  // `.ttrpc` is put behind it, and the address of a Unix socket holds 107 characters (unix(7)).
  if (socket.length > 100) throw new Error(`${socket} is too long for a socket: use a shorter folder`);
  const nodeIp = firstAddress() ?? (await addDummyAddress(supervisor));

  const traces = tracesOfKubelet(dir, socket);
  supervisor.undoAtEnd(traces);
  const containerd = await startContainerd(supervisor, dir, socket, env, options.name);
  const [port = 0] = await freePorts(1);
  writeFileSync(join(dir, 'config.yaml'), stringify(configOf(dir, socket, port, options.clusterCaFile)));
  const kubelet = supervisor.start({
    name: `kubelet-${options.name}`,
    command: options.binary,
    env,
    args: [
      `--config=${join(dir, 'config.yaml')}`,
      `--bootstrap-kubeconfig=${options.bootstrapKubeconfig}`,
      `--kubeconfig=${join(dir, 'kubeconfig')}`,
      `--cert-dir=${join(dir, 'pki')}`,
      `--root-dir=${join(dir, 'root')}`,
      `--hostname-override=${options.name}`,
      `--node-ip=${nodeIp}`,
    ],
  });
  // Its first line comes after the flags and the config were read.
  await supervisor.ready(kubelet, async () => logOf(kubelet).includes('Kubelet version'));
  return {
    name: options.name,
    pid: kubelet.pid,
    nodeIp,
    port,
    logFile: kubelet.logFile,
    kubeconfig: join(dir, 'kubeconfig'),
    clientPem: join(dir, 'pki', 'kubelet-client-current.pem'),
    servingPem: join(dir, 'pki', 'kubelet-server-current.pem'),
    stop: async () => {
      await supervisor.end(kubelet);
      await supervisor.end(containerd);
      for (const trace of traces.toReversed()) undo(trace);
    },
  };
}

async function startContainerd(
  supervisor: Supervisor,
  dir: string,
  socket: string,
  env: NodeJS.ProcessEnv,
  name: string,
): Promise<ServerProcess> {
  for (const folder of ['containerd', 'cni/bin', 'cni/conf']) mkdirSync(join(dir, folder), { recursive: true });
  const config = join(dir, 'containerd', 'config.toml');
  // JSON strings are TOML strings.
  const text = (path: string): string => JSON.stringify(join(dir, path));
  writeFileSync(
    config,
    `version = 2
root = ${text('containerd/root')}
state = ${text('containerd/state')}
[grpc]
address = ${JSON.stringify(socket)}
[plugins."io.containerd.internal.v1.opt"]
path = ${text('containerd/opt')}
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = ${text('cni/bin')}
conf_dir = ${text('cni/conf')}
`,
  );
  const started = supervisor.start({
    name: `containerd-${name}`,
    command: 'containerd',
    args: ['--config', config],
    env,
  });
  await supervisor.ready(started, async () => logOf(started).includes('containerd successfully booted'));
  return started;
}

/** What a kubelet needs to run inside a container or on a host that others use, and to ask for both certificates. */
function configOf(dir: string, socket: string, port: number, clusterCaFile: string): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: '127.0.0.1',
    port,
    readOnlyPort: 0,
    healthzPort: 0,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: clusterCaFile },
    },
    authorization: { mode: 'Webhook' },
    rotateCertificates: true,
    serverTLSBootstrap: true,
    containerRuntimeEndpoint: `unix://${socket}`,
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    makeIPTablesUtilChains: false,
    volumePluginDir: join(dir, 'volume-plugins'),
    podLogsDir: join(dir, 'pods'),
  };
}

/** The host's first address that is neither loopback nor link-local, IPv4 before IPv6. */
export function firstAddress(interfaces = networkInterfaces()): string | undefined {
  const addresses = Object.values(interfaces)
    .flatMap((each) => each ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:') && !address.startsWith('169.254.'))
    .map(({ address }) => address);
  return addresses.find((address) => isIP(address) === 4) ?? addresses[0];
}

const DUMMY_ADDRESS = '198.18.0.10';

/** For a host without any: a dummy interface with an address of the range for benchmarks (RFC 2544). Goes at the end. */
async function addDummyAddress(supervisor: Supervisor): Promise<string> {
  const name = `kb${process.pid}`;
  await runCommand({ command: 'ip', args: ['link', 'add', name, 'type', 'dummy'] });
  supervisor.undoAtEnd([{ kind: 'interface', name }]);
  await runCommand({ command: 'ip', args: ['addr', 'add', `${DUMMY_ADDRESS}/32`, 'dev', name] });
  await runCommand({ command: 'ip', args: ['link', 'set', name, 'up'] });
  return DUMMY_ADDRESS;
}
