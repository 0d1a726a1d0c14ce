import * as z from 'zod';
import { RemoteError, isRemote } from '../errors.ts';
import type { PublicationState, PublishedToken, TokenPublications } from '../ports/tokens.ts';
import { parseToken } from '../tokens/bootstrap-token.ts';
import type { Clock } from '../runtime/clock.ts';
import type { KeyValue, KvEntry, KvMetadata, KvMetadataSettings, Wrapped } from './key-value.ts';
import { readAs } from './reply.ts';

const TOKEN_ID = 'token-id';
/** The version that the token ID was written for. */
const TOKEN_VERSION = 'token-version';
const EXPIRES_AT = 'expires-at';

const entrySchema = z.object({
  token: z.string(),
  expires_at: z.string(),
  server: z.string(),
  ca_certificate: z.string(),
});

/** The entry as the fetch script of cloud-init reads it. */
function dataOf(entry: PublishedToken): z.infer<typeof entrySchema> {
  return {
    token: entry.token,
    expires_at: entry.expiresAt,
    server: entry.server,
    ca_certificate: entry.caCertificate,
  };
}

function settingsOf(tokenId: string, version: number, expiresAt: string, lifetimeMs: number): KvMetadataSettings {
  return {
    maxVersions: 1,
    deleteVersionAfterSeconds: Math.max(1, Math.floor(lifetimeMs / 1_000)),
    custom: { [TOKEN_ID]: tokenId, [TOKEN_VERSION]: String(version), [EXPIRES_AT]: expiresAt },
  };
}

/**
 * Tokens in one KV version 2 mount, below `prefix` (`kubelet-bootstrap`), by DESIGN D11. A path has one version, which
 * Vault itself ends with the token's lifetime. Check-and-set on the data decides between two writers; the one that lost
 * puts the winner's token ID back.
 */
export class VaultTokenPublications implements TokenPublications {
  readonly #kv: KeyValue;
  readonly #prefix: string;
  readonly #clock: Clock;

  constructor(kv: KeyValue, prefix: string, clock: Clock) {
    this.#kv = kv;
    this.#prefix = prefix;
    this.#clock = clock;
  }

  async list(folder: string, signal: AbortSignal): Promise<string[]> {
    const keys = await this.#kv.list(this.#at(folder), signal);
    return keys.filter((key) => !key.endsWith('/')).map((key) => `${folder}/${key}`);
  }

  async state(path: string, signal: AbortSignal): Promise<PublicationState> {
    const metadata = await this.#kv.readMetadata(this.#at(path), signal);
    if (metadata === undefined) {
      return { kind: 'absent', version: 0, tokenId: undefined, updatedAt: undefined, endsAt: undefined };
    }
    const current = metadata.versions.get(metadata.currentVersion);
    return {
      kind: (await this.#isLive(path, metadata, signal)) ? 'live' : 'gone',
      version: metadata.currentVersion,
      tokenId: await this.#tokenIdOf(path, metadata, signal),
      updatedAt: Date.parse(current?.createdTime ?? metadata.updatedTime),
      endsAt: current === undefined || current.deletionTime === '' ? undefined : Date.parse(current.deletionTime),
    };
  }

  async read(path: string, signal: AbortSignal): Promise<PublishedToken | undefined> {
    const entry = await this.#kv.readData(this.#at(path), signal);
    if (entry.kind !== 'live') return undefined;
    const data = readAs(entrySchema, entry.data, `data of ${path}`);
    return { token: data.token, expiresAt: data.expires_at, server: data.server, caCertificate: data.ca_certificate };
  }

  async announce(
    path: string,
    tokenId: string,
    expiresAt: string,
    version: number,
    lifetimeMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const at = this.#at(path);
    const before = await this.#kv.readMetadata(at, signal);
    // checked before the metadata is written, which would otherwise put our token ID on somebody else's token
    if ((before?.currentVersion ?? 0) !== version) {
      throw this.#conflict(path, `version ${before?.currentVersion ?? 0} stands there, not ${version}`);
    }
    await this.#kv.writeMetadata(at, settingsOf(tokenId, version + 1, expiresAt, lifetimeMs), signal);
  }

  async publish(
    path: string,
    entry: PublishedToken,
    version: number,
    lifetimeMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const at = this.#at(path);
    try {
      await this.#kv.writeData(at, dataOf(entry), version, signal);
    } catch (error) {
      if (isRemote(error, 'Conflict')) {
        await this.#giveBack(at, lifetimeMs, signal);
      } else if (isRemote(error, 'Unavailable', 'Unreadable') && (await this.#carries(at, entry.token, signal))) {
        return;
      }
      throw error;
    }
  }

  /**
   * The entry of this token in a wrapping token that is good for so long. Throws `Conflict` when another token stands
   * there: seen after wrapping, so what was wrapped before is this one's.
   */
  async wrap(path: string, tokenId: string, seconds: number, signal: AbortSignal): Promise<Wrapped> {
    const wrapped = await this.#kv.wrapData(this.#at(path), seconds, signal);
    const { kind, tokenId: standing } = await this.state(path, signal);
    if (kind === 'live' && standing === tokenId) return wrapped;
    throw this.#conflict(path, `token ${tokenId} does not stand there any more`);
  }

  async withdraw(path: string, signal: AbortSignal): Promise<void> {
    const at = this.#at(path);
    const metadata = await this.#kv.readMetadata(at, signal);
    const versions = [...(metadata?.versions ?? [])].filter(([, entry]) => !entry.destroyed).map(([number]) => number);
    if (versions.length > 0) {
      await this.#kv.destroy(at, versions, signal);
    }
    const left = await this.#kv.readData(at, signal);
    if (left.kind !== 'live') {
      return;
    }
    if (versions.includes(left.version)) {
      throw new RemoteError('vault', 'Unavailable', `Vault: ${at} can still be fetched after it was destroyed`);
    }
    throw this.#conflict(path, `version ${left.version} was published meanwhile`);
  }

  async forget(path: string, signal: AbortSignal): Promise<void> {
    const at = this.#at(path);
    await this.#kv.removeMetadata(at, signal);
    if ((await this.#kv.readMetadata(at, signal)) !== undefined) {
      throw this.#conflict(path, 'it is there again after it was removed');
    }
  }

  #at(path: string): string {
    return `${this.#prefix}/${path}`;
  }

  /**
   * The metadata is written before the data, so after an interrupted publication it names a token that is not there:
   * it is believed only for the version that it was written for. Otherwise the data itself says whose token it is.
   */
  async #tokenIdOf(path: string, metadata: KvMetadata, signal: AbortSignal): Promise<string | undefined> {
    if (metadata.custom[TOKEN_VERSION] === String(metadata.currentVersion)) return metadata.custom[TOKEN_ID];
    const entry = await this.#kv.readData(this.#at(path), signal);
    return entry.kind === 'live' ? parseToken(String(entry.data['token']))?.id : undefined;
  }

  async #isLive(path: string, metadata: KvMetadata, signal: AbortSignal): Promise<boolean> {
    const current = metadata.versions.get(metadata.currentVersion);
    if (current === undefined || current.destroyed) {
      return false;
    }
    if (current.deletionTime === '' || Date.parse(current.deletionTime) > this.#clock.now()) return true;
    // over by the clock of this host: by Vault's own, it may not be
    return (await this.#kv.readData(this.#at(path), signal)).kind === 'live';
  }

  /** After a write without an answer: is it there all the same? When that cannot be read either: no. */
  async #carries(at: string, token: string, signal: AbortSignal): Promise<boolean> {
    const entry = await this.#readOrNothing(at, signal);
    return entry?.kind === 'live' && entry.data['token'] === token;
  }

  /** After a lost race: the metadata says our token ID, the data is the winner's. Says the winner's again. */
  async #giveBack(at: string, lifetimeMs: number, signal: AbortSignal): Promise<void> {
    const entry = await this.#readOrNothing(at, signal);
    if (entry?.kind === 'live') {
      const [id = ''] = String(entry.data['token']).split('.');
      const settings = settingsOf(id, entry.version, String(entry.data['expires_at']), lifetimeMs);
      await this.#kv.writeMetadata(at, settings, signal);
    }
  }

  async #readOrNothing(at: string, signal: AbortSignal): Promise<KvEntry | undefined> {
    try {
      return await this.#kv.readData(at, signal);
    } catch (error) {
      if (isRemote(error)) {
        return undefined;
      }
      throw error;
    }
  }

  #conflict(path: string, what: string): RemoteError {
    return new RemoteError('vault', 'Conflict', `Vault: ${this.#kv.mount}/${this.#at(path)}: ${what}`);
  }
}
