/** What renewals are ahead of a fleet, and what outage it survives, from its node records and the lifetimes in force. */
import type { Validity } from '../pki/certificate-plan.ts';
import { lifetimeOfNode, lifetimeSteps, outageSurvived, renewalWindow, validityAtZero } from '../pki/lifetimes.ts';
import { expectedRenewals, type RenewalSpan } from './expected-renewals.ts';
import type { NodeRecord } from './node-record.ts';

export type Usage = 'client' | 'serving';

/** The lifetimes that a config has. */
export interface Lifetimes {
  /** The kinds that are signed. */
  readonly usages: readonly Usage[];
  /** For nodes of this pool (undefined = of none), before steps, in ms. */
  readonly longest: (usage: Usage, pool: string | undefined) => number;
  readonly steps: number;
}

export interface FleetInput {
  /** ms since the epoch. */
  readonly now: number;
  readonly records: readonly NodeRecord[];
  /** Whether the node has a Node object: without one it is gone, and renews nothing. */
  readonly isThere: (node: string) => boolean;
  readonly lifetimes: Lifetimes;
  /** How far to look ahead. */
  readonly hours: number;
  /** Nodes that join at `now`, all at once, beside those that are there. */
  readonly joining: { readonly nodes: number; readonly pool: string | undefined };
}

/** An outage that one node, the first of all, would notice when it lasts longer. */
export interface SurvivedOutage {
  readonly ms: number;
  readonly node: string;
}

/** The newest certificates of one kind, of nodes that are there and not banned. */
export interface FleetCertificates {
  readonly usage: Usage;
  readonly valid: number;
  /** Of the valid ones: older than a kubelet lets them get. */
  readonly overdue: number;
  /** Ended unrenewed: their nodes have noticed already. */
  readonly ended: number;
  /** Longest outage that nobody notices if it begins now; undefined without certificates. */
  readonly outageFromNow: SurvivedOutage | undefined;
  /** Longest one that nobody notices whenever it begins, once what is overdue is renewed. */
  readonly outageAtAnyTime: SurvivedOutage | undefined;
}

/** Renewals that are expected in each hour from now on, by what is renewed. */
export interface HourlyRenewals {
  readonly client: readonly number[];
  readonly serving: readonly number[];
  /** Of either kind, by the nodes that join. */
  readonly joining: readonly number[];
}

export interface FleetPlan {
  readonly nodes: {
    /** On record, there and not banned: all that the plan counts. */
    readonly counted: number;
    readonly banned: number;
    /** Without a Node object. */
    readonly gone: number;
  };
  readonly certificates: readonly FleetCertificates[];
  readonly renewals: HourlyRenewals;
}

interface Held {
  readonly node: string;
  readonly usage: Usage;
  readonly validity: Validity;
  /** What its node gets next, in ms. */
  readonly nextMs: number;
}

export function planFleet(input: FleetInput): FleetPlan {
  const { records, isThere, lifetimes, now } = input;
  const allowed = records.filter(({ ban }) => ban === undefined);
  const counted = allowed.filter(({ node }) => isThere(node));
  const held = counted.flatMap((record) => heldBy(record, lifetimes));
  const of = (usage: Usage): Held[] => held.filter((each) => each.usage === usage);
  return {
    nodes: {
      counted: counted.length,
      banned: records.length - allowed.length,
      gone: allowed.length - counted.length,
    },
    certificates: lifetimes.usages.map((usage) => certificatesOf(usage, of(usage), now)),
    renewals: {
      client: renewalsOf(of('client'), input),
      serving: renewalsOf(of('serving'), input),
      joining: joiningRenewals(input),
    },
  };
}

function heldBy({ node, token, certificates, serving }: NodeRecord, lifetimes: Lifetimes): Held[] {
  const { usages, longest, steps } = lifetimes;
  const newest = { client: certificates[0], serving };
  return usages.flatMap((usage) => {
    const { notBefore, notAfter } = newest[usage] ?? {};
    if (notAfter === undefined) return [];
    const nextMs = lifetimeOfNode(node, longest(usage, token?.pool), steps);
    const issuedAt = usage === 'client' ? certificates[0]?.issuedAt : undefined;
    return [{ node, usage, validity: { notBefore: notBefore ?? issuedAt ?? notAfter - nextMs, notAfter }, nextMs }];
  });
}

function certificatesOf(usage: Usage, held: readonly Held[], now: number): FleetCertificates {
  const valid = held.filter(({ validity }) => now < validity.notAfter);
  return {
    usage,
    valid: valid.length,
    overdue: valid.filter(({ validity }) => renewalWindow(validity).to < now).length,
    ended: held.length - valid.length,
    outageFromNow: soonest(valid, ({ notAfter }) => notAfter - now),
    outageAtAnyTime: soonest(valid, outageSurvived),
  };
}

function soonest(held: readonly Held[], msOf: (validity: Validity) => number): SurvivedOutage | undefined {
  let first: SurvivedOutage | undefined;
  for (const { node, validity } of held) {
    const ms = msOf(validity);
    if (first === undefined || ms < first.ms) first = { node, ms };
  }
  return first;
}

/** Of certificates that have not ended: a node whose certificate has begins anew, if at all. */
function renewalsOf(held: readonly Held[], { now, hours }: FleetInput): number[] {
  const byNext = Map.groupBy(
    held.filter(({ validity }) => now < validity.notAfter),
    ({ nextMs }) => nextMs,
  );
  const lists = [...byNext].map(([nextMs, alike]) => {
    const spans = alike.map(({ validity }): RenewalSpan => ({ ...spanOf(validity, now), count: 1 }));
    return expectedRenewals(spans, spanOf(validityAtZero(nextMs), 0), hours);
  });
  return sum(lists, hours);
}

function joiningRenewals({ lifetimes, hours, joining }: FleetInput): number[] {
  const { usages, longest, steps } = lifetimes;
  const lists = usages.flatMap((usage) =>
    lifetimeSteps(longest(usage, joining.pool), steps).map(({ lifetimeMs, share }) => {
      const span = spanOf(validityAtZero(lifetimeMs), 0);
      return expectedRenewals([{ ...span, count: joining.nodes * share }], span, hours);
    }),
  );
  return sum(lists, hours);
}

function sum(lists: readonly (readonly number[])[], hours: number): number[] {
  return Array.from({ length: hours }, (_, hour) => lists.reduce((total, list) => total + (list[hour] ?? 0), 0));
}

function spanOf(validity: Validity, now: number): { readonly from: number; readonly to: number } {
  const { from, to } = renewalWindow(validity);
  return { from: from - now, to: to - now };
}
