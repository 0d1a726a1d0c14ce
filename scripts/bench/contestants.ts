/** Who approves and signs in the bench: this service, kube-controller-manager, and a bare loop that only writes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { bundle } from '../bundle.ts';
import { startControllerManager } from '../servers/controller-manager.ts';
import { configFor, startService } from '../servers/service.ts';
import type { Stage } from './stage.ts';

export interface Running {
  readonly pid: number;
  stop(): Promise<void>;
}

export interface Contestant {
  readonly name: string;
  /** Resolves when its process runs; it may have begun to decide by then. */
  start(stage: Stage): Promise<Running>;
}

const ROOT = resolve(import.meta.dirname, '..', '..');
const MANAGER = 'csrapproving,csrsigning,csrcleaner';

/** What a bundle of the service is needed for; `close` removes it. */
export interface Contestants {
  readonly ours: Contestant;
  /** kube-controller-manager without its client's limit of 20 requests a second. */
  readonly manager: Contestant;
  /** As it is shipped. */
  readonly managerAsShipped: Contestant;
  /** Two writes for each CSR with a certificate that was made before, and no check: what the API server can take. */
  readonly ceiling: Contestant;
  close(): void;
}

/** Bundles the service as the image has it. CPU profiles of it go to `profiles`, where that is given. */
export async function contestants(profiles: string | undefined): Promise<Contestants> {
  const folder = mkdtempSync(join(tmpdir(), 'kubelet-bootstrap-bench-'));
  await bundle(folder);
  let count = 0;
  const manager = (name: string, flags: readonly string[]): Contestant => ({
    name,
    start: async ({ supervisor, plane, managerBinary }) => {
      const options = { binary: managerBinary, controlPlane: plane, controllers: MANAGER, flags } as const;
      const started = await startControllerManager(supervisor, { ...options, signing: 'all' });
      return { pid: started.pid, stop: () => supervisor.end(started, 5_000) };
    },
  });
  return {
    ours: {
      name: 'kubelet-bootstrap',
      start: async ({ supervisor, plane }) => {
        count += 1;
        const config = configFor(
          { controlPlane: plane },
          { pools: { bench: { nodeNames: '[a-z]+[0-9]*-[0-9]+' } }, ops: { logLevel: 'info' } },
        );
        const options = {
          name: `bench-${count}`,
          kubeconfig: plane.adminKubeconfig,
          config,
          file: join(folder, 'kubelet-bootstrap.mjs'),
          nodeFlags: [
            ...deploymentFlags(),
            ...(profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]),
          ],
        };
        const service = await startService(supervisor, options, false);
        return { pid: service.process.pid, stop: () => service.stop() };
      },
    },
    manager: manager('kube-controller-manager', ['--kube-api-qps=10000', '--kube-api-burst=10000']),
    managerAsShipped: manager('kube-controller-manager as shipped', []),
    ceiling: {
      name: 'bare writes',
      start: ({ supervisor, plane }) => {
        count += 1;
        const settings = join(folder, 'ceiling.json');
        const { adminKubeconfig: kubeconfig } = plane;
        writeFileSync(settings, JSON.stringify({ kubeconfig, certificate: plane.ca.certificate }));
        const started = supervisor.start({
          name: `ceiling-${count}`,
          command: process.execPath,
          args: [join(import.meta.dirname, 'ceiling.ts'), settings],
        });
        return Promise.resolve({ pid: started.pid, stop: () => supervisor.end(started, 2_000) });
      },
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The flags that the Deployment starts Node with. */
function deploymentFlags(): string[] {
  const deployment = parse(readFileSync(join(ROOT, 'manifests', 'base', '40-deployment.yaml'), 'utf8')) as {
    spec: { template: { spec: { containers: { env: { name: string; value: string }[] }[] } } };
  };
  const env = deployment.spec.template.spec.containers[0]?.env ?? [];
  return env.find(({ name }) => name === 'NODE_OPTIONS')?.value.split(' ') ?? [];
}
