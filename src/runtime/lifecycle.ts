import { deadline } from './clock.ts';

/** A part of the service that is started and stopped. */
export interface Part {
  readonly name: string;
  start(): void | Promise<void>;
  /** Finishes what is in hand; `signal` aborts when time is up, and then it has to let go. */
  stop(signal: AbortSignal): void | Promise<void>;
}

/**
 * Starts the parts in order. When one cannot start, those that did are stopped again and the error goes on.
 * The answer stops all of them in reverse order and never rejects: what a part throws goes to `onStopFailure`.
 */
export async function startAll(
  parts: readonly Part[],
  onStopFailure: (name: string, error: unknown) => void,
): Promise<(signal: AbortSignal) => Promise<void>> {
  const started: Part[] = [];
  const stop = async (signal: AbortSignal): Promise<void> => {
    for (const part of started.toReversed()) {
      try {
        await part.stop(signal);
      } catch (error) {
        onStopFailure(part.name, error);
      }
    }
    started.length = 0;
  };
  try {
    for (const part of parts) {
      await part.start();
      started.push(part);
    }
  } catch (error) {
    await stop(deadline(5_000));
    throw error;
  }
  return stop;
}
