import { join } from 'node:path';
import type { ControlPlane } from './control-plane.ts';
import { HttpsClient } from './https-client.ts';
import { LOOPBACK_HOSTS, writePair } from './pki.ts';
import { withFreePorts } from './ports.ts';
import type { ServerProcess } from './process.ts';
import type { Supervisor } from './supervisor.ts';

/** Which files it signs with: for every signer, for every one but the kubelets', or none. */
export type SigningFiles = 'all' | 'allButKubelets' | 'none';

export interface ControllerManagerOptions {
  /** Path of kube-controller-manager. */
  readonly binary: string;
  readonly controlPlane: ControlPlane;
  /** As `--controllers` takes it. */
  readonly controllers: string;
  readonly signing: SigningFiles;
  /** More flags. */
  readonly flags?: readonly string[];
}

/**
 * A real kube-controller-manager as kubeadm sets it up: its own user, controllers with their own service accounts, the
 * cluster CA to sign with. Ready when its controllers run.
 */
export async function startControllerManager(
  supervisor: Supervisor,
  { binary, controlPlane, controllers, signing, flags = [] }: ControllerManagerOptions,
): Promise<ServerProcess> {
  const name = 'kube-controller-manager';
  const dir = supervisor.folder(name);
  const certificateFile = writePair(dir, name, await controlPlane.ca.server(name, LOOPBACK_HOSTS));
  const kubeconfig = await controlPlane.clientKubeconfig(name, `system:${name}`);
  return withFreePorts(1, async ([port = 0]) => {
    const started = supervisor.start({
      name,
      command: binary,
      args: [
        `--kubeconfig=${kubeconfig}`,
        `--authentication-kubeconfig=${kubeconfig}`,
        `--authorization-kubeconfig=${kubeconfig}`,
        '--use-service-account-credentials',
        `--controllers=${controllers}`,
        '--leader-elect=false',
        '--bind-address=127.0.0.1',
        `--secure-port=${port}`,
        `--tls-cert-file=${certificateFile}`,
        `--tls-private-key-file=${join(dir, `${name}.key`)}`,
        `--root-ca-file=${controlPlane.caFile}`,
        ...signingFlags(signing, controlPlane),
        ...flags,
      ],
    });
    const client = new HttpsClient({ server: `https://127.0.0.1:${port}`, ca: controlPlane.ca.certificate });
    try {
      await supervisor.ready(started, async () => (await client.send('GET', '/healthz')).status === 200);
    } catch (error) {
      await supervisor.end(started, 0);
      throw error;
    } finally {
      await client.close();
    }
    return started;
  });
}

/** Flags of single signers and the flag for all exclude each other (upstream `cmd/kube-controller-manager/app`). */
function signingFlags(signing: SigningFiles, { caFile, caKeyFile }: ControlPlane): string[] {
  const pair = (prefix: string): string[] => [`--${prefix}-cert-file=${caFile}`, `--${prefix}-key-file=${caKeyFile}`];
  if (signing === 'none') return [];
  return signing === 'all'
    ? pair('cluster-signing')
    : [...pair('cluster-signing-kube-apiserver-client'), ...pair('cluster-signing-legacy-unknown')];
}
