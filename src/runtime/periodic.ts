import type { Clock } from './clock.ts';
import type { Part } from './lifecycle.ts';

/**
 * Runs `pass` every `intervalMs`, the first time after that unless it is told `atOnce`; passes never overlap. `pass` must
 * not throw. A function is asked before each wait.
 */
export function periodic(
  name: string,
  intervalMs: number | (() => number),
  clock: Clock,
  pass: (signal: AbortSignal) => Promise<unknown>,
  first: 'atOnce' | 'later' = 'later',
): Part {
  const stopping = new AbortController();
  let done: Promise<void> = Promise.resolve();
  const loop = async (): Promise<void> => {
    if (first === 'atOnce') await pass(stopping.signal);
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
