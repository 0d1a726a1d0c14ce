/** The node of the demo: a real kubelet, or a stand-in where none can run. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { messageOf } from '../../src/errors.ts';
import { KubeletStandIn } from '../../test/support/kubelet-stand-in.ts';
import { findBinaries } from '../servers/binaries.ts';
import { canRunKubelet } from '../servers/kubelet.ts';
import type { Servers } from '../servers/servers.ts';
import type { Supervisor } from '../servers/supervisor.ts';
import { startTimeOf } from '../servers/process.ts';

const run = promisify(execFile);

/** A node that bootstraps, serves and renews by itself. */
export interface DemoNode {
  readonly what: string;
  /** Current client certificate, PEM; undefined until there is one. */
  clientCertificate(): string | undefined;
  servingCertificate(): string | undefined;
  /** The same for as long as it was not restarted. */
  identity(): string;
}

/** Starts it; its certificates come by themselves. */
export async function startNode(
  servers: Servers,
  supervisor: Supervisor,
  options: { readonly name: string; readonly address: string; readonly bootstrapKubeconfig: string },
): Promise<DemoNode> {
  const reason = canRunKubelet();
  const { name, bootstrapKubeconfig } = options;
  if (reason === undefined) {
    const { kubelet: binary } = await findBinaries(['kubelet']);
    // `Kubernetes v1.37.2`
    const [, version = ''] = (await run(binary, ['--version'])).stdout.trim().split(' ');
    const kubelet = await servers.startKubelet({ name, bootstrapKubeconfig });
    return {
      what: `kubelet ${version} (pid ${kubelet.pid}) with a containerd of its own`,
      clientCertificate: () => readOr(kubelet.clientPem),
      servingCertificate: () => readOr(kubelet.servingPem),
      identity: () => `${kubelet.pid} ${startTimeOf(kubelet.pid)}`,
    };
  }
  const dir = supervisor.folder(`stand-in-${name}`);
  const standIn = new KubeletStandIn({ name, ips: [options.address], bootstrapKubeconfig, dir });
  let failure: Error | undefined;
  const fail = (error: unknown): void => {
    failure = error instanceof Error ? error : new Error(messageOf(error));
  };
  const live = async (): Promise<void> => {
    await standIn.bootstrap();
    await standIn.register();
    await standIn.requestServing();
    setTimeout(() => void standIn.renew().catch(fail), 40_000).unref();
  };
  live().catch(fail);
  const read = (file: string): string | undefined => {
    if (failure !== undefined) throw failure;
    return readOr(`${dir}/${file}`);
  };
  return {
    what: `a kubelet stand-in that speaks the same protocol, because ${reason}`,
    clientCertificate: () => read('kubelet-client-current.pem'),
    servingCertificate: () => read('kubelet-server-current.pem'),
    identity: () => 'stand-in',
  };
}

function readOr(path: string): string | undefined {
  try {
    return /-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----/.exec(readFileSync(path, 'utf8'))?.[0];
  } catch {
    return undefined;
  }
}
