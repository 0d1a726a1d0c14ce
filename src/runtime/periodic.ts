import type { Clock } from './clock.ts';
import type { Part } from './lifecycle.ts';

/**
 * Runs `pass` every `intervalMs`, the first time after that; passes never overlap. `pass` must not throw. A function is
 * asked before each wait.
 */
export function periodic(
  name: string,
  intervalMs: number | (() => number),
  clock: Clock,
  pass: (signal: AbortSignal) => Promise<unknown>,
): Part {
  const stopping = new AbortController();
  let done: Promise<void> = Promise.resolve();
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await clock.sleep(typeof intervalMs === 'number' ? intervalMs : intervalMs(), stopping.signal);
      if (!stopping.signal.aborted) await pass(stopping.signal);
    }
  };
  return {
    name,
    start: () => {
      done = loop();
    },
    stop: () => {
      stopping.abort();
      return done;
    },
  };
}
