/** The servers that all contestants of one bench run against, and what the processes on them cost. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { CSRS } from '../../test/support/crowd.ts';
import { type ControlPlane, startControlPlane } from '../servers/control-plane.ts';
import { findBinaries } from '../servers/binaries.ts';
import { findGoProgram } from '../servers/go-program.ts';
import type { HttpsClient } from '../servers/https-client.ts';
import type { ServerProcess } from '../servers/process.ts';
import { newSupervisor } from '../servers/servers.ts';
import { sampleOf } from '../servers/service.ts';
import { accountKubeconfig, applyManifests } from '../servers/service-account.ts';
import type { Supervisor } from '../servers/supervisor.ts';
import { etcdClient, removeAll, store } from './etcd.ts';

export interface Stage {
  readonly supervisor: Supervisor;
  readonly plane: ControlPlane;
  readonly managerBinary: string;
  readonly approverBinary: string;
  /** With the service account, and the rights, that the manifests give the service. */
  readonly serviceKubeconfig: string;
  /** CPU seconds of kube-apiserver so far. */
  apiServerCpu(): number;
  /** Calls that kube-apiserver has answered for access reviews, CSRs and Events; watches not counted. */
  apiCalls(): Promise<number>;
  /** Puts objects into etcd past the API server, as it would: many, and as old as they say. */
  store(objects: Iterable<readonly [key: string, value: Buffer]>): Promise<void>;
  /** Removes every CSR, and what the service remembers of nodes. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts etcd and kube-apiserver with every bootstrap binding. */
export async function openStage(write: (line: string) => void): Promise<Stage> {
  let processes: readonly ServerProcess[] = [];
  const supervisor = newSupervisor({ write, onChange: (all) => (processes = all) });
  try {
    const binaries = await findBinaries(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'], { write });
    const plane = await startControlPlane(supervisor, {
      etcd: binaries.etcd,
      kubeApiserver: binaries['kube-apiserver'],
    });
    const etcd = etcdClient(plane);
    supervisor.onStop(() => etcd.close());
    return {
      supervisor,
      plane,
      managerBinary: binaries['kube-controller-manager'],
      approverBinary: await findGoProgram({
        name: 'serving-approver',
        modules: ['../go.mod', '../go.sum'],
        usually: 'seconds, for its libraries are those of the servers',
      }),
      serviceKubeconfig: await ownKubeconfig(plane, binaries.kubectl),
      apiServerCpu: () => cpuSeconds(processes.find(({ name }) => name === 'kube-apiserver')?.pid ?? 0),
      apiCalls: async () => {
        const metrics = String(await plane.admin.must('GET', '/metrics'));
        const calls = metrics.split('\n').filter((line) => !line.includes('verb="WATCH"'));
        const of = (resource: string): number => sampleOf(calls.join('\n'), 'apiserver_request_total', { resource });
        return of('subjectaccessreviews') + of('certificatesigningrequests') + of('events');
      },
      store: (objects) => store(etcd, objects),
      clear: async () => {
        for (const prefix of ['certificatesigningrequests/', 'configmaps/kubelet-bootstrap/']) {
          await removeAll(etcd, prefix);
        }
        await untilGone(plane.admin);
      },
      stop: () => supervisor.stop(),
    };
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}

/** kube-controller-manager's controllers have tokens of service accounts, too: a certificate is verified at each call. */
async function ownKubeconfig(plane: ControlPlane, binary: string): Promise<string> {
  const kubectl = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(binary, ['--kubeconfig', plane.adminKubeconfig, ...args])).stdout;
  await applyManifests(kubectl);
  return accountKubeconfig(plane, kubectl, 'service-account');
}

/** The API server lists from what its watch on etcd has told it. */
async function untilGone(admin: HttpsClient): Promise<void> {
  for (;;) {
    const { items } = (await admin.must('GET', `${CSRS}?limit=1&resourceVersion=0`)) as { items: unknown[] };
    if (items.length === 0) return;
    await sleep(50);
  }
}

/** Linux counts them in hundredths (sysconf(_SC_CLK_TCK)). */
const TICKS_PER_SECOND = 100;

/** User and system time of a process so far (`/proc/PID/stat`, proc(5)); 0 when it is gone. */
export function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}
