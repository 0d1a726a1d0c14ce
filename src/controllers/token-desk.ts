import { isRemote, messageOf, RefusedError } from '../errors.ts';
import type { Log, Telemetry } from '../ports.ts';
import type { PublishedToken, TokenPublications, TokenSecrets } from '../ports/tokens.ts';
import { type Clock, deadline } from '../runtime/clock.ts';
import { clockOff } from './clock-off.ts';
import { type Binding, describeBinding } from '../tokens/binding.ts';
import { type BootstrapToken, drawToken, formatToken } from '../tokens/bootstrap-token.ts';
import { isUsable } from '../tokens/rotation.ts';
import { formatTime, secretOfToken, type TokenRecord, tokensOf, vaultPathOfBinding } from '../tokens/token-secret.ts';

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

export interface NodeRequest extends IssueRequest {
  readonly binding: Extract<Binding, { kind: 'node' }>;
}

export interface IssuedToken {
  readonly token: BootstrapToken;
  readonly record: TokenRecord;
  readonly vaultPath: string;
}

/** A token in the place of others, which have to be revoked now. */
export interface Replacement extends IssuedToken {
  readonly predecessors: readonly TokenRecord[];
}

/** What stands for a node or pool. */
export interface Standing {
  /** Of the entry in Vault. */
  readonly version: number;
  /** Every token for it, whoever made it. */
  readonly tokens: readonly TokenRecord[];
  /** The one of ours that is usable and can be fetched. */
  readonly held: TokenRecord | undefined;
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
   * Creates the Secret (and announces the token at the same time), publishes to Vault with check-and-set, answers. On failure both are taken back.
   * Throws RefusedError `AlreadyExists` when the node has a usable token or somebody else issues one at this moment.
   */
  async issue(request: IssueRequest, signal: AbortSignal): Promise<IssuedToken> {
    const { publications, secrets } = this.#options;
    const { binding } = request;
    // In this order: whoever publishes after the first of these loses us the check-and-set, whoever did before is found.
    const before = await publications.state(vaultPathOfBinding(binding), signal);
    if (binding.kind === 'node') this.refuseSecond(binding.node, await secrets.list(signal));
    return this.issueOver(request, before.version, signal);
  }

  /** Throws RefusedError `AlreadyExists` when one of these tokens is for this node and usable. */
  refuseSecond(node: string, tokens: readonly TokenRecord[]): void {
    const now = this.#options.clock.now();
    const held = tokensOf({ kind: 'node', node }, tokens).find((token) => isUsable(token, now));
    if (held === undefined) return;
    const until = held.expiresAt === undefined ? 'for ever' : `until ${formatTime(held.expiresAt)}`;
    throw new RefusedError(
      'AlreadyExists',
      `node ${node} has token ${held.id}, good ${until}: revoke it first (bootstrap-token revoke ${held.id}), or pass --replace`,
    );
  }

  /**
   * Issues although there are tokens for the same node or pool, and answers those: to be revoked now that the new one
   * can be fetched in their place. When it throws, they are as they were.
   */
  async replace(request: IssueRequest, signal: AbortSignal): Promise<Replacement> {
    const { version, tokens } = await this.look(request.binding, await this.#options.secrets.list(signal), signal);
    return { ...(await this.issueOver(request, version, signal)), predecessors: tokens };
  }

  /** What stands for a node or pool. `known` are all tokens, read before. */
  async look(binding: Binding, known: readonly TokenRecord[], signal: AbortSignal): Promise<Standing> {
    const { publications, secrets, clock } = this.#options;
    const { kind, tokenId, version } = await publications.state(vaultPathOfBinding(binding), signal);
    const fetched = kind === 'live' ? tokenId : undefined;
    // One that was issued after the list was read.
    const isLate = fetched !== undefined && !known.some(({ id }) => id === fetched);
    const late = isLate ? await secrets.get(fetched, signal) : undefined;
    const tokens = tokensOf(binding, late === undefined ? known : [...known, late]);
    const held = tokens.find(({ id, ours }) => id === fetched && ours);
    return { version, tokens, held: held !== undefined && isUsable(held, clock.now()) ? held : undefined };
  }

  /** Takes the mark off a token that can be fetched: whoever issued it was interrupted. */
  async finish(record: TokenRecord, signal: AbortSignal): Promise<void> {
    if (record.publishingUntil !== undefined) await this.#options.secrets.markPublished(record, signal);
  }

  /**
   * Gives a token another end, in its Secret and, where it can be fetched, in Vault: the later end first in the Secret,
   * the earlier one first in Vault, so that a token that can be fetched always works. Safe to repeat.
   * Answers whether it can be fetched. Throws RefusedError `NotFound` for one that logs in no more, `AlreadyExists`
   * while it is being issued.
   */
  async extend(record: TokenRecord, expiresAt: number, signal: AbortSignal): Promise<boolean> {
    const { secrets, clock } = this.#options;
    if (!isUsable(record, clock.now())) {
      throw new RefusedError('NotFound', `token ${record.id} is not usable any more: issue another`);
    }
    if (record.publishingUntil !== undefined && clock.now() < record.publishingUntil) {
      throw new RefusedError('AlreadyExists', `token ${record.id} is being issued at this moment`);
    }
    const sooner = expiresAt < (record.expiresAt ?? Number.POSITIVE_INFINITY);
    if (!sooner) await secrets.setExpiry(record, expiresAt, signal);
    const fetchable = await this.#republish(record, expiresAt, signal);
    if (sooner) await secrets.setExpiry(record, expiresAt, signal);
    const fields = { tokenId: record.id, vaultPath: record.vaultPath, expiresAt: formatTime(expiresAt) };
    this.#options.log.info(fields, 'token extended');
    return fetchable;
  }

  /**
   * Issues over what stands in Vault in this version (of `look`), whatever tokens there are. Throws RefusedError
   * `AlreadyExists` when another version stands there by now.
   */
  async issueOver(request: IssueRequest, before: number, signal: AbortSignal): Promise<IssuedToken> {
    const { publications, clock, telemetry, log } = this.#options;
    const { binding } = request;
    const vaultPath = vaultPathOfBinding(binding);
    const publishingUntil = clock.now() + PUBLISHING_MS;
    const inTime = deadline(PUBLISHING_MS - MARGIN_MS, signal);
    const announce = (id: string, expiresAt: number): Promise<void> =>
      publications.announce(vaultPath, id, formatTime(expiresAt), before, request.lifetimeMs, inTime);
    const { token, record, announced } = await this.#createSecret(request, publishingUntil, announce, signal);
    const entry = this.#entryOf(token, record.expiresAt ?? 0);
    try {
      await announced;
      await publications.publish(vaultPath, entry, before, request.lifetimeMs, inTime);
    } catch (error) {
      await this.#takeBack(record, vaultPath, before);
      if (isRemote(error, 'Conflict')) {
        const message = `somebody else is issuing a token for ${describeBinding(binding)} at this moment`;
        throw new RefusedError('AlreadyExists', message, { cause: error });
      }
      throw error;
    }
    await this.#markPublished(record, vaultPath, before, signal);
    telemetry.minted(binding.kind);
    log.info(
      { tokenId: token.id, binding: describeBinding(binding), vaultPath, expiresAt: entry.expiresAt },
      'token issued',
    );
    return { token, record, vaultPath };
  }

  #entryOf(token: BootstrapToken, expiresAt: number): PublishedToken {
    const { server, caCertificate } = this.#options.cluster;
    return { token: formatToken(token), expiresAt: formatTime(expiresAt), server, caCertificate };
  }

  /** False when it is not this token that can be fetched. */
  async #republish({ id, vaultPath }: TokenRecord, expiresAt: number, signal: AbortSignal): Promise<boolean> {
    const { secrets, publications, clock } = this.#options;
    if (vaultPath === undefined) return false;
    const standing = await publications.state(vaultPath, signal);
    const secret = await secrets.reveal(id, signal);
    if (standing.kind !== 'live' || standing.tokenId !== id || secret === undefined) return false;
    const entry = this.#entryOf({ id, secret }, expiresAt);
    const lifetimeMs = expiresAt - clock.now();
    await publications.announce(vaultPath, id, entry.expiresAt, standing.version, lifetimeMs, signal);
    await publications.publish(vaultPath, entry, standing.version, lifetimeMs, signal);
    return true;
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

  /** Has the token announced at the same time, and answers how that goes: nothing can be fetched by that yet. */
  async #createSecret(
    request: IssueRequest,
    publishingUntil: number,
    announce: (id: string, expiresAt: number) => Promise<void>,
    signal: AbortSignal,
  ): Promise<{ token: BootstrapToken; record: TokenRecord; announced: Promise<void> }> {
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
        vaultPath: vaultPathOfBinding(marks.binding),
        description: marks.description,
      });
      const announced = announce(token.id, expiresAt);
      // it is awaited later, or not at all
      announced.catch(() => {});
      try {
        const { record, createdAt } = await secrets.create(secret, signal);
        const off = clockOff(createdAt - issuedAt, lifetimeMs);
        if (off === undefined) return { token, record, announced };
        await secrets.remove(record, signal);
        throw off;
      } catch (error) {
        await announced.catch(() => {});
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
