/** Everything about tokens: the minter of pool tokens and the sweep of what is over. */
import { runningControllers } from '../config.ts';
import { Minter } from '../controllers/minter.ts';
import { Reentry } from '../controllers/reentry.ts';
import type { TokenDesk } from '../controllers/token-desk.ts';
import { TokenCleaner } from '../controllers/token-cleaner.ts';
import { tokenSecrets } from '../kubernetes/token-secrets.ts';
import type { Transport } from '../kubernetes/transport.ts';
import type { Controller } from '../runtime/controller.ts';
import type { Informer } from '../runtime/informer.ts';
import type { Part } from '../runtime/lifecycle.ts';
import { periodic } from '../runtime/periodic.ts';
import { tokenOfClaimsMap } from '../nodes/record-format.ts';
import { isSpent } from '../nodes/spent-token.ts';
import type { TokenRecord } from '../tokens/token-secret.ts';
import type { Vault } from './connections.ts';
import type { NodeState } from './node-state.ts';
import { type Context, controllerOf } from './context.ts';

const REENTRY_MS = 10_000;

export interface TokenSide {
  readonly controllers: readonly Controller[];
  readonly parts: readonly Part[];
}

/** Wires the token half of the service; `desk` is undefined where the minter does not run. */
export function tokenSide(
  context: Context,
  transport: Transport,
  tokens: Informer<TokenRecord>,
  vault: Vault,
  { records, claims, informer: state, nodes }: NodeState,
  desk: TokenDesk | undefined,
): TokenSide {
  const { config, clock, log, metrics } = context;
  const { publications } = vault;
  const cleaner = new TokenCleaner({
    tokens,
    secrets: tokenSecrets(transport),
    publications,
    isSpent: (token) => {
      // What is not known to be used is not.
      if (!records.fresh()) return false;
      return isSpent(token, {
        recordOf: (node) => records.asStored(node),
        claims: claims.claimsOf(token.id),
        now: clock.now(),
      });
    },
    dryRun: config.cleaner.dryRun || config.mode === 'observe',
    clock,
    telemetry: metrics,
    log,
  });
  tokens.subscribe({ put: (token) => cleaner.changed(token), gone: (token) => cleaner.changed(token) });
  const sweep = periodic('token cleaner', config.cleaner.interval, clock, (signal) => cleaner.sweep(signal));
  const parts = config.controllers.includes('cleaner') ? [sweep] : [];
  if (desk === undefined) return { controllers: [], parts };

  const pools = Object.entries(config.pools).map(([name, { tokenLifetime, uses }]) => ({
    name,
    lifetimeMs: tokenLifetime,
    uses,
  }));
  const minter = new Minter({
    pools,
    tokens,
    publications,
    desk,
    usesOf: (tokenId) => claims.claimsOf(tokenId).size,
    clock,
    telemetry: metrics,
    log,
  });
  const minting = controllerOf(context, {
    name: 'minter',
    concurrency: config.minter.concurrency,
    reconcile: (pool, signal) => minter.reconcile(pool, signal),
    placeOf: () => ({ class: 'pool', weight: 1, user: '', flow: '' }),
  });
  const lost = (token: TokenRecord): void => {
    minter.gone(token);
    if (token.binding?.kind === 'pool') minting.add(token.binding.pool);
  };
  // A token that just appeared is most likely our own, half published: only a loss is urgent.
  tokens.subscribe({ put: () => {}, gone: lost });
  state.subscribe({
    put: ({ name }) => {
      const token = tokens.get(tokenOfClaimsMap(name) ?? '');
      if (token?.binding?.kind === 'pool') minting.add(token.binding.pool);
    },
    gone: () => {},
  });
  const { enabled, tokenLifetime, within, perMinute } = config.minter.reentry;
  const reentry = new Reentry({
    tokens,
    records,
    nodes,
    desk,
    poolServes: (pool) => config.pools[pool] !== undefined && config.pools[pool].rejoin !== 'never',
    lifetimeMs: tokenLifetime,
    withinMs: within,
    mostPerPass: Math.floor((perMinute * REENTRY_MS) / 60_000),
    concurrency: config.minter.concurrency,
    clock,
    log,
  });
  // A token for re-entry is of use where this service approves it.
  if (enabled && runningControllers(config).has('approver') && config.mode !== 'observe') {
    parts.push(periodic('re-entry', REENTRY_MS, clock, (signal) => reentry.pass(signal)));
  }
  const fill = { name: 'minter', start: () => pools.forEach(({ name }) => minting.add(name)), stop: () => {} };
  return { controllers: [minting], parts: [...parts, fill] };
}
