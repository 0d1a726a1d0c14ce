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

/** One line a token, soonest end first; `wide` has all that is known of each. */
export function tokenTable(records: readonly TokenRecord[], now: number, wide = false): string {
  const rows = records
    .toSorted((a, b) => (a.expiresAt ?? Number.MAX_SAFE_INTEGER) - (b.expiresAt ?? Number.MAX_SAFE_INTEGER))
    .map((record) => [
      record.id,
      record.binding === undefined ? NONE : describeBinding(record.binding),
      stateOfToken(record, now),
      record.expiresAt === undefined ? '<forever>' : formatDuration(record.expiresAt - now),
      record.expiresAt === undefined ? '<never>' : formatTime(record.expiresAt),
      record.vaultPath ?? NONE,
      record.description,
      ...(wide ? wideCells(record) : []),
    ]);
  const heads = ['ID', 'BINDING', 'STATE', 'TTL', 'EXPIRES', 'VAULT PATH', 'DESCRIPTION'];
  return formatTable(wide ? [...heads, 'ISSUED', 'USES', 'ADDRESSES', 'MANAGED', 'GROUPS'] : heads, rows);
}

const NONE = '<none>';

function wideCells({ issuedAt, uses, addresses, ours, groups }: TokenRecord): string[] {
  return [
    issuedAt === undefined ? '<unknown>' : formatTime(issuedAt),
    uses === undefined ? '<any>' : String(uses),
    addresses.join(',') || NONE,
    ours ? 'yes' : 'no',
    groups.join(',') || NONE,
  ];
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

/** What a machine reads from the kubelet's `--bootstrap-kubeconfig`, in the README and in cloud-init's drop-in. */
const BOOTSTRAP_FILE = '/etc/kubernetes/bootstrap-kubelet.conf';

/**
 * The line that root runs on a machine to join, as `kubeadm token create --print-join-command` prints one: it puts the
 * kubeconfig in place and starts the kubelet. `printf` is part of the shell, so the token stands in no argument list.
 */
export function joinLine(token: BootstrapToken, cluster: { server: string; caCertificate: string }): string {
  const text = Buffer.from(bootstrapKubeconfig(token, cluster), 'utf8').toString('base64');
  return `(umask 077 && printf %s '${text}' | base64 -d >${BOOTSTRAP_FILE}) && systemctl restart kubelet\n`;
}
