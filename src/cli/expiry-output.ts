import { type Row, worstSeverity } from '../expiry/judge.ts';
import { timeText } from '../expiry/thing.ts';
import { formatTable } from './output.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Every row in its order, and how many there are of each level that asks for somebody. */
export function expiryAsText(rows: readonly Row[]): string {
  const cells = rows.map(({ level, leftMs, kind, name, reading }) => [
    level.toUpperCase(),
    leftMs === undefined ? '-' : leftText(leftMs),
    reading.kind === 'ends' ? timeText(reading.endsAt) : '-',
    kind,
    name,
    reading.note,
  ]);
  return formatTable(['LEVEL', 'LEFT', 'ENDS', 'KIND', 'NAME', 'DETAIL'], cells);
}

/** `12d 4h`, `3h 20m`, `-2d 0h`: two units are enough for people. */
export function leftText(ms: number): string {
  const whole = Math.abs(ms);
  const sign = ms < 0 ? '-' : '';
  const hours = Math.floor(whole / HOUR_MS);
  if (whole >= DAY_MS) return `${sign}${Math.floor(hours / 24)}d ${hours % 24}h`;
  return `${sign}${hours}h ${Math.floor((whole % HOUR_MS) / 60_000)}m`;
}

/** The same for programs. Times are RFC 3339, or null. */
export function expiryAsJson(rows: readonly Row[], now: number): unknown {
  return {
    worst: worstSeverity(rows),
    at: timeText(now),
    things: rows.map(({ kind, name, level, leftMs, object, reading }) => ({
      kind,
      name,
      level,
      endsAt: reading.kind === 'ends' ? timeText(reading.endsAt) : null,
      secondsLeft: leftMs === undefined ? null : Math.round(leftMs / 1000),
      firstEndsAt: reading.kind === 'ends' && reading.firstEndsAt !== undefined ? timeText(reading.firstEndsAt) : null,
      detail: reading.note,
      object: object ?? null,
    })),
  };
}
