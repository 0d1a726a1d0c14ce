import type { FleetPlan, SurvivedOutage, Usage } from '../nodes/fleet-plan.ts';
import type { LifetimeOutlook } from '../pki/lifetimes.ts';
import { formatDuration } from '../runtime/duration.ts';
import { formatTime } from '../tokens/token-secret.ts';
import { formatTable } from './output.ts';

/** What signs: of it depends what is an outage. */
export type Backend = 'vault-pki' | 'vault-kv' | 'files';

/** All that `fleet plan` found. */
export interface FleetView {
  /** ms since the epoch. */
  readonly now: number;
  readonly plan: FleetPlan;
  /** Every lifetime that the config has; without a pool, that of all others. */
  readonly lifetimes: readonly {
    readonly pool: string | undefined;
    readonly usage: Usage;
    readonly outlook: LifetimeOutlook;
  }[];
  /** Nodes that are to join at once. */
  readonly joining: number;
  /** undefined where the config leaves the signing to somebody else. */
  readonly backend: Backend | undefined;
  /** Certificates that the signer makes in a second. */
  readonly signerRate: number;
  /** Nodes of the cluster of which nothing is on record. */
  readonly unrecorded: number;
  /** Records that cannot be read. */
  readonly unreadable: number;
}

const HOUR_MS = 3_600_000;
const AWAY: Readonly<Record<Backend, string>> = {
  'vault-pki': 'nobody signs while this service is away, or Vault',
  'vault-kv': 'nobody signs while this service is away; Vault being away keeps one from signing that starts then',
  files: 'nobody signs while this service is away; Vault being away keeps nobody from it',
};

interface Hour {
  readonly from: string;
  readonly client: number;
  readonly serving: number;
  readonly joining: number;
  readonly all: number;
}

/** For people: what the fleet survives, then the hours in which at least half a renewal is expected. */
export function fleetAsText(view: FleetView): string {
  const { plan, unrecorded, unreadable } = view;
  const { counted, banned, gone } = plan.nodes;
  const tables = [
    formatTable(
      ['CERTIFICATES', 'VALID', 'OVERDUE', 'ENDED', 'OUTAGE FROM NOW', 'OUTAGE AT ANY TIME'],
      plan.certificates.map(({ usage, valid, overdue, ended, outageFromNow, outageAtAnyTime }) => [
        usage,
        ...[valid, overdue, ended].map(String),
        ...[outageFromNow, outageAtAnyTime].map(outageText),
      ]),
    ),
    formatTable(
      ['POOL', 'KIND', 'LIFETIME', 'SHORTEST', 'RENEWED AFTER', 'OUTAGE AT ANY TIME'],
      view.lifetimes.map(({ pool, usage, outlook }) => [
        pool ?? '-',
        usage,
        formatDuration(outlook.lifetimeMs),
        formatDuration(outlook.shortestMs),
        `${formatDuration(outlook.renewedFrom)} to ${formatDuration(outlook.renewedTo)}`,
        formatDuration(outlook.outageMs),
      ]),
    ),
    hoursAsText(view),
  ];
  return [
    `nodes: ${counted} counted; not counted: ${banned} banned, ${gone} without a Node object, ` +
      `${unrecorded} not on record, ${unreadable} with an unreadable record\n`,
    ...tables.filter((table) => table !== ''),
    summaryOf(view),
  ].join('\n');
}

/** The same for programs: every hour, times in RFC 3339, durations in seconds. */
export function fleetAsJson(view: FleetView): unknown {
  const { now, plan, joining, backend, signerRate, unrecorded, unreadable } = view;
  const hours = hoursOf(view);
  const { outage, requests } = backlogOf(view, hours);
  return {
    at: formatTime(now),
    nodes: { ...plan.nodes, unrecorded, unreadable },
    certificates: plan.certificates.map(({ outageFromNow, outageAtAnyTime, ...counts }) => ({
      ...counts,
      outageFromNow: outageAsJson(outageFromNow),
      outageAtAnyTime: outageAsJson(outageAtAnyTime),
    })),
    lifetimes: view.lifetimes.map(({ pool, usage, outlook }) => ({
      pool: pool ?? null,
      usage,
      lifetimeSeconds: seconds(outlook.lifetimeMs),
      shortestSeconds: seconds(outlook.shortestMs),
      renewedFromSeconds: seconds(outlook.renewedFrom),
      renewedToSeconds: seconds(outlook.renewedTo),
      outageSeconds: seconds(outlook.outageMs),
    })),
    hours,
    highestHour: highestOf(hours),
    signer: {
      backend: backend ?? null,
      perSecond: signerRate,
      perHour: signerRate * 3_600,
      shareInHighestHour: shareOf(highestOf(hours), view),
    },
    join: { nodes: joining, certificates: joinedCertificates(view), seconds: joinedCertificates(view) / signerRate },
    afterLongestOutage: { outageSeconds: seconds(outage), requests, signedInSeconds: requests / signerRate },
  };
}

function hoursAsText(view: FleetView): string {
  const joins = view.joining > 0;
  const rows = hoursOf(view)
    .filter(({ all }) => all >= 0.5)
    .map((hour) => [
      hour.from,
      countText(hour.client),
      countText(hour.serving),
      ...(joins ? [countText(hour.joining)] : []),
      countText(hour.all),
      percent(shareOf(hour, view)),
    ]);
  if (rows.length === 0) return '';
  return formatTable(['HOUR FROM', 'CLIENT', 'SERVING', ...(joins ? ['JOINED'] : []), 'ALL', 'OF THE SIGNER'], rows);
}

function summaryOf(view: FleetView): string {
  const { backend, signerRate, joining, plan } = view;
  const hours = hoursOf(view);
  const highest = highestOf(hours);
  const { outage, requests } = backlogOf(view, hours);
  const signedIn = (certificates: number): string => formatDuration(Math.ceil(certificates / signerRate) * 1000);
  const joined = joinedCertificates(view);
  return [
    highest === undefined || highest.all < 0.5
      ? `no renewals in ${hours.length} hours`
      : `highest hour: ${highest.from}, ${countText(highest.all)} renewals: ${percent(shareOf(highest, view))} of what ` +
        `the signer does at ${signerRate} a second`,
    ...(joining === 0
      ? []
      : [`joining: ${joined} certificates for ${joining} nodes at once, signed in ${signedIn(joined)}`]),
    `an outage of ${formatDuration(outage)} leaves ${Math.ceil(requests)} requests at most, signed in ${signedIn(requests)}`,
    ...(backend === undefined ? [] : [AWAY[backend]]),
    ...(plan.certificates.some(({ overdue }) => overdue > 0) ? ['overdue renewals are counted in the first hour'] : []),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function hoursOf({ now, plan }: FleetView): Hour[] {
  const { client, serving, joining } = plan.renewals;
  return client.map((count, hour) => {
    const others = [serving[hour] ?? 0, joining[hour] ?? 0] as const;
    return {
      from: formatTime(now + hour * HOUR_MS),
      client: rounded(count),
      serving: rounded(others[0]),
      joining: rounded(others[1]),
      all: rounded(count + others[0] + others[1]),
    };
  });
}

function highestOf(hours: readonly Hour[]): Hour | undefined {
  const most = Math.max(...hours.map(({ all }) => all));
  return hours.find(({ all }) => all === most);
}

/** What waits at the end of the longest outage that the lifetimes survive, were every hour of it the highest. */
function backlogOf(view: FleetView, hours: readonly Hour[]): { readonly outage: number; readonly requests: number } {
  const outage = Math.max(0, Math.min(...view.lifetimes.map(({ outlook }) => outlook.outageMs)));
  return { outage, requests: rounded(((highestOf(hours)?.all ?? 0) * outage) / HOUR_MS) };
}

function joinedCertificates({ joining, plan }: FleetView): number {
  return joining * plan.certificates.length;
}

/** 0 to 1. */
function shareOf(hour: Hour | undefined, { signerRate }: FleetView): number {
  return (hour?.all ?? 0) / (signerRate * 3_600);
}

function outageText(outage: SurvivedOutage | undefined): string {
  return outage === undefined ? '-' : `${formatDuration(outage.ms)} (${outage.node})`;
}

function outageAsJson(outage: SurvivedOutage | undefined): object | null {
  return outage === undefined ? null : { seconds: seconds(outage.ms), node: outage.node };
}

const seconds = (ms: number): number => Math.round(ms / 1000);
const rounded = (count: number): number => Math.round(count * 1000) / 1000;
const countText = (count: number): string => count.toFixed(count < 10 ? 1 : 0);
const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 2 : 0)} %`;
