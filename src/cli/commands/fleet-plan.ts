/** `kubelet-bootstrap fleet plan`: which renewals are ahead, and what outage the fleet survives. */
import { hasBegun } from '../../ca/schedule.ts';
import { type Config, longestLifetime } from '../../config.ts';
import { RefusedError, UsageError } from '../../errors.ts';
import { allPages } from '../../kubernetes/list-watch.ts';
import { nodeListWatch } from '../../kubernetes/nodes.ts';
import { stateMaps } from '../../kubernetes/state-maps.ts';
import { type Lifetimes, planFleet } from '../../nodes/fleet-plan.ts';
import { lifetimeOutlook } from '../../pki/lifetimes.ts';
import { systemClock } from '../../runtime/clock.ts';
import { openCluster, UNOBSERVED } from '../../wiring/connections.ts';
import { longestLifeMs } from '../../wiring/longest-life.ts';
import { type Backend, fleetAsJson, fleetAsText, type FleetView } from '../fleet-output.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption } from '../output.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';

export interface FleetPlanFlags extends SharedFlags {
  readonly join: string;
  readonly pool?: string | undefined;
  readonly hours?: string | undefined;
  readonly rate: string;
  readonly output: string;
}

/** Certificates a second: what the bench measures with everything on two cores. */
export const MEASURED_RATE = '160';

const HOUR_MS = 3_600_000;
const MOST_HOURS = 8_760;
const MOST_NODES = 1_000_000;
const MOST_PER_SECOND = 100_000;
/** What is looked ahead without `--hours`: the longest lifetime, within these bounds. */
const USUAL_HOURS = { least: 24, most: 168 };

/** Reads node records and the names of Nodes, and prints. Throws UsageError, RefusedError `NotFound` for a pool, RemoteError. */
export async function fleetPlan(flags: FleetPlanFlags, io: Io): Promise<void> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  const joining = { nodes: numberOf('--join', flags.join, 0, MOST_NODES), pool: flags.pool };
  const signerRate = numberOf('--rate', flags.rate, 1, MOST_PER_SECOND);
  const asked = flags.hours === undefined ? undefined : numberOf('--hours', flags.hours, 1, MOST_HOURS);
  const config = await loadConfig(flags, io);
  if (flags.pool !== undefined && !Object.hasOwn(config.pools, flags.pool)) {
    throw new RefusedError('NotFound', `pool ${JSON.stringify(flags.pool)} is not in the config`);
  }
  const lifetimes = lifetimesOf(config);
  const outlooks = outlooksOf(config, lifetimes);
  const longest = Math.ceil(longestLifeMs(config) / HOUR_MS);
  const hours = asked ?? Math.min(USUAL_HOURS.most, Math.max(USUAL_HOURS.least, longest));
  const { transport } = openCluster(config, systemClock, UNOBSERVED);
  try {
    const [maps, nodes] = await Promise.all([
      stateMaps(transport, config.state.namespace).list(io.interrupted),
      allPages(nodeListWatch(transport), io.interrupted),
    ]);
    const stored = new Map(maps.flatMap(({ records }) => [...records]));
    const records = [...stored.values()].flatMap((record) => (record.known ? [record.value] : []));
    const there = new Set(nodes.map(({ name }) => name));
    const now = systemClock.now();
    const view: FleetView = {
      now,
      plan: planFleet({ now, records, isThere: (node) => there.has(node), lifetimes, hours, joining }),
      lifetimes: outlooks,
      joining: joining.nodes,
      backend: backendOf(config, now),
      signerRate,
      unrecorded: nodes.filter(({ name }) => !stored.has(name)).length,
      unreadable: stored.size - records.length,
    };
    io.out(format === 'json' ? formatJson(fleetAsJson(view)) : fleetAsText(view));
  } finally {
    await transport.close();
  }
}

function lifetimesOf(config: Config): Lifetimes {
  return {
    usages: config.serving.enabled ? ['client', 'serving'] : ['client'],
    longest: (usage, pool) => longestLifetime(config, usage, pool),
    steps: config.signer.lifetime.steps,
  };
}

function backendOf({ signer: { ca } }: Config, now: number): Backend | undefined {
  const { pki, vaultPath, certificateFile } = ca.next !== undefined && hasBegun(ca.next.from, now) ? ca.next : ca;
  if (pki !== undefined) return 'vault-pki';
  if (vaultPath !== undefined) return 'vault-kv';
  return certificateFile === undefined ? undefined : 'files';
}

/** Of all nodes, then of each pool that has a lifetime of its own. */
function outlooksOf(config: Config, { usages, longest, steps }: Lifetimes): FleetView['lifetimes'] {
  return [undefined, ...Object.keys(config.pools)].flatMap((pool) =>
    usages
      .filter((usage) => pool === undefined || config.pools[pool]?.lifetime[usage] !== undefined)
      .map((usage) => ({ pool, usage, outlook: lifetimeOutlook(longest(usage, pool), steps) })),
  );
}

function numberOf(flag: string, text: string, least: number, most: number): number {
  if (/^[0-9]{1,7}$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text);
  throw new UsageError(`${flag} ${text}: must be a number from ${least} to ${most}`);
}
