import { RefusedError } from '../errors.ts';

/** A clock that is off by more, or by half the life of a token, is not synchronised at all. */
const MOST_OFF_MS = 5 * 60_000;

/**
 * Why a host must not issue a token of this life, when the API server's clock is so far ahead of its own (behind:
 * negative): the token would end too early, or much too late. Undefined where nothing is in the way.
 */
export function clockOff(aheadMs: number, lifetimeMs: number): RefusedError | undefined {
  if (Math.abs(aheadMs) <= Math.min(MOST_OFF_MS, lifetimeMs / 2)) return undefined;
  const by = `${Math.round(Math.abs(aheadMs) / 1000)} s ${aheadMs > 0 ? 'behind' : 'ahead of'}`;
  return new RefusedError('ClockOff', `this host's clock is ${by} the API server's: synchronise them`);
}
