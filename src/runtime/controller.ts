import type { Clock } from './clock.ts';
import type { Place } from './fair-queue.ts';
import type { RoomLimits } from './room.ts';
import { WorkQueue } from './work-queue.ts';

export interface ControllerOptions {
  readonly name: string;
  readonly concurrency: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** Brings one key to where it should be. Answers in how many ms to look again, if at all. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<number | undefined>;
  readonly placeOf: (key: string) => Place;
  readonly onFailure: (key: string, error: unknown, retryInMs: number) => void;
  /** See `WorkQueue`. */
  readonly drains?: boolean;
  readonly paused?: boolean;
  readonly limits?: RoomLimits | undefined;
  readonly onRoom?: (user: string) => void;
}

/** The loop of every controller: keys in, reconcile, look again or retry. */
export class Controller {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly #placeOf: (key: string) => Place;
  readonly #random: () => number;

  constructor(options: ControllerOptions) {
    const { name, reconcile, placeOf, random, ...queue } = options;
    this.name = name;
    this.#placeOf = placeOf;
    this.#random = random;
    this.queue = new WorkQueue({
      ...queue,
      random,
      work: async (key, signal) => {
        const again = await reconcile(key, signal);
        if (again !== undefined) this.addAfter(key, again);
      },
    });
  }

  /** Has the key reconciled when its turn comes. False when too many wait: `onRoom` says when to come again. */
  add(key: string): boolean {
    return this.queue.add(key, this.#placeOf(key));
  }

  /** Has it reconciled after `ms` and up to a tenth more, so that many keys do not come at once. */
  addAfter(key: string, ms: number): void {
    this.queue.addAfter(key, this.#placeOf(key), ms * (1 + 0.1 * this.#random()));
  }
}
