/** The servers that all contestants of one bench run against, and what the processes on them cost. */
import { readFileSync } from 'node:fs';
import { type ControlPlane } from '../servers/control-plane.ts';
import { findBinaries } from '../servers/binaries.ts';
import { startControlPlane } from '../servers/control-plane.ts';
import type { ServerProcess } from '../servers/process.ts';
import { newSupervisor } from '../servers/servers.ts';
import type { Supervisor } from '../servers/supervisor.ts';

export interface Stage {
  readonly supervisor: Supervisor;
  readonly plane: ControlPlane;
  readonly managerBinary: string;
  /** CPU seconds of kube-apiserver so far. */
  apiServerCpu(): number;
  stop(): Promise<void>;
}

/** Starts etcd and kube-apiserver with every bootstrap binding. */
export async function openStage(write: (line: string) => void): Promise<Stage> {
  let processes: readonly ServerProcess[] = [];
  const supervisor = newSupervisor({ write, onChange: (all) => (processes = all) });
  try {
    const binaries = await findBinaries(['etcd', 'kube-apiserver', 'kube-controller-manager'], { write });
    const plane = await startControlPlane(supervisor, {
      etcd: binaries.etcd,
      kubeApiserver: binaries['kube-apiserver'],
    });
    return {
      supervisor,
      plane,
      managerBinary: binaries['kube-controller-manager'],
      apiServerCpu: () => cpuSeconds(processes.find(({ name }) => name === 'kube-apiserver')?.pid ?? 0),
      stop: () => supervisor.stop(),
    };
  } catch (error) {
    await supervisor.stop();
    throw error;
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
