import type { HttpsClient } from '../../scripts/servers/https-client.ts';
import { banChange, shardOf } from '../../src/nodes/record-format.ts';

const STATE = '/api/v1/namespaces/kubelet-bootstrap/configmaps';

/** Bans the node, as `kubelet-bootstrap node ban` does. */
export async function banNode(admin: HttpsClient, node: string): Promise<void> {
  const name = shardOf(node);
  const data = banChange(node, { since: Date.now(), reason: 'stolen' });
  const labels = { 'kubelet-bootstrap/state': 'node-records' };
  const made = await admin.send('POST', STATE, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, labels },
    data,
  });
  if (made.status !== 409) return;
  const map = (await admin.must('GET', `${STATE}/${name}`)) as { data?: Record<string, string> };
  await admin.must('PUT', `${STATE}/${name}`, { ...map, data: { ...map.data, ...data } });
}
