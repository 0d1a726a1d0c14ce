import { startApp } from '../../app.ts';
import { LogLines } from '../../ops/log-lines.ts';
import { createLog } from '../../ops/logger.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Io } from '../io.ts';
import { configReader, type RunFlags } from '../settings.ts';

/** Runs the service until it is interrupted, then finishes what is in hand. */
export async function run(flags: RunFlags, io: Io): Promise<void> {
  const reload = configReader(flags, io);
  const config = await reload();
  const lines = new LogLines((text) => io.out(text), systemClock);
  const log = createLog(config.ops.logLevel, (line, isWarning) => lines.add(line, isWarning));
  io.atExit(() => lines.flush());
  const app = await startApp({
    config,
    clock: systemClock,
    random: Math.random,
    log,
    reload,
  });
  await new Promise<void>((resolve) => {
    if (io.interrupted.aborted) resolve();
    else io.interrupted.addEventListener('abort', () => resolve(), { once: true });
  });
  log.info({}, 'stopping: finishing what is in hand');
  await app.stop();
  log.info({}, 'stopped');
}
