/** Who approves and signs in the bench: this service, kube-controller-manager, and a bare loop that only writes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from '../bundle.ts';
import { startControllerManager } from '../servers/controller-manager.ts';
import { deploymentEnv, imageFlags } from '../servers/deployment.ts';
import { type ServerProcess, signalProcess } from '../servers/process.ts';
import { configFor, startService } from '../servers/service.ts';
import type { Supervisor } from '../servers/supervisor.ts';
import type { Stage } from './stage.ts';

export interface Running {
  readonly pids: readonly number[];
  /** Resolves when it says that it is ready; kube-controller-manager says so before it has read anything. */
  ready(): Promise<void>;
  /** Lets it do nothing until `resume`, while another has its turn. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

export interface Contestant {
  readonly name: string;
  /** Resolves when its process runs; it may have begun to decide by then. */
  start(stage: Stage, changes?: Changes): Promise<Running>;
}

const MANAGER = 'csrapproving,csrsigning,csrcleaner';

/** What a bundle of the service is needed for; `close` removes it. */
export interface Contestants {
  readonly ours: Contestant;
  /** The same with a CPU profile, which makes it slower. */
  readonly profiled: Contestant;
  /** Where that is written. */
  readonly profiles: string;
  /** kube-controller-manager without its client's limit of 20 requests a second. */
  readonly manager: Contestant;
  /** As it is shipped. */
  readonly managerAsShipped: Contestant;
  /** With an approver of serving CSRs beside it, which it leaves to others: `scripts/servers/serving-approver`. */
  readonly managerWithApprover: Contestant;
  /** Both as they are shipped: one worker, and the limit of kube-controller-manager's client. */
  readonly managerAsShippedWithApprover: Contestant;
  /** Without that limit, beside an approver that is wider than such operators are shipped. */
  readonly managerWithFastApprover: Contestant;
  /** Two writes for each CSR with a certificate that was made before, and no check: what the API server can take. */
  readonly ceiling: Contestant;
  close(): void;
}

/** Changes of the service's config that a case needs. */
export type Changes = Readonly<Record<string, unknown>>;

/** Bundles the service as the image has it. */
export async function contestants(): Promise<Contestants> {
  const folder = mkdtempSync(join(tmpdir(), 'kubelet-bootstrap-bench-'));
  await bundle(folder);
  let count = 0;
  const controls = (supervisor: Supervisor, all: readonly ServerProcess[]): Omit<Running, 'ready'> => ({
    pids: all.map(({ pid }) => pid),
    pause: () => all.forEach((each) => signalProcess(each, 'SIGSTOP')),
    resume: () => all.forEach((each) => signalProcess(each, 'SIGCONT')),
    stop: async () => void (await Promise.all(all.map((each) => supervisor.end(each, 5_000)))),
  });
  const manager = (name: string, flags: readonly string[], approvers = 0): Contestant => ({
    name,
    start: async ({ supervisor, plane, managerBinary, approverBinary, serviceKubeconfig }) => {
      count += 1;
      const options = { binary: managerBinary, controlPlane: plane, controllers: MANAGER, flags } as const;
      const all = [await startControllerManager(supervisor, { ...options, signing: 'all' })];
      // Not before the signer runs: what was approved by then would be no work of theirs together.
      if (approvers > 0) {
        const args = ['--kubeconfig', serviceKubeconfig, '--workers', String(approvers)];
        all.push(supervisor.start({ name: `serving-approver-${count}`, command: approverBinary, args }));
      }
      return { ...controls(supervisor, all), ready: () => Promise.resolve() };
    },
  });
  const unlimited = ['--kube-api-qps=10000', '--kube-api-burst=10000'];
  const service = (nodeFlags: readonly string[]): Contestant => ({
    name: 'kubelet-bootstrap',
    start: async ({ supervisor, plane, serviceKubeconfig: kubeconfig }, changes = {}) => {
      count += 1;
      const pools = { bench: { nodeNames: '[a-z]+[0-9]*-[0-9]+' } };
      const options = {
        name: `bench-${count}`,
        kubeconfig,
        config: configFor({ controlPlane: plane }, { pools, ops: { logLevel: 'info' }, ...changes }),
        file: join(folder, 'kubelet-bootstrap.mjs'),
        nodeFlags: [...imageFlags(), ...nodeFlags],
        env: deploymentEnv(),
      };
      const started = await startService(supervisor, options, false);
      const isReady = async (): Promise<boolean> => (await started.ops('/readyz')).status === 200;
      return {
        ...controls(supervisor, [started.process]),
        ready: () => supervisor.ready(started.process, isReady, 300_000),
        stop: () => started.stop(),
      };
    },
  });
  const profiles = join(folder, 'profiles');
  return {
    ours: service([]),
    profiled: service(['--cpu-prof', `--cpu-prof-dir=${profiles}`]),
    profiles,
    manager: manager('kube-controller-manager', unlimited),
    managerWithApprover: manager('kube-controller-manager and an approver', unlimited, 1),
    managerWithFastApprover: manager('kube-controller-manager and an approver of 16 workers', unlimited, 16),
    managerAsShipped: manager('kube-controller-manager as shipped', []),
    managerAsShippedWithApprover: manager('kube-controller-manager and an approver as shipped', [], 1),
    ceiling: {
      name: 'bare writes',
      start: ({ supervisor, plane, serviceKubeconfig: kubeconfig }) => {
        count += 1;
        const settings = join(folder, 'ceiling.json');
        writeFileSync(settings, JSON.stringify({ kubeconfig, certificate: plane.ca.certificate }));
        const args = [join(import.meta.dirname, 'ceiling.ts'), settings];
        const started = supervisor.start({ name: `ceiling-${count}`, command: process.execPath, args });
        return Promise.resolve({ ...controls(supervisor, [started]), ready: () => Promise.resolve() });
      },
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
