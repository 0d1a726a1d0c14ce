/** The service outside a cluster with no more rights than it has in one. */
import { join } from 'node:path';
import type { ControlPlane } from './control-plane.ts';

/** kubectl as an admin; answers what it writes. */
type Kubectl = (...args: string[]) => Promise<string>;

const BASE = join(import.meta.dirname, '..', '..', 'manifests', 'base');

/** Gives the service its rights, as an admin does. */
export async function applyManifests(kubectl: Kubectl): Promise<void> {
  await kubectl('apply', '--server-side', '-k', BASE);
}

/** Path of a kubeconfig, of this name, with a token of the service account that the manifests made; good for a day. */
export async function accountKubeconfig(
  plane: Pick<ControlPlane, 'tokenKubeconfig'>,
  kubectl: Kubectl,
  file: string,
): Promise<string> {
  const token = await kubectl('create', 'token', 'kubelet-bootstrap', '-n', 'kube-system', '--duration=24h');
  return plane.tokenKubeconfig(file, token.trim());
}
