import { isRemote, messageOf, RefusedError } from '../errors.ts';
import type { Log, Telemetry, TokenPublications, TokenSecrets } from '../ports.ts';
import { type Clock, deadline } from '../runtime/clock.ts';
import { type Binding, describeBinding, groupOfBinding } from '../tokens/binding.ts';
import { type BootstrapToken, drawToken, formatToken } from '../tokens/bootstrap-token.ts';
import { isUsable } from '../tokens/rotation.ts';
import { formatTime, secretOfToken, type TokenRecord, vaultPathOfBinding } from '../tokens/token-secret.ts';

export interface TokenDeskOptions {
  readonly secrets: TokenSecrets;
  readonly publications: TokenPublications;
  readonly clock: Clock;
  readonly randomBytes: (count: number) => Uint8Array;
  /** How nodes reach the API server: goes into Vault beside the token. */
  readonly cluster: { readonly server: string; readonly caCertificate: string };
  readonly telemetry: Telemetry;
  readonly log: Log;
}

export interface IssueRequest {
  readonly binding: Binding;
  readonly lifetimeMs: number;
  readonly description?: string | undefined;
  /** How many nodes it is good for; any number without it. */
  readonly uses?: number | undefined;
  /** Lets it replace a node that is alive (DESIGN D9). */
  readonly replacesLive?: boolean | undefined;
  /** Lets a known node in again (`reentry.ts`). */
  readonly reentry?: boolean | undefined;
  /** Vouched for in serving certificates of its node (DESIGN D10). */
  readonly addresses?: readonly string[] | undefined;
}

export interface IssuedToken {
  readonly token: BootstrapToken;
  readonly record: TokenRecord;
  readonly vaultPath: string;
}

/** How long a publication may take: past it the sweep may remove what is half done (DESIGN D11). */
export const PUBLISHING_MS = 2 * 60_000;
/** Publishing ends this much before that, so that no write is under way when the sweep looks. */
const MARGIN_MS = 20_000;
const ID_ATTEMPTS = 3;

/**
 * Makes and revokes tokens in an order that is safe to interrupt anywhere (DESIGN D11): a token that can be fetched
 * from Vault always works; what a crash leaves is a Secret whose secret part nobody knows, which the sweep removes.
 */
export class TokenDesk {
  readonly #options: TokenDeskOptions;

  constructor(options: TokenDeskOptions) {
    this.#options = options;
  }

  /** How nodes reach the API server. */
  get cluster(): { readonly server: string; readonly caCertificate: string } {
    return this.#options.cluster;
  }

  /**
   * Creates the Secret, publishes to Vault with check-and-set, answers. On failure both are taken back.
   * Throws RefusedError `AlreadyExists` when the node has a usable token or somebody else issues one at this moment.
   */
  async issue(request: IssueRequest, signal: AbortSignal): Promise<IssuedToken> {
    const { publications, clock, telemetry, log } = this.#options;
    const { binding } = request;
    const vaultPath = vaultPathOfBinding(binding);
    // In this order: whoever publishes after the first of these loses us the check-and-set, whoever did before is found.
    const before = await publications.state(vaultPath, signal);
    if (binding.kind === 'node') await this.#refuseSecond(binding.node, signal);
    const publishingUntil = clock.now() + PUBLISHING_MS;
    const { token, record } = await this.#createSecret(request, vaultPath, publishingUntil, signal);
    const inTime = deadline(Math.max(0, publishingUntil - MARGIN_MS - clock.now()), signal);
    try {
      const entry = {
        token: formatToken(token),
        expiresAt: formatTime(record.expiresAt ?? 0),
        server: this.#options.cluster.server,
        caCertificate: this.#options.cluster.caCertificate,
      };
      await publications.publish(vaultPath, token.id, entry, before.version, request.lifetimeMs, inTime);
    } catch (error) {
      await this.#takeBack(record, vaultPath, before.version);
      if (isRemote(error, 'Conflict')) {
        const message = `somebody else is issuing a token for ${describeBinding(binding)} at this moment`;
        throw new RefusedError('AlreadyExists', message, { cause: error });
      }
      throw error;
    }
    await this.#markPublished(record, vaultPath, before.version, signal);
    telemetry.minted(binding.kind);
    log.info(
      { tokenId: token.id, binding: describeBinding(binding), vaultPath, expiresAt: record.expiresAt },
      'token issued',
    );
    return { token, record, vaultPath };
  }

  /** Withdraws the token from Vault, confirms that, then deletes its Secret. Safe to repeat. */
  async revoke(record: TokenRecord, signal: AbortSignal): Promise<void> {
    const { secrets, publications, log } = this.#options;
    if (record.vaultPath !== undefined) {
      const standing = await publications.state(record.vaultPath, signal);
      if (standing.kind === 'live' && standing.tokenId === record.id) {
        await publications.withdraw(record.vaultPath, signal);
      }
    }
    await secrets.remove(record, signal);
    log.info({ tokenId: record.id, vaultPath: record.vaultPath }, 'token revoked');
  }

  async #refuseSecond(node: string, signal: AbortSignal): Promise<void> {
    const now = this.#options.clock.now();
    const group = groupOfBinding({ kind: 'node', node });
    const tokens = await this.#options.secrets.list(signal);
    const held = tokens.find((token) => token.groups.includes(group) && isUsable(token, now));
    if (held === undefined) return;
    const until = held.expiresAt === undefined ? 'for ever' : `until ${formatTime(held.expiresAt)}`;
    throw new RefusedError(
      'AlreadyExists',
      `node ${node} has token ${held.id}, good ${until}: revoke it first (bootstrap-token revoke ${held.id}), or pass --replace`,
    );
  }

  async #createSecret(
    request: IssueRequest,
    vaultPath: string,
    publishingUntil: number,
    signal: AbortSignal,
  ): Promise<{ token: BootstrapToken; record: TokenRecord }> {
    const { secrets, clock, randomBytes } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      const token = drawToken(randomBytes);
      const issuedAt = clock.now();
      const { lifetimeMs, ...marks } = request;
      const expiresAt = issuedAt + lifetimeMs;
      const secret = secretOfToken({
        ...marks,
        token,
        expiresAt,
        issuedAt,
        publishingUntil,
        vaultPath,
        description: marks.description,
      });
      try {
        return { token, record: await secrets.create(secret, signal) };
      } catch (error) {
        // Two billion IDs: one that is taken is drawn again, three in a row are something else.
        if (!isRemote(error, 'AlreadyExists') || attempt === ID_ATTEMPTS) throw error;
      }
    }
  }

  /** The token is good already: a mark that cannot be taken off now is left to the sweep, a Secret that is gone is not. */
  async #markPublished(record: TokenRecord, vaultPath: string, before: number, signal: AbortSignal): Promise<void> {
    const { secrets, log } = this.#options;
    try {
      await secrets.markPublished(record, signal);
    } catch (error) {
      // `Invalid` is what the API server says to a patch of another uid.
      if (isRemote(error, 'NotFound', 'Invalid')) {
        await this.#takeBack(record, vaultPath, before);
        throw new RefusedError('NotFound', `token ${record.id} was revoked while it was issued`, { cause: error });
      }
      log.warn({ tokenId: record.id, error: messageOf(error) }, 'the publishing mark of a token is left to the sweep');
    }
  }

  /**
   * After a failed publication over version `before`: what stands there now is only ours if it is a later one, whatever
   * token ID the metadata names. What cannot be taken back now is left to the sweep, which knows it by its mark.
   */
  async #takeBack(record: TokenRecord, vaultPath: string, before: number): Promise<void> {
    const { secrets, publications, log } = this.#options;
    const signal = deadline(10_000);
    try {
      const standing = await publications.state(vaultPath, signal);
      const ours = standing.kind === 'live' && standing.tokenId === record.id && standing.version !== before;
      if (ours) await publications.forget(vaultPath, signal);
      await secrets.remove(record, signal);
    } catch (error) {
      const code = isRemote(error) ? error.code : 'unknown';
      log.warn({ tokenId: record.id, code }, 'a token that could not be published is left to the sweep');
    }
  }
}
