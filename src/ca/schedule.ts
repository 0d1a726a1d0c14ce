/** Two CAs at once, told apart by time. */

/** `signing`: of every certificate from now on; `next`: signs later; `previous`: signed until the other's time came. */
export type CaRole = 'signing' | 'next' | 'previous';

/** A CA with its part in a rotation. */
export interface Scheduled<T> {
  readonly role: CaRole;
  readonly ca: T;
  /** Since when or from when it signs, ms since the epoch; undefined for the first of two, and while no time is set. */
  readonly from: number | undefined;
}

/** Whether the time of the next CA has come. One without a time is only trusted, and signs nothing. */
export function hasBegun(from: number | undefined, now: number): boolean {
  return from !== undefined && now >= from;
}

/** The part of each; the one that signs comes first. */
export function schedule<T>(
  current: T,
  next: { readonly ca: T; readonly from: number | undefined } | undefined,
  now: number,
): readonly [Scheduled<T>, ...Scheduled<T>[]] {
  if (next === undefined) return [{ role: 'signing', ca: current, from: undefined }];
  return hasBegun(next.from, now)
    ? [
        { role: 'signing', ...next },
        { role: 'previous', ca: current, from: undefined },
      ]
    : [
        { role: 'signing', ca: current, from: undefined },
        { role: 'next', ...next },
      ];
}
