import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBinaries } from './binaries.ts';
import { startControlPlane } from './control-plane.ts';
import type { ControlPlane, ControlPlaneOptions } from './control-plane.ts';
import { startKubelet } from './kubelet.ts';
import type { Kubelet, KubeletOptions } from './kubelet.ts';
import { startOpenBao } from './openbao.ts';
import type { OpenBao } from './openbao.ts';
import { Supervisor } from './supervisor.ts';
import type { SupervisorOptions } from './supervisor.ts';

export interface ServersOptions
  extends
    Partial<SupervisorOptions>,
    Partial<Pick<ControlPlaneOptions, 'bindings' | 'serviceUser' | 'apiServerFlags'>> {}

/** A running etcd, kube-apiserver and OpenBao, each with a CA of its own, on free ports of loopback. */
export interface Servers {
  /** Everything lies below it: `logs/`, `kubeconfigs/`, `cluster/` (the CA pair), `openbao/` (CA and root token). */
  readonly dir: string;
  readonly controlPlane: ControlPlane;
  readonly openBao: OpenBao;
  /** Path of a kubectl that fits. */
  readonly kubectl: string;
  /** Starts a real kubelet with a containerd of its own; see `canRunKubelet`. Ends with the servers. */
  startKubelet(options: Pick<KubeletOptions, 'name' | 'bootstrapKubeconfig'>): Promise<Kubelet>;
  /** Ends every process; removes `dir` when it was not given. */
  stop(): Promise<void>;
}

/**
 * A supervisor for one start. Without options: a new folder in the system's temporary directory that goes at the end,
 * servers that die with this process, progress on standard error.
 */
export function newSupervisor(options: Partial<SupervisorOptions> = {}): Supervisor {
  return new Supervisor({
    lifetime: 'parent',
    write: (line) => process.stderr.write(`${line}\n`),
    ...options,
    dir: options.dir ?? mkdtempSync(join(tmpdir(), 'kubelet-bootstrap-')),
    removeDir: options.removeDir ?? options.dir === undefined,
  });
}

/**
 * Starts all servers. Binaries are built first when they are missing (`binaries.ts`); after that it takes about 3 s.
 * When one does not come up, the others are ended and a StartError with the tail of its log is thrown.
 */
export async function startServers(options: ServersOptions = {}): Promise<Servers> {
  const supervisor = newSupervisor(options);
  const find = { write: supervisor.write, signal: supervisor.signal };
  try {
    const binaries = await findBinaries(['etcd', 'kube-apiserver', 'kubectl', 'bao'], find);
    const [controlPlane, openBao] = await bothOrNone([
      startControlPlane(supervisor, {
        etcd: binaries.etcd,
        kubeApiserver: binaries['kube-apiserver'],
        bindings: options.bindings,
        serviceUser: options.serviceUser,
        apiServerFlags: options.apiServerFlags,
      }),
      startOpenBao(supervisor, binaries.bao),
    ]);
    return {
      dir: supervisor.dir,
      controlPlane,
      openBao,
      kubectl: binaries.kubectl,
      startKubelet: async (kubelet) => {
        const { kubelet: binary } = await findBinaries(['kubelet'], find);
        return startKubelet(supervisor, { ...kubelet, binary, clusterCaFile: controlPlane.caFile });
      },
      stop: () => supervisor.stop(),
    };
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}

/** Unlike Promise.all, does not return while the other still starts processes that nobody would end. */
async function bothOrNone<A, B>(starts: readonly [Promise<A>, Promise<B>]): Promise<readonly [A, B]> {
  await Promise.allSettled(starts);
  return Promise.all(starts);
}
