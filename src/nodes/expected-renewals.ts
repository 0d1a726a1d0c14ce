/**
 * How many renewals are to be expected in each hour to come. Every certificate counts with the probability that its
 * kubelet renews in that hour, and so does what it gets then. No lots are drawn: the same input gives the same figures.
 */

/** `count` renewals that begin in this stretch of time, evenly; ms from now. It may have begun, or be over. */
export interface RenewalSpan {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

const CELL_MS = 60_000;
const CELLS_PER_HOUR = 60;

/**
 * Renewals in each of the next `hours` hours: those of `first`, and all that follow them. What is left of a span begins
 * evenly in what is left of it; where it is over, at once. `again`: how long after a renewal its certificate is renewed,
 * evenly within these bounds, in ms. First renewals are counted exactly, those that follow to the minute, and none
 * follows sooner than a minute.
 */
export function expectedRenewals(
  first: readonly RenewalSpan[],
  again: { readonly from: number; readonly to: number },
  hours: number,
): number[] {
  const cells = hours * CELLS_PER_HOUR;
  const renewals = perCell(first, cells);
  const from = Math.max(1, again.from / CELL_MS);
  const to = Math.max(from + 1, again.to / CELL_MS);
  // Over the cells before k: how many renewals, and the sum of their cells' numbers.
  const counts = new Float64Array(cells + 1);
  const moments = new Float64Array(cells + 1);
  const areaUntil = (end: number): number => {
    const before = Math.max(0, Math.ceil(end));
    return end * (counts[before] ?? 0) - (moments[before] ?? 0);
  };
  for (let cell = 0; cell < cells; cell += 1) {
    // A renewal counts as in the middle of its cell. This is the renewal equation with the integral of the counts.
    const begun = (after: number): number => areaUntil(cell + 0.5 - after) - areaUntil(cell - 0.5 - after);
    const total = (renewals[cell] ?? 0) + Math.max(0, (begun(from) - begun(to)) / (to - from));
    counts[cell + 1] = (counts[cell] ?? 0) + total;
    moments[cell + 1] = (moments[cell] ?? 0) + total * cell;
  }
  return Array.from({ length: hours }, (_, hour) => {
    const start = hour * CELLS_PER_HOUR;
    return (counts[start + CELLS_PER_HOUR] ?? 0) - (counts[start] ?? 0);
  });
}

/** What of the spans falls into each cell. A span costs the same however long it is. */
function perCell(spans: readonly RenewalSpan[], cells: number): Float64Array {
  const edges = new Float64Array(cells + 2);
  const changes = new Float64Array(cells + 2);
  const at = (cell: number): number => Math.min(cell, cells + 1);
  const add = (list: Float64Array, cell: number, amount: number): void => {
    list[at(cell)] = (list[at(cell)] ?? 0) + amount;
  };
  for (const span of spans) {
    const from = Math.max(0, span.from) / CELL_MS;
    const to = Math.max(0, span.to) / CELL_MS;
    const [opens, closes] = [Math.floor(from), Math.floor(to)];
    if (opens === closes) {
      add(edges, opens, span.count);
      continue;
    }
    const density = span.count / (to - from);
    add(edges, opens, density * (opens + 1 - from));
    add(changes, opens + 1, density);
    add(changes, closes, -density);
    add(edges, closes, density * (to - closes));
  }
  let level = 0;
  return edges.map((edge, cell) => {
    level += changes[cell] ?? 0;
    return edge + level;
  });
}
