import type { RequestView } from '../policy/request.ts';
import type { RequestPath } from '../policy/verdict.ts';
import type { Place } from '../runtime/fair-queue.ts';

/** A new machine is worth nothing until it has its first certificate; a renewal has days to go (DESIGN D13). */
const WEIGHTS: Readonly<Record<RequestPath, number>> = { bootstrap: 4, renewal: 2, serving: 1, other: 1 };

/** Where a CSR stands in line: its class by weight, within the class fair by requester, then by name. */
export function placeOf(request: RequestView | undefined): Place {
  if (request === undefined) return { class: 'other', weight: WEIGHTS.other, user: '', flow: '' };
  return {
    class: request.path,
    weight: WEIGHTS[request.path],
    user: request.csr.requester.username,
    flow: request.commonName ?? '',
  };
}
