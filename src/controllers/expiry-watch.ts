import { messageOf } from '../errors.ts';
import { judge, type Level, LEVELS, nextChange, type Row, soonestFirst, type Thresholds } from '../expiry/judge.ts';
import { ALL, type ObjectReference, type Thing, timeText } from '../expiry/thing.ts';
import type { EventSink, ExpirySource, Log, Notice } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { formatDuration } from '../runtime/duration.ts';

export interface ExpiryWatchOptions {
  readonly sources: readonly ExpirySource[];
  readonly thresholds: Thresholds;
  /** Between two looks at a source, in ms, unless something of it changes its level or it could not be read. */
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly events: EventSink;
  /** What Events about things outside of the cluster are about. */
  readonly home: ObjectReference;
  readonly log: Log;
}

/** What one source brought, or why it brought nothing. */
export interface Look {
  readonly things: readonly Thing[];
  readonly failed: boolean;
}

interface Seen {
  /** What it brought when it last did. */
  readonly held: readonly Thing[];
  /** Why it brought nothing now. */
  readonly problem: readonly Thing[];
  /** ms since the epoch. */
  readonly at: number;
  /** On the monotonic clock. */
  readonly dueAt: number;
}

const SOONEST_MS = 60_000;
/** After a look that failed. */
const AGAIN_MS = 5 * 60_000;

/** Reads everything anew; what cannot be read is a thing that says why. Throws only the reason of `signal`. */
export async function lookAt(source: ExpirySource, signal: AbortSignal): Promise<Look> {
  try {
    return { things: await source.read(signal), failed: false };
  } catch (error) {
    signal.throwIfAborted();
    const { kind } = source;
    const reading = { kind: 'unreadable', note: messageOf(error) } as const;
    return { things: [{ kind, name: source.name ?? ALL, object: undefined, reading }], failed: true };
  }
}

/**
 * Looks at everything that has an end, now and then, and tells of each thing once for each threshold that it passes.
 * A source that fails keeps what it brought last, beside the row that says so.
 */
export class ExpiryWatch {
  readonly #options: ExpiryWatchOptions;
  readonly #seen = new Map<ExpirySource, Seen>();
  /** By kind and name: the level that was logged, and the one that an Event was made of. */
  readonly #told = new Map<string, { level: Level; event: boolean }>();

  constructor(options: ExpiryWatchOptions) {
    this.#options = options;
  }

  /** When the source was looked at that was longest not, ms since the epoch; undefined before each was once. */
  get lookedAt(): number | undefined {
    const seen = [...this.#seen.values()];
    const isComplete = seen.length > 0 && seen.length === this.#options.sources.length;
    return isComplete ? Math.min(...seen.map(({ at }) => at)) : undefined;
  }

  /** Everything as it is now, soonest first. */
  rows(): Row[] {
    const { thresholds, clock } = this.#options;
    const now = clock.now();
    return soonestFirst(this.#things().map((thing) => judge(thing, thresholds, now)));
  }

  /** How long to wait for the next look, in ms. */
  nextInMs(): number {
    const { sources, intervalMs, clock } = this.#options;
    const due = sources.map((source) => this.#seen.get(source)?.dueAt ?? 0);
    return due.length === 0 ? intervalMs : Math.max(0, Math.min(...due) - clock.monotonic());
  }

  /** Looks at what is due, and tells of everything. Never rejects. */
  async look(signal: AbortSignal): Promise<void> {
    const { sources, clock } = this.#options;
    const now = clock.monotonic();
    const due = sources.filter((source) => (this.#seen.get(source)?.dueAt ?? 0) <= now);
    try {
      // A Vault that does not answer keeps nothing else from being seen.
      await Promise.all(due.map(async (source) => this.#see(source, await lookAt(source, signal))));
    } catch {
      // Aborted: the service stops.
      return;
    }
    for (const row of this.#tellable()) this.#tell(row);
  }

  #see(source: ExpirySource, { things, failed }: Look): void {
    const { clock } = this.#options;
    const held = failed ? (this.#seen.get(source)?.held ?? []) : things;
    const problem = failed ? things : [];
    const dueAt = clock.monotonic() + this.#waitMs(held, failed);
    this.#seen.set(source, { held, problem, at: clock.now(), dueAt });
  }

  /** What is renewed in time is looked at again before it is taken for forgotten. */
  #waitMs(things: readonly Thing[], failed: boolean): number {
    const { thresholds, intervalMs, clock } = this.#options;
    const now = clock.now();
    let wait = failed ? Math.min(intervalMs, AGAIN_MS) : intervalMs;
    for (const { reading } of things) {
      const change = nextChange(reading, thresholds, now);
      if (change !== undefined) wait = Math.min(wait, change - now);
    }
    return Math.max(wait, SOONEST_MS);
  }

  #things(): Thing[] {
    const seen = [...this.#seen.values()];
    const problems = seen.flatMap(({ problem }) => problem);
    const named = new Set(problems.map(keyOf));
    return [...seen.flatMap(({ held }) => held).filter((thing) => !named.has(keyOf(thing))), ...problems];
  }

  /** Every row, and no memory of those that are gone. */
  #tellable(): Row[] {
    const rows = this.rows();
    const there = new Set(rows.map(keyOf));
    for (const key of this.#told.keys()) if (!there.has(key)) this.#told.delete(key);
    return rows;
  }

  #tell(row: Row): void {
    const { log, events } = this.#options;
    const key = keyOf(row);
    const told = this.#told.get(key);
    const { severity, reason } = LEVELS[row.level];
    if (severity === 'info') {
      this.#told.delete(key);
      if (told !== undefined) log.info(fieldsOf(row), 'has an end that is far again');
      return;
    }
    if (told?.level !== row.level) log[severity === 'error' ? 'error' : 'warn'](fieldsOf(row), messageFor(row));
    const isSent = told?.level === row.level && told.event;
    // What could not be looked at is the service's own trouble: `/readyz`, log and metrics tell of it.
    const event = isSent || row.level === 'unreadable' || events.warn(noticeOf(row, reason, this.#options.home));
    this.#told.set(key, { level: row.level, event });
  }
}

const keyOf = ({ kind, name }: Thing): string => `${kind} ${name}`;

function noticeOf(row: Row, reason: string, home: ObjectReference): Notice {
  return { object: row.object ?? home, reason, message: messageFor(row), source: `expiry ${keyOf(row)}` };
}

function fieldsOf({ kind, name, level, reading }: Row): Readonly<Record<string, unknown>> {
  return { kind, name, level, ...(reading.kind === 'ends' ? { endsAt: timeText(reading.endsAt) } : {}) };
}

/** `validating-webhook x ends at 2027-01-31T12:00:00Z, in 240h: CN=x`. */
function messageFor({ kind, name, level, reading, leftMs }: Row): string {
  if (reading.kind !== 'ends' || leftMs === undefined) return `${kind} ${name}: ${level}: ${reading.note}`;
  const when =
    leftMs <= 0
      ? `ended at ${timeText(reading.endsAt)}`
      : `ends at ${timeText(reading.endsAt)}, in ${formatDuration(leftMs)}`;
  return `${kind} ${name} ${when}: ${reading.note}`;
}
