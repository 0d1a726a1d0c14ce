import type { ExpiryWatch } from '../controllers/expiry-watch.ts';
import { type MetricSources, signerLabel } from '../ops/metrics.ts';
import { CSR_STATES, stateOf } from '../policy/csr-state.ts';
import type { Csr, Store } from '../ports.ts';
import type { Controller } from '../runtime/controller.ts';
import type { Informer } from '../runtime/informer.ts';
import { isUsable } from '../tokens/rotation.ts';
import type { TokenRecord } from '../tokens/token-secret.ts';

/** What the gauges look at; the lists are filled while the service is wired. */
export interface Observed {
  readonly csrs: () => Store<Csr>;
  readonly tokens: () => Store<TokenRecord>;
  readonly pools: readonly string[];
  readonly controllers: readonly Controller[];
  readonly informers: readonly Pick<Informer<unknown>, 'name' | 'size' | 'fresh'>[];
  readonly configCurrent: () => boolean;
  readonly breadth: () => number;
  readonly late: () => number;
  readonly signerHeld: () => boolean;
  readonly vaultProblems: MetricSources['vaultProblems'];
  readonly authorityNotAfter: () => number | undefined;
  readonly expiry: () => Pick<ExpiryWatch, 'rows' | 'lookedAt'>;
  readonly otherAuthorities: MetricSources['otherAuthorities'];
  readonly now: () => number;
}

/** The sources of the gauges: everything is counted when it is scraped. */
export function gaugesOf(observed: Observed): MetricSources {
  return {
    csrs: () => countCsrs(observed.csrs()),
    queues: () =>
      observed.controllers.map(({ name, queue }) => ({
        controller: name,
        depth: queue.depth,
        inFlight: queue.inFlight,
        delayed: queue.delayed,
      })),
    authorityNotAfter: observed.authorityNotAfter,
    otherAuthorities: observed.otherAuthorities,
    configCurrent: observed.configCurrent,
    breadth: observed.breadth,
    late: observed.late,
    signerHeld: observed.signerHeld,
    expiring: () => observed.expiry().rows(),
    expiryLookedAt: () => observed.expiry().lookedAt,
    vaultProblems: observed.vaultProblems,
    pools: () => observed.pools.map((pool) => countPool(pool, observed.tokens(), observed.now())),
    informers: () =>
      observed.informers.map((informer) => ({
        informer: informer.name,
        objects: informer.size,
        fresh: informer.fresh(),
      })),
  };
}

function countCsrs(csrs: Store<Csr>): { signer: string; state: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const csr of csrs.values()) {
    const key = `${signerLabel(csr.signerName)} ${stateOf(csr)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  // Zeros are written, too: a graph that ends tells less than one that falls to the ground.
  return ['client', 'serving', 'other'].flatMap((signer) =>
    CSR_STATES.map((state) => ({ signer, state, count: counts.get(`${signer} ${state}`) ?? 0 })),
  );
}

function countPool(
  pool: string,
  tokens: Store<TokenRecord>,
  now: number,
): { pool: string; usable: number; expiresAt: number | undefined } {
  const usable = [...tokens.values()].filter(
    (token) => token.binding?.kind === 'pool' && token.binding.pool === pool && isUsable(token, now),
  );
  const ends = usable.map((token) => token.expiresAt ?? Number.POSITIVE_INFINITY);
  return { pool, usable: usable.length, expiresAt: ends.length === 0 ? undefined : Math.max(...ends) };
}
