/** Time as the rest of the program sees it. Tests hand in a clock of their own; nothing else reads the time. */
export interface Clock {
  /** Milliseconds since the epoch, as the host's clock has it. */
  now(): number;
  /** Milliseconds that never run backwards; only differences mean something. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when `signal` is aborted (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Resolves when what has arrived by now had its turn of the event loop. */
  turn(): Promise<void>;
  /** Calls `run` once after `ms`; the answer cancels it. */
  after(ms: number, run: () => void): () => void;
}

/** setTimeout fires at once for anything above 2^31-1 ms (24.8 days). */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The host's clock. Timers of more than 24.8 days fire after 24.8 days. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS));
      signal?.addEventListener('abort', done, { once: true });
    }),
  turn: () => new Promise((resolve) => setImmediate(resolve)),
  after: (ms, run) => {
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** A signal that aborts after `ms` or with `parent`, whichever comes first. */
export function deadline(ms: number, parent?: AbortSignal): AbortSignal {
  const timeout = AbortSignal.timeout(Math.ceil(Math.min(Math.max(ms, 0), LONGEST_TIMER_MS)));
  return parent === undefined ? timeout : AbortSignal.any([parent, timeout]);
}

/**
 * The wait before attempt number `attempt` (0 = first retry): exponential from `firstMs` to `mostMs`, with full jitter
 * on its upper half, so that many clients do not come back in step.
 */
export function backoff(attempt: number, firstMs: number, mostMs: number, random: () => number): number {
  const ceiling = Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 30));
  return ceiling / 2 + (ceiling / 2) * random();
}
