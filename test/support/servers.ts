/**
 * Real servers for integration tests: started on first use, shared by all test files of one mocha process, ended by a
 * root hook. Tests keep apart by the names they use; one that stops, seals or restarts a server puts it back.
 */
import { after, before } from 'mocha';
import { findBinaries, MissingToolError } from '../../scripts/servers/binaries.ts';
import { startControlPlane } from '../../scripts/servers/control-plane.ts';
import type { ControlPlane } from '../../scripts/servers/control-plane.ts';
import { canRunKubelet, startKubelet } from '../../scripts/servers/kubelet.ts';
import type { Kubelet, KubeletOptions } from '../../scripts/servers/kubelet.ts';
import { startOpenBao } from '../../scripts/servers/openbao.ts';
import type { OpenBao } from '../../scripts/servers/openbao.ts';
import { newSupervisor } from '../../scripts/servers/servers.ts';
import type { Supervisor } from '../../scripts/servers/supervisor.ts';
import { skipFor } from './skip.ts';

/** The first start may have to build the binaries. */
const FIRST_START_MS = 20 * 60_000;

/** The one instance of this mocha process; only a root hook can end it, so it has to live at module level. */
const shared: {
  supervisor?: Supervisor | undefined;
  openBao?: Promise<OpenBao> | undefined;
  controlPlane?: Promise<ControlPlane> | undefined;
} = {};

after('end the shared servers', async function () {
  this.timeout(60_000);
  await Promise.allSettled([shared.openBao, shared.controlPlane]);
  await shared.supervisor?.stop();
  shared.supervisor = undefined;
  shared.openBao = undefined;
  shared.controlPlane = undefined;
});

/** Gives the OpenBao that all tests share. Call it in a `describe`, and the answer in hooks and tests. */
export function requireOpenBao(): () => OpenBao {
  return required(() => (shared.openBao ??= sharedOpenBao()));
}

/** Gives the etcd and kube-apiserver that all tests share, with every bootstrap binding. */
export function requireControlPlane(): () => ControlPlane {
  return required(() => (shared.controlPlane ??= sharedControlPlane()));
}

/** Both. */
export function requireServers(): () => { readonly controlPlane: ControlPlane; readonly openBao: OpenBao } {
  const controlPlane = requireControlPlane();
  const openBao = requireOpenBao();
  return () => ({ controlPlane: controlPlane(), openBao: openBao() });
}

/** Starts real kubelets that bootstrap against the shared API server; skips the suite where none can run. */
export function requireKubelet(): (options: Pick<KubeletOptions, 'name' | 'bootstrapKubeconfig'>) => Promise<Kubelet> {
  const controlPlane = requireControlPlane();
  before('a kubelet can run here', function () {
    skipFor(this, canRunKubelet());
  });
  return async (options) => {
    const { kubelet: binary } = await findBinaries(['kubelet']);
    return startKubelet(supervisor(), { ...options, binary, clusterCaFile: controlPlane().caFile });
  };
}

function required<T>(start: () => Promise<T>): () => T {
  let value: T | undefined;
  before('start the servers', async function () {
    this.timeout(FIRST_START_MS);
    try {
      value = await start();
    } catch (error) {
      if (!(error instanceof MissingToolError)) throw error;
      skipFor(this, error.message);
    }
  });
  return () => {
    if (value === undefined) throw new Error('the servers are only there in hooks and tests');
    return value;
  };
}

function supervisor(): Supervisor {
  return (shared.supervisor ??= newSupervisor());
}

async function sharedOpenBao(): Promise<OpenBao> {
  const { bao } = await findBinaries(['bao']);
  return startOpenBao(supervisor(), bao);
}

async function sharedControlPlane(): Promise<ControlPlane> {
  const binaries = await findBinaries(['etcd', 'kube-apiserver']);
  return startControlPlane(supervisor(), { etcd: binaries.etcd, kubeApiserver: binaries['kube-apiserver'] });
}
