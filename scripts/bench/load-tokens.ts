/** The bootstrap tokens of the load. */
import PQueue from 'p-queue';
import { tokenClient } from '../../test/support/crowd.ts';
import type { ControlPlane } from '../servers/control-plane.ts';
import { readKubeconfig } from '../servers/kubeconfig.ts';
import type { LoadSettings } from './load-calls.ts';

const LIFETIME_MS = 6 * 3_600_000;
const AT_ONCE = 16;

/** One of the pool `bench`, and one for each of these nodes. */
export async function makeTokens(
  plane: ControlPlane,
  nodes: readonly string[],
): Promise<Pick<LoadSettings, 'poolToken' | 'exactTokens'>> {
  const token = async (binding: Parameters<typeof tokenClient>[1]): Promise<string> => {
    const { client, kubeconfig } = await tokenClient(plane, binding, LIFETIME_MS);
    await client.close();
    return readKubeconfig(kubeconfig).headers?.['authorization']?.replace('Bearer ', '') ?? '';
  };
  const gate = new PQueue({ concurrency: AT_ONCE });
  const exact = await gate.addAll(
    nodes.map((node) => async () => [node, await token({ kind: 'node', node })] as const),
  );
  return { poolToken: await token({ kind: 'pool', pool: 'bench' }), exactTokens: Object.fromEntries(exact) };
}
