import type { Clock } from './clock.ts';
import type { WorkQueue } from './work-queue.ts';

type Busy = Pick<WorkQueue, 'inFlight'>;

/** How long others are let go first: requests that never cease keep nothing from being done. */
const MOST_YIELDED_MS = 25;
const LOOK_AGAIN_MS = 1;

/** The work that somebody waits for; what nobody waits for begins between. */
export class Foreground {
  readonly #clock: Clock;
  readonly #queues: Busy[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Lets what this queue has in hand go first from now on. */
  add(queue: Busy): void {
    this.#queues.push(queue);
  }

  /** Resolves when nothing is in hand, after 25 ms at most, or when `signal` is aborted. */
  async lull(signal: AbortSignal): Promise<void> {
    const until = this.#clock.monotonic() + MOST_YIELDED_MS;
    const isBusy = (): boolean => this.#queues.some(({ inFlight }) => inFlight > 0);
    while (isBusy() && !signal.aborted && this.#clock.monotonic() < until) {
      await this.#clock.sleep(LOOK_AGAIN_MS, signal);
    }
  }
}
