import PQueue from 'p-queue';
import { askedMs } from '../errors.ts';
import { backoff, type Clock } from './clock.ts';
import { FairQueue, type FairQueueOptions, type Place } from './fair-queue.ts';
import { Room, type RoomLimits } from './room.ts';

export interface WorkQueueOptions {
  /** How many keys are worked on at the same time. At least 1. */
  readonly concurrency: number;
  /** Keys are taken, and worked on from `start()` on. */
  readonly paused?: boolean;
  readonly clock: Clock;
  readonly random: () => number;
  /** Works on one key. A throw is a reason to try again later, with back-off per key. */
  readonly work: (key: string, signal: AbortSignal) => Promise<void>;
  /** Told of every throw, with the wait until the next attempt. */
  readonly onFailure: (key: string, error: unknown, retryInMs: number) => void;
  /** How many keys may wait for their turn; any number when absent. */
  readonly limits?: RoomLimits | undefined;
  /** Called when keys of this user that were turned away may be added again. */
  readonly onRoom?: (user: string) => void;
  /** On stop, keys that wait are worked on, too: they may be the second half of something. */
  readonly drains?: boolean;
  readonly firstRetryMs?: number;
  readonly mostRetryMs?: number;
}

/** Work that needs nobody's answer would keep everything else waiting until the last key is done. */
const SLICE_MS = 10;
const FIRST_RETRY_MS = 200;
const MOST_RETRY_MS = 60_000;

/**
 * A keyed work queue in front of p-queue (DESIGN D13). Promises: a key is never worked on twice at the same time; a key
 * that is added while it waits is worked on once; one that is added while it is being worked on is worked on again
 * afterwards; failures of one key delay that key alone. No more keys wait for their turn than its
 * limits say: what is turned away is the caller's to remember.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #gate: PQueue<FairQueue, FairQueueOptions>;
  readonly #stopping = new AbortController();
  readonly #room: Room | undefined;
  #closed = false;
  readonly #queued = new Set<string>();
  readonly #running = new Set<string>();
  /** Added while running: to be worked on again. */
  readonly #dirty = new Map<string, Place>();
  readonly #failures = new Map<string, number>();
  /** This turn of the event loop, as far as work was begun in it. */
  #turn: { readonly endsAt: number; readonly over: Promise<void> } | undefined;
  readonly #timers = new Map<string, { readonly at: number; readonly cancel: () => void }>();

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    const { concurrency, paused = false, limits } = options;
    this.#room = limits === undefined ? undefined : new Room(limits);
    this.#gate = new PQueue({ concurrency, queueClass: FairQueue, autoStart: !paused });
  }

  /** Begins with what waits, where it was made `paused`. */
  start(): void {
    this.#gate.start();
  }

  /** Keys that wait for a free place. */
  get depth(): number {
    return this.#queued.size;
  }

  /** Keys that are being worked on; never more than `concurrency`. */
  get inFlight(): number {
    return this.#running.size;
  }

  /** Keys that wait for their time. */
  get delayed(): number {
    return this.#timers.size;
  }

  /** Whether the key waits, for its turn or its time, or is being worked on. */
  has(key: string): boolean {
    return this.#queued.has(key) || this.#running.has(key) || this.#timers.has(key);
  }

  /** False from when a key of this user was turned away until it may be added again. */
  admits(user: string): boolean {
    return this.#room?.admits(user) ?? true;
  }

  /** Has the key worked on as soon as its turn comes. False when it was turned away: see `onRoom`. */
  add(key: string, place: Place): boolean {
    if (this.#closed || this.#queued.has(key)) return true;
    if (this.#running.has(key)) {
      this.#dirty.set(key, place);
      return true;
    }
    if (this.#room?.take(place) === false) return false;
    this.#cancelTimer(key);
    this.#queued.add(key);
    void this.#gate.add(() => this.#run(key, place), { place });
    return true;
  }

  /** Has the key worked on after `ms`; an earlier time that is set already stays. */
  addAfter(key: string, place: Place, ms: number): void {
    if (this.#closed) return;
    const at = this.#options.clock.monotonic() + ms;
    const planned = this.#timers.get(key);
    if (planned !== undefined && planned.at <= at) return;
    planned?.cancel();
    const cancel = this.#options.clock.after(ms, () => {
      this.#timers.delete(key);
      this.add(key, place);
    });
    this.#timers.set(key, { at, cancel });
  }

  /** Drops what is planned for a key that is gone; work in hand goes on. */
  forget(key: string): void {
    this.#cancelTimer(key);
    this.#failures.delete(key);
  }

  /**
   * Takes no more keys, drops those that wait (unless it `drains`), and resolves when the work in hand is done. `signal`
   * cuts that short: it aborts the signal that the work was given.
   */
  async stop(signal: AbortSignal): Promise<void> {
    this.#cancelTimers();
    const abandon = (): void => {
      this.#closed = true;
      this.#stopping.abort(signal.reason);
    };
    this.#closed = this.#options.drains !== true;
    if (signal.aborted) abandon();
    else signal.addEventListener('abort', abandon, { once: true });
    this.#gate.start();
    await this.#gate.onIdle();
    this.#closed = true;
    // Those of work that failed while it was drained.
    this.#cancelTimers();
    signal.removeEventListener('abort', abandon);
    this.#stopping.abort();
  }

  async #run(key: string, place: Place): Promise<void> {
    const turn = (this.#turn ??= this.#beginTurn());
    if (this.#options.clock.monotonic() >= turn.endsAt) await turn.over;
    this.#queued.delete(key);
    const hasRoom = this.#room?.giveBack(place) === true;
    if (this.#closed) return;
    this.#running.add(key);
    try {
      if (hasRoom) this.#options.onRoom?.(place.user);
      await this.#options.work(key, this.#stopping.signal);
      this.#failures.delete(key);
    } catch (error) {
      this.#retry(key, place, error);
    } finally {
      this.#running.delete(key);
    }
    const again = this.#dirty.get(key);
    this.#dirty.delete(key);
    if (again !== undefined && !this.#closed) this.add(key, again);
  }

  #beginTurn(): { readonly endsAt: number; readonly over: Promise<void> } {
    const { clock } = this.#options;
    const over = clock.turn().then(() => {
      this.#turn = undefined;
    });
    return { endsAt: clock.monotonic() + SLICE_MS, over };
  }

  #retry(key: string, place: Place, error: unknown): void {
    if (this.#closed) return;
    const attempt = this.#failures.get(key) ?? 0;
    this.#failures.set(key, attempt + 1);
    const { firstRetryMs = FIRST_RETRY_MS, mostRetryMs = MOST_RETRY_MS, random } = this.#options;
    const wait = Math.max(askedMs(error, mostRetryMs), backoff(attempt, firstRetryMs, mostRetryMs, random));
    this.addAfter(key, place, wait);
    this.#options.onFailure(key, error, wait);
  }

  #cancelTimers(): void {
    for (const { cancel } of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  #cancelTimer(key: string): void {
    this.#timers.get(key)?.cancel();
    this.#timers.delete(key);
  }
}
