/** The service as a process of its own, on the shared real servers, for the tests of one `describe`. */
import { after, before } from 'mocha';
import type { ControlPlane } from '../../scripts/servers/control-plane.ts';
import type { OpenBao } from '../../scripts/servers/openbao.ts';
import { newSupervisor } from '../../scripts/servers/servers.ts';
import { configFor, type Service, startService } from '../../scripts/servers/service.ts';
import type { Supervisor } from '../../scripts/servers/supervisor.ts';
import { until } from './crowd.ts';
import { requireServers } from './servers.ts';

export interface Running {
  readonly controlPlane: ControlPlane;
  readonly openBao: OpenBao;
  readonly supervisor: Supervisor;
  /** The one that runs now. */
  service(): Service;
  /** Starts another one with the same config, or a changed one. */
  start(
    changes?: Readonly<Record<string, unknown>>,
    untilReady?: boolean,
    nodeFlags?: readonly string[],
    kubeconfig?: string,
  ): Promise<Service>;
}

/** Waits until the watch of the service has shown it every Node that is there. */
export async function nodesAreKnown({ controlPlane, service }: Running): Promise<void> {
  await until('the service knows every Node', async () => {
    const { items } = (await controlPlane.admin.must('GET', '/api/v1/nodes')) as { items: unknown[] };
    return (await service().metric('kubelet_bootstrap_informer_objects', { informer: 'nodes' })) === items.length;
  });
}

/** Starts the service before the tests, unless `startNow` is false, and ends it after them. */
export function requireService(changes: Readonly<Record<string, unknown>> = {}, startNow = true): () => Running {
  const servers = requireServers();
  let running: Running | undefined;
  before('start the service', async function () {
    this.timeout(60_000);
    const supervisor = newSupervisor();
    const { adminKubeconfig } = servers().controlPlane;
    let current: Service | undefined;
    let count = 0;
    running = {
      ...servers(),
      supervisor,
      service: () => {
        if (current === undefined) throw new Error('no service was started');
        return current;
      },
      start: async (more = {}, untilReady = true, nodeFlags = [], kubeconfig = adminKubeconfig) => {
        count += 1;
        const config = configFor(servers(), { ...changes, ...more });
        const options = { name: `service-${count}`, kubeconfig, config, nodeFlags };
        current = await startService(supervisor, options, untilReady);
        return current;
      },
    };
    if (startNow) await running.start();
  });
  after('end the service', async function () {
    this.timeout(60_000);
    await running?.supervisor.stop();
  });
  return () => {
    if (running === undefined) throw new Error('the service is only there in hooks and tests');
    return running;
  };
}
