/** How near an end is, and what is to be thought of it. */
import type { Reading, Thing } from './thing.ts';

/** In ms. */
export interface Thresholds {
  readonly warningMs: number;
  readonly criticalMs: number;
}

/** Worst first. The README's table is held against this one. */
export const LEVELS = {
  unusable: {
    severity: 'error',
    reason: 'TrustUnusable',
    meaning: 'It is of no use: no certificate at all, one that is not valid yet, or a CA that cannot sign.',
  },
  expired: { severity: 'error', reason: 'Expired', meaning: 'It has ended.' },
  critical: {
    severity: 'error',
    reason: 'ExpiresVerySoon',
    meaning: 'Less than `expiry.critical` is left, and less than a 24th of its life.',
  },
  warning: {
    severity: 'warning',
    reason: 'ExpiresSoon',
    meaning: 'Less than `expiry.warning` is left, and less than a twelfth of its life.',
  },
  unreadable: {
    severity: 'warning',
    reason: 'NotReadable',
    meaning: 'It could not be looked at; the detail says why. What was known before is still shown.',
  },
  ok: { severity: 'info', reason: 'Fine', meaning: 'It ends later.' },
  none: {
    severity: 'info',
    reason: 'NoEnd',
    meaning: 'Nothing to wait for: no end, no certificate of its own, or ended beside others that are good.',
  },
} as const;
export type Level = keyof typeof LEVELS;
export type LevelSeverity = (typeof LEVELS)[Level]['severity'];

/** A thing as it is judged at one moment. */
export interface Row extends Thing {
  readonly level: Level;
  /** ms until its end, negative after it; undefined where none is known. */
  readonly leftMs: number | undefined;
}

/**
 * What is renewed at a part of its life has to be told from what is forgotten: a daily certificate is always near its
 * end. Renewal comes with a tenth of the life left at the latest (kubelet) and mostly with a third.
 */
const WARNING_PART = 12;
const CRITICAL_PART = 24;

export function judge(thing: Thing, thresholds: Thresholds, now: number): Row {
  const { reading } = thing;
  if (reading.kind !== 'ends') return { ...thing, level: reading.kind, leftMs: undefined };
  const { warning, critical } = bounds(reading.lifeMs, thresholds);
  const leftMs = reading.endsAt - now;
  const level = leftMs <= 0 ? 'expired' : leftMs < critical ? 'critical' : leftMs < warning ? 'warning' : 'ok';
  return { ...thing, level, leftMs };
}

function bounds(lifeMs: number, { warningMs, criticalMs }: Thresholds): { warning: number; critical: number } {
  return {
    warning: Math.min(warningMs, lifeMs / WARNING_PART),
    critical: Math.min(criticalMs, lifeMs / CRITICAL_PART),
  };
}

/** The moment of the next change of level, ms since the epoch; undefined when nothing is to come. */
export function nextChange(reading: Reading, thresholds: Thresholds, now: number): number | undefined {
  if (reading.kind !== 'ends') return undefined;
  const { warning, critical } = bounds(reading.lifeMs, thresholds);
  const { endsAt } = reading;
  return [endsAt - warning, endsAt - critical, endsAt].find((at) => at > now);
}

/** What needs somebody although its end is not known, then by the time that is left, then what has no end. */
export function soonestFirst(rows: readonly Row[]): Row[] {
  const place = ({ level, leftMs }: Row): number => {
    if (leftMs !== undefined) return 2;
    return level === 'unusable' ? 0 : level === 'none' ? 3 : 1;
  };
  const text = ({ kind, name }: Row): string => `${kind} ${name}`;
  return rows.toSorted(
    (a, b) => place(a) - place(b) || (a.leftMs ?? 0) - (b.leftMs ?? 0) || (text(a) < text(b) ? -1 : 1),
  );
}

/** The worst severity; `info` where nothing is to be done. */
export function worstSeverity(rows: readonly Row[]): LevelSeverity {
  const has = (severity: LevelSeverity): boolean => rows.some(({ level }) => LEVELS[level].severity === severity);
  return has('error') ? 'error' : has('warning') ? 'warning' : 'info';
}
