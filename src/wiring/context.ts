import type { Config } from '../config.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { Log } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { Controller, type ControllerOptions } from '../runtime/controller.ts';
import type { Foreground } from '../runtime/foreground.ts';
import { Informer, type ListWatch } from '../runtime/informer.ts';
import { isRemote, messageOf } from '../errors.ts';

/** What every part of the service is made with. */
export interface Context {
  readonly config: Config;
  /** What decides and signs. */
  readonly foreground: Foreground;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** An informer whose failures are logged. */
export function informerOf<T>({ clock, random, log }: Context, name: string, source: ListWatch<T>): Informer<T> {
  return new Informer({
    name,
    source,
    clock,
    random,
    onFailure: (message, retryInMs) => log.warn({ informer: name, retryInMs: Math.round(retryInMs) }, message),
  });
}

/** A controller whose failures are logged and counted. */
export function controllerOf(
  { clock, random, log, metrics }: Context,
  options: Pick<ControllerOptions, 'name' | 'concurrency' | 'reconcile' | 'placeOf' | 'drains' | 'limits' | 'onRoom'>,
): Controller {
  return new Controller({
    ...options,
    // What is decided before every watch is complete would be decided without the facts.
    paused: true,
    clock,
    random,
    onFailure: (key, error, retryInMs) => {
      metrics.retried(options.name);
      const code = isRemote(error) ? error.code : undefined;
      const fields = { controller: options.name, key, code, retryInMs: Math.round(retryInMs) };
      log.warn({ ...fields, error: messageOf(error) }, 'held, to be tried again');
    },
  });
}
