import { messageOf } from '../errors.ts';
import type { Log, Store, Telemetry } from '../ports.ts';
import type { TokenPublications, TokenSecrets } from '../ports/tokens.ts';
import type { Clock } from '../runtime/clock.ts';
import { isUsable } from '../tokens/rotation.ts';
import type { TokenRecord } from '../tokens/token-secret.ts';

export interface TokenCleanerOptions {
  readonly tokens: Store<TokenRecord>;
  readonly secrets: TokenSecrets;
  readonly publications: TokenPublications;
  /** Nobody needs the token any more (DESIGN D8). */
  readonly isSpent: (token: TokenRecord) => boolean;
  readonly dryRun: boolean;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly log: Log;
}

/** How long after its own end a machine can still learn from Vault that its token is over, rather than never issued. */
const TOMBSTONE_MS = 24 * 3_600_000;
/** An entry this young may belong to a token that the watch has not shown yet. */
const YOUNG_MS = 5 * 60_000;
/** A tombstone is not read again for so long, unless a token for its path comes or goes. */
const REMEMBERED_MS = 3_600_000;
const FOLDERS = ['nodes', 'pools'] as const;

/**
 * Removes this service's tokens that are over, on both sides (DESIGN D11): expired and spent ones, Secrets whose
 * publication never ended, Vault entries whose Secret is gone, and old tombstones. Tokens that others made are never touched.
 */
export class TokenCleaner {
  readonly #options: TokenCleanerOptions;
  /** Paths of tombstones, and when to read them again. */
  readonly #tombstones = new Map<string, number>();

  constructor(options: TokenCleanerOptions) {
    this.#options = options;
  }

  /** To be told of every token that is new, changed or gone. */
  changed({ vaultPath }: TokenRecord): void {
    if (vaultPath !== undefined) this.#tombstones.delete(vaultPath);
  }

  /** One pass; a failure concerns one token and is left to the next pass. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { tokens, clock } = this.#options;
    if (!tokens.fresh()) return;
    const now = clock.now();
    const live = new Set<string>();
    for (const token of [...tokens.values()].filter(({ ours }) => ours)) {
      if (signal.aborted) return;
      if (!isUsable(token, now)) await this.#guarded(token.id, () => this.#removeToken(token, 'expired', signal));
      else if (this.#options.isSpent(token))
        await this.#guarded(token.id, () => this.#removeToken(token, 'spent', signal));
      else if (token.publishingUntil === undefined) live.add(token.vaultPath ?? '');
      else if (token.publishingUntil < now) await this.#guarded(token.id, () => this.#finish(token, signal));
      else live.add(token.vaultPath ?? '');
    }
    for (const folder of FOLDERS) {
      await this.#guarded(folder, () => this.#sweepFolder(folder, live, now, signal));
    }
  }

  /** Its publication ended or never will: either it is in Vault and good, or nobody knows its secret. */
  async #finish(token: TokenRecord, signal: AbortSignal): Promise<void> {
    const { secrets, publications } = this.#options;
    const path = token.vaultPath;
    const standing = path === undefined ? undefined : await publications.state(path, signal);
    if (standing?.kind === 'live' && standing.tokenId === token.id) {
      if (!this.#options.dryRun) await secrets.markPublished(token, signal);
      return;
    }
    await this.#removeToken(token, 'half-done', signal);
  }

  async #removeToken(token: TokenRecord, why: 'expired' | 'spent' | 'half-done', signal: AbortSignal): Promise<void> {
    const { secrets, publications, dryRun, telemetry, log } = this.#options;
    const fields = { tokenId: token.id, why };
    if (dryRun) {
      log.info(fields, 'token would be removed (dry run)');
      return;
    }
    if (token.vaultPath !== undefined) {
      const standing = await publications.state(token.vaultPath, signal);
      if (standing.kind === 'live' && standing.tokenId === token.id) {
        await publications.withdraw(token.vaultPath, signal);
      }
    }
    await secrets.remove(token, signal);
    telemetry.removedToken(why);
    log.info(fields, 'token removed');
  }

  async #sweepFolder(folder: string, live: ReadonlySet<string>, now: number, signal: AbortSignal): Promise<void> {
    const paths = new Set(await this.#options.publications.list(folder, signal));
    for (const path of this.#tombstones.keys()) {
      if (path.startsWith(`${folder}/`) && !paths.has(path)) this.#tombstones.delete(path);
    }
    for (const path of paths) {
      if (signal.aborted) return;
      if (!live.has(path) && (this.#tombstones.get(path) ?? 0) <= now)
        await this.#guarded(path, () => this.#sweepEntry(path, now, signal));
    }
  }

  async #sweepEntry(path: string, now: number, signal: AbortSignal): Promise<void> {
    const { tokens, publications, dryRun, log, secrets } = this.#options;
    const standing = await publications.state(path, signal);
    const age = now - (standing.updatedAt ?? now);
    if (standing.kind === 'absent' || age < YOUNG_MS) return;
    if (standing.kind === 'gone') {
      const until = Math.max(standing.updatedAt ?? now, standing.endsAt ?? 0) + TOMBSTONE_MS;
      this.#tombstones.set(path, Math.min(until, now + REMEMBERED_MS));
      if (now < until) return;
    }
    // The watch may lag behind an issue: the API server itself has the last word.
    if (standing.kind === 'live' && standing.tokenId !== undefined) {
      const record = await secrets.get(standing.tokenId, signal);
      if (record !== undefined && isUsable(record, now)) return;
    }
    // Whoever issues a token here now has made its Secret first: the path is theirs.
    if ([...tokens.values()].some((token) => token.vaultPath === path && isUsable(token, now))) return;
    const fields = { vaultPath: path, state: standing.kind };
    if (dryRun) {
      log.info(fields, 'Vault entry would be removed (dry run)');
      return;
    }
    // Withdrawing tells a newer version from the one that was judged; forgetting, which cannot, is for tombstones.
    if (standing.kind === 'live') await publications.withdraw(path, signal);
    else await publications.forget(path, signal);
    log.info(fields, 'Vault entry without a token removed');
  }

  async #guarded(what: string, step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#options.log.warn({ what, error: messageOf(error) }, 'token sweep: left to the next pass');
    }
  }
}
