/** A cluster of a suite's own with a real kube-controller-manager: beside the service others would see its decisions. */
import { execFile } from 'node:child_process';
import { after, before } from 'mocha';
import { promisify } from 'node:util';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { type ControlPlane, startControlPlane } from '../../scripts/servers/control-plane.ts';
import { type SigningFiles, startControllerManager } from '../../scripts/servers/controller-manager.ts';
import type { ServerProcess } from '../../scripts/servers/process.ts';
import { newSupervisor } from '../../scripts/servers/servers.ts';
import type { Supervisor } from '../../scripts/servers/supervisor.ts';
import { requireServers } from './servers.ts';

export interface ManagedCluster {
  readonly supervisor: Supervisor;
  readonly plane: ControlPlane;
  /** As the admin. */
  kubectl(...args: string[]): Promise<string>;
  /** Ends kube-controller-manager and starts it with these controllers and files. */
  runManager(controllers: string, signing: SigningFiles): Promise<void>;
}

/** With every bootstrap binding, and kube-controller-manager approving and signing. */
export function requireManagedCluster(): () => ManagedCluster {
  requireServers(); // So that no build falls into the times of the tests, and where none can run they are skipped.
  let supervisor: Supervisor | undefined;
  let cluster: ManagedCluster | undefined;
  before('start a cluster with kube-controller-manager', async function () {
    this.timeout(60_000);
    supervisor = newSupervisor();
    cluster = await start(supervisor);
  });
  after('end the cluster', async function () {
    this.timeout(60_000);
    await supervisor?.stop();
  });
  return () => {
    if (cluster === undefined) throw new Error('the cluster is only there in hooks and tests');
    return cluster;
  };
}

async function start(supervisor: Supervisor): Promise<ManagedCluster> {
  const binaries = await findBinaries(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl']);
  const plane = await startControlPlane(supervisor, {
    etcd: binaries.etcd,
    kubeApiserver: binaries['kube-apiserver'],
  });
  let manager: ServerProcess | undefined;
  const runManager = async (controllers: string, signing: SigningFiles): Promise<void> => {
    if (manager !== undefined) await supervisor.end(manager, 5_000);
    const binary = binaries['kube-controller-manager'];
    manager = await startControllerManager(supervisor, { binary, controlPlane: plane, controllers, signing });
  };
  await runManager('*', 'all');
  const kubectl = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(binaries.kubectl, ['--kubeconfig', plane.adminKubeconfig, ...args])).stdout;
  return { supervisor, plane, kubectl, runManager };
}
