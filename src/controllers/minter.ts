import { messageOf } from '../errors.ts';
import type { Log, Store, Telemetry } from '../ports.ts';
import type { TokenPublications } from '../ports/tokens.ts';
import type { Clock } from '../runtime/clock.ts';
import { planRotation } from '../tokens/rotation.ts';
import { type TokenRecord, vaultPathOfBinding } from '../tokens/token-secret.ts';
import type { TokenDesk } from './token-desk.ts';

export interface MintedPool {
  readonly name: string;
  readonly lifetimeMs: number;
  /** How many nodes one token is good for; undefined = any number. */
  readonly uses: number | undefined;
}

export interface MinterOptions {
  readonly pools: readonly MintedPool[];
  readonly tokens: Store<TokenRecord>;
  readonly publications: TokenPublications;
  readonly desk: TokenDesk;
  /** How many nodes have used a token. */
  readonly usesOf: (tokenId: string) => number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly log: Log;
}

/** Keeps a usable token in Vault for every pool of the config and rotates it (DESIGN D11). One reconcile per pool. */
export class Minter {
  readonly #options: MinterOptions;
  /** Minted by us, until the watch shows it: a watch that lags must not make us mint another. */
  readonly #fresh = new Map<string, { readonly token: TokenRecord; readonly until: number }>();

  constructor(options: MinterOptions) {
    this.#options = options;
  }

  get pools(): readonly MintedPool[] {
    return this.#options.pools;
  }

  /** Does what the pool needs now. Answers in how many ms to look again. Throws to be retried. */
  async reconcile(poolName: string, signal: AbortSignal): Promise<number | undefined> {
    const { tokens, publications, desk, usesOf, clock, telemetry, log } = this.#options;
    const pool = this.#options.pools.find(({ name }) => name === poolName);
    if (pool === undefined) return undefined;
    if (!tokens.fresh()) throw new Error('the watch on bootstrap tokens is not up to date');
    const binding = { kind: 'pool', pool: poolName } as const;
    try {
      const published = await publications.state(vaultPathOfBinding(binding), signal);
      const step = planRotation({
        now: clock.now(),
        tokens: this.#tokensOf(poolName),
        published,
        lifetimeMs: pool.lifetimeMs,
        usesOf,
        spread: spreadOf(poolName),
      });
      if (step.kind === 'wait') return Math.min(step.untilMs - clock.now(), LOOK_AGAIN_MS);
      const { record } = await desk.issue({ binding, lifetimeMs: pool.lifetimeMs, uses: pool.uses }, signal);
      this.#fresh.set(poolName, { token: record, until: clock.now() + WATCH_LAG_MS });
      log.info({ pool: poolName, tokenId: record.id, why: step.why }, 'pool token minted');
      return SETTLE_MS;
    } catch (error) {
      telemetry.mintFailed(poolName);
      log.warn({ pool: poolName, error: messageOf(error) }, 'pool token could not be minted');
      throw error;
    }
  }

  /** The watch showed that a token went: one that was minted a moment ago counts no longer. */
  gone(token: TokenRecord): void {
    for (const [pool, fresh] of this.#fresh) if (fresh.token.uid === token.uid) this.#fresh.delete(pool);
  }

  #tokensOf(pool: string): TokenRecord[] {
    const { tokens, clock } = this.#options;
    const shown = [...tokens.values()].filter((token) => token.ours && isOfPool(token, pool));
    const fresh = this.#fresh.get(pool);
    if (fresh === undefined) return shown;
    if (clock.now() < fresh.until && tokens.get(fresh.token.id) === undefined) return [...shown, fresh.token];
    this.#fresh.delete(pool);
    return shown;
  }
}

/** Deletions on either side are noticed within this. */
const LOOK_AGAIN_MS = 30_000;
const SETTLE_MS = 5_000;
/** A watch that shows nothing for longer than this is not fresh. */
const WATCH_LAG_MS = 125_000;

function isOfPool(token: TokenRecord, pool: string): boolean {
  return token.binding?.kind === 'pool' && token.binding.pool === pool;
}

/** A stable number in [0, 1) for a name (FNV-1a). */
function spreadOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash / 2 ** 32;
}
