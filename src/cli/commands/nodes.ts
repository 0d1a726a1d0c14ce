/** `kubelet-bootstrap node`: what is on record of nodes, and what an admin may say about one (DESIGN D9, D16). */
import { UsageError } from '../../errors.ts';
import { stateMaps } from '../../kubernetes/state-maps.ts';
import type { NodeRecord } from '../../nodes/node-record.ts';
import { banChange, releaseChange, shardOf } from '../../nodes/record-format.ts';
import type { StateMaps } from '../../ports.ts';
import { systemClock } from '../../runtime/clock.ts';
import { formatDuration, parseDuration } from '../../runtime/duration.ts';
import { isNodeName } from '../../tokens/binding.ts';
import { formatTime } from '../../tokens/token-secret.ts';
import { openCluster, UNOBSERVED } from '../../wiring/connections.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption, formatTable } from '../output.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';

export interface NodeListFlags extends SharedFlags {
  readonly output: string;
}

export interface ReleaseFlags extends SharedFlags {
  readonly for: string;
}

export interface BanFlags extends SharedFlags {
  readonly reason?: string | undefined;
}

const LONGEST_RELEASE_MS = 24 * 3_600_000;

/** Every node on record: when it joined, by which token, and when its certificates end. */
export async function listNodes(flags: NodeListFlags, io: Io): Promise<void> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  await withMaps(flags, io, async (maps) => {
    const now = systemClock.now();
    const stored = (await maps.list(io.interrupted)).flatMap(({ records }) => [...records]);
    const rows = stored
      .map(([node, record]) => (record.known ? shown(record.value, now) : { node, state: 'unreadable' }))
      .toSorted((a, b) => (a.node < b.node ? -1 : 1));
    if (format === 'json') return io.out(formatJson(rows));
    const columns = ['node', 'joined', 'token', 'pool', 'seen', 'certificateEnds', 'servingEnds', 'state'] as const;
    const heads = ['NODE', 'JOINED', 'TOKEN', 'POOL', 'SEEN', 'CERTIFICATE ENDS', 'SERVING ENDS', 'STATE'];
    const cells = rows.map((row: Partial<Record<(typeof columns)[number], string>>) =>
      columns.map((column) => row[column] ?? '-'),
    );
    io.out(formatTable(heads, cells));
  });
}

/** Lets the next first certificate replace the node although it is alive. Throws UsageError for a wrong name or time. */
export async function releaseNode(node: string, flags: ReleaseFlags, io: Io): Promise<void> {
  needNodeName(node);
  const ms = parseDuration(flags.for);
  if (ms === undefined || ms <= 0 || ms > LONGEST_RELEASE_MS) {
    throw new UsageError(`--for ${flags.for}: must be a duration of up to ${formatDuration(LONGEST_RELEASE_MS)}`);
  }
  await withMaps(flags, io, async (maps) => {
    const until = systemClock.now() + ms;
    const map = await maps.write(shardOf(node), releaseChange(node, { until }), undefined, io.interrupted);
    io.err(`${node} is released until ${formatTime(until)}, or until its next first certificate\n`);
    const record = map.records.get(node);
    const joined = record?.known !== true || record.value.token !== undefined || record.value.certificates.length > 0;
    if (!joined) io.err(`nothing else is on record of ${node}: is that its name?\n`);
  });
}

/** From now on the node gets no certificate and no renewal. What it has is good until its end. */
export async function banNode(node: string, flags: BanFlags, io: Io): Promise<void> {
  needNodeName(node);
  await withMaps(flags, io, async (maps) => {
    const ban = { since: systemClock.now(), reason: flags.reason ?? '' };
    const map = await maps.write(shardOf(node), banChange(node, ban), undefined, io.interrupted);
    const record = map.records.get(node);
    const ends = record?.known === true ? record.value.certificates.map(({ notAfter }) => notAfter) : [];
    io.err(`${node} is banned: no approvals and no renewals\n`);
    if (ends.length > 0) io.err(`its client certificate stays good until ${formatTime(Math.max(...ends))}\n`);
  });
}

/** Lifts the ban; a node without one is fine. */
export async function unbanNode(node: string, flags: SharedFlags, io: Io): Promise<void> {
  needNodeName(node);
  await withMaps(flags, io, async (maps) => {
    await maps.write(shardOf(node), banChange(node, undefined), undefined, io.interrupted);
    io.err(`${node} is not banned\n`);
  });
}

function shown(record: NodeRecord, now: number): { node: string } & Record<string, string | undefined> {
  const { node, token, certificates, serving, adopted, ban, release } = record;
  const states = [
    ...(ban === undefined
      ? []
      : [`banned since ${formatTime(ban.since)}${ban.reason === '' ? '' : `: ${ban.reason}`}`]),
    ...(release === undefined || release.until <= now ? [] : [`released until ${formatTime(release.until)}`]),
    ...(adopted ? ['adopted'] : []),
  ];
  const time = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : formatTime(ms));
  return {
    node,
    joined: time(token?.usedAt),
    token: token?.id,
    pool: token?.pool,
    seen: time(token?.seenAt),
    certificateEnds: time(certificates[0]?.notAfter),
    servingEnds: time(serving?.notAfter),
    state: states.join(', ') || undefined,
  };
}

function needNodeName(node: string): void {
  if (!isNodeName(node)) {
    throw new UsageError(
      `${JSON.stringify(node)} is no name of a node: a lower-case DNS name of at most 251 characters`,
    );
  }
}

async function withMaps(flags: SharedFlags, io: Io, work: (maps: StateMaps) => Promise<void>): Promise<void> {
  const config = await loadConfig(flags, io);
  const { transport } = openCluster(config, systemClock, UNOBSERVED);
  try {
    await work(stateMaps(transport, config.state.namespace));
  } finally {
    await transport.close();
  }
}
