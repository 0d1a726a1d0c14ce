import { describeBinding } from '../tokens/binding.ts';
import type { BootstrapToken } from '../tokens/bootstrap-token.ts';
import { isUsable } from '../tokens/rotation.ts';
import { formatTime, type TokenRecord } from '../tokens/token-secret.ts';
import { formatDuration } from '../runtime/duration.ts';
import { formatTable, formatYaml } from './output.ts';

const MASK = '*'.repeat(16);

/** What is shown of a token, by field. */
export type ShownToken = Readonly<Record<string, string | boolean | null | readonly string[]>>;

/** A token as JSON and YAML show it; `token` is masked unless the secret was asked for. */
export function describeToken(record: TokenRecord, secret: string | undefined, now: number): ShownToken {
  return {
    id: record.id,
    token: `${record.id}.${secret ?? MASK}`,
    ...(record.binding === undefined ? {} : { [record.binding.kind]: boundTo(record) }),
    state: stateOfToken(record, now),
    expiresAt: record.expiresAt === undefined ? null : formatTime(record.expiresAt),
    groups: record.groups,
    managed: record.ours,
    ...(record.vaultPath === undefined ? {} : { vaultPath: record.vaultPath }),
    description: record.description,
  };
}

function boundTo({ binding }: TokenRecord): string {
  if (binding === undefined) return '';
  return binding.kind === 'node' ? binding.node : binding.pool;
}

/** `usable`, `publishing`, `expired`, `deleting` or `disabled`. */
export function stateOfToken(record: TokenRecord, now: number): string {
  if (record.beingDeleted) return 'deleting';
  if (!record.authenticates) return 'disabled';
  if (!isUsable(record, now)) return 'expired';
  return record.publishingUntil === undefined ? 'usable' : 'publishing';
}

/** One line a token, soonest end first. */
export function tokenTable(records: readonly TokenRecord[], now: number): string {
  const rows = records
    .toSorted((a, b) => (a.expiresAt ?? Number.MAX_SAFE_INTEGER) - (b.expiresAt ?? Number.MAX_SAFE_INTEGER))
    .map((record) => [
      record.id,
      record.binding === undefined ? '<none>' : describeBinding(record.binding),
      stateOfToken(record, now),
      record.expiresAt === undefined ? '<forever>' : formatDuration(record.expiresAt - now),
      record.expiresAt === undefined ? '<never>' : formatTime(record.expiresAt),
      record.vaultPath ?? '<none>',
      record.description,
    ]);
  return formatTable(['ID', 'BINDING', 'STATE', 'TTL', 'EXPIRES', 'VAULT PATH', 'DESCRIPTION'], rows);
}

/** A kubeconfig that a kubelet takes as --bootstrap-kubeconfig. */
export function bootstrapKubeconfig(token: BootstrapToken, cluster: { server: string; caCertificate: string }): string {
  return formatYaml({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'kubernetes',
        cluster: {
          server: cluster.server,
          'certificate-authority-data': Buffer.from(cluster.caCertificate, 'utf8').toString('base64'),
        },
      },
    ],
    users: [{ name: 'kubelet-bootstrap', user: { token: `${token.id}.${token.secret}` } }],
    contexts: [{ name: 'bootstrap', context: { cluster: 'kubernetes', user: 'kubelet-bootstrap' } }],
    'current-context': 'bootstrap',
  });
}
