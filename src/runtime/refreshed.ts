import { abortable } from './abortable.ts';
import { type Clock, deadline } from './clock.ts';

export interface RefreshedOptions<T> {
  /** Reads it; `held` is what was read before. */
  readonly load: (held: T | undefined, signal: AbortSignal) => Promise<T>;
  /** Whether what is held is of no use any more. */
  readonly isOver: (held: T) => boolean;
  /** Told when `load` failed and what is held stays. */
  readonly onProblem: (error: unknown) => void;
  readonly clock: Clock;
  /** How long it is used before it is loaded again; default 60 s. */
  readonly refreshMs?: number | undefined;
  /** The most that one load may take; default 10 s. */
  readonly loadTimeoutMs?: number | undefined;
}

/**
 * Answers what is in force. It is loaded when first asked for and again after `refreshMs`, once for all who ask
 * meanwhile; a load that fails does not displace what is held and not over. Throws what `load` threw.
 */
export function refreshed<T>(options: RefreshedOptions<T>): (signal: AbortSignal) => Promise<T> {
  const { load, isOver, onProblem, clock, refreshMs = 60_000, loadTimeoutMs = 10_000 } = options;
  let held: { readonly value: T } | undefined;
  let checkedAt = 0;
  let loading: Promise<T> | undefined;

  async function loadOnce(): Promise<T> {
    try {
      held = { value: await load(held?.value, deadline(loadTimeoutMs)) };
      checkedAt = clock.monotonic();
      return held.value;
    } catch (error) {
      if (held === undefined || isOver(held.value)) throw error;
      checkedAt = clock.monotonic();
      onProblem(error);
      return held.value;
    } finally {
      loading = undefined;
    }
  }

  return async (signal) => {
    signal.throwIfAborted();
    if (held !== undefined && !isOver(held.value) && clock.monotonic() - checkedAt < refreshMs) return held.value;
    loading ??= loadOnce();
    return abortable(loading, signal);
  };
}
