/** The ports for tokens in memory, with the semantics of the real ones. */
import type { PublicationState, PublishedToken, TokenPublications, TokenSecrets } from '../../src/ports/tokens.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import {
  formatTime,
  ISSUED_AT,
  PUBLISHING_UNTIL,
  readTokenSecret,
  REPORTED_STOLEN,
  type StoredSecret,
  type TokenRecord,
  type TokenSecretParts,
} from '../../src/tokens/token-secret.ts';
import { type Calls, remoteError, View } from './memory-ports.ts';

/** The bootstrap-token Secrets of an API server, and what a watch shows of them. */
export class MemoryTokenSecrets implements TokenSecrets {
  readonly view = new View<TokenRecord>();
  readonly #stored = new Map<string, StoredSecret>();
  readonly #calls: Calls;
  #version = 0;
  /** The clock of the API server, beside that of who issues. */
  serverAheadMs = 0;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Stores what somebody wrote by hand. */
  store(secret: TokenSecretParts, uid?: string): TokenRecord {
    this.#version += 1;
    const stored = {
      ...secret,
      uid: uid ?? `uid-${this.#version}`,
      resourceVersion: String(this.#version),
      beingDeleted: false,
    };
    const record = readTokenSecret(stored);
    if (record === undefined) throw remoteError('Invalid');
    this.#stored.set(record.id, stored);
    this.view.put(record.id, record);
    return record;
  }

  delete(id: string): void {
    const record = this.record(id);
    this.#stored.delete(id);
    if (record !== undefined) this.view.gone(id, record);
  }

  record(id: string): TokenRecord | undefined {
    const stored = this.#stored.get(id);
    return stored === undefined ? undefined : readTokenSecret(stored);
  }

  ids(): string[] {
    return [...this.#stored.keys()];
  }

  async list(signal: AbortSignal): Promise<TokenRecord[]> {
    await this.#calls.begin('list tokens', '', signal);
    return this.ids().flatMap((id) => this.record(id) ?? []);
  }

  async get(id: string, signal: AbortSignal): Promise<TokenRecord | undefined> {
    await this.#calls.begin('get token', id, signal);
    return this.record(id);
  }

  async reveal(id: string, signal: AbortSignal): Promise<string | undefined> {
    await this.#calls.begin('reveal token', id, signal);
    return this.#stored.get(id)?.data['token-secret'];
  }

  async create(
    secret: TokenSecretParts,
    signal: AbortSignal,
  ): Promise<{ readonly record: TokenRecord; readonly createdAt: number }> {
    const id = secret.data['token-id'] ?? '';
    await this.#calls.begin('create token', id, signal);
    if (this.#stored.has(id)) throw remoteError('AlreadyExists');
    const issuedAt = Date.parse(secret.annotations[ISSUED_AT] ?? '');
    return { record: this.store(secret), createdAt: issuedAt + this.serverAheadMs };
  }

  async markPublished(record: TokenRecord, signal: AbortSignal): Promise<void> {
    await this.#calls.begin('mark token', record.id, signal);
    const stored = this.#stored.get(record.id);
    if (stored === undefined) throw remoteError('NotFound');
    if (stored.uid !== record.uid) throw remoteError('Invalid');
    const { [PUBLISHING_UNTIL]: _mark, ...annotations } = stored.annotations;
    this.store({ ...stored, annotations }, stored.uid);
  }

  async markStolen(record: TokenRecord, at: number, signal: AbortSignal): Promise<void> {
    await this.#calls.begin('mark stolen', record.id, signal);
    const stored = this.#stored.get(record.id);
    if (stored === undefined) throw remoteError('NotFound');
    this.store({ ...stored, annotations: { ...stored.annotations, [REPORTED_STOLEN]: formatTime(at) } }, stored.uid);
  }

  async setExpiry(record: TokenRecord, expiresAt: number, signal: AbortSignal): Promise<void> {
    await this.#calls.begin('set expiry', record.id, signal);
    const stored = this.#stored.get(record.id);
    if (stored === undefined) throw remoteError('NotFound');
    if (stored.uid !== record.uid) throw remoteError('Invalid');
    this.store({ ...stored, data: { ...stored.data, expiration: formatTime(expiresAt) } }, stored.uid);
  }

  async remove(record: TokenRecord, signal: AbortSignal): Promise<void> {
    await this.#calls.begin('remove token', record.id, signal);
    if (this.#stored.get(record.id)?.uid === record.uid) this.delete(record.id);
  }
}

interface Entry {
  version: number;
  tokenId: string;
  data: PublishedToken | undefined;
  updatedAt: number;
  endsAt: number;
}

/** Vault's KV, as far as tokens go. */
export class MemoryPublications implements TokenPublications {
  readonly #entries = new Map<string, Entry>();
  readonly #calls: Calls;
  readonly #clock: Clock;

  constructor(calls: Calls, clock: Clock) {
    this.#calls = calls;
    this.#clock = clock;
  }

  /** The token that a machine would be given. */
  fetched(path: string): string | undefined {
    const entry = this.#entries.get(path);
    return entry !== undefined && this.#clock.now() < entry.endsAt ? entry.data?.token : undefined;
  }

  paths(): string[] {
    return [...this.#entries.keys()];
  }

  /** Puts an entry there as if somebody had published it; answers its version. */
  plant(path: string, tokenId: string, token: string, lifetimeMs = 86_400_000): number {
    const version = (this.#entries.get(path)?.version ?? 0) + 1;
    const now = this.#clock.now();
    const data = { token, expiresAt: '', server: '', caCertificate: '' };
    this.#entries.set(path, { version, tokenId, data, updatedAt: now, endsAt: now + lifetimeMs });
    return version;
  }

  async list(folder: string, signal: AbortSignal): Promise<string[]> {
    await this.#calls.begin('list entries', folder, signal);
    return this.paths().filter((path) => path.startsWith(`${folder}/`));
  }

  async state(path: string, signal: AbortSignal): Promise<PublicationState> {
    await this.#calls.begin('state', path, signal);
    const entry = this.#entries.get(path);
    if (entry === undefined) {
      return { kind: 'absent', version: 0, tokenId: undefined, updatedAt: undefined, endsAt: undefined };
    }
    const { version, tokenId, updatedAt, endsAt } = entry;
    return { kind: this.fetched(path) === undefined ? 'gone' : 'live', version, tokenId, updatedAt, endsAt };
  }

  async read(path: string, signal: AbortSignal): Promise<PublishedToken | undefined> {
    await this.#calls.begin('read entry', path, signal);
    return this.fetched(path) === undefined ? undefined : this.#entries.get(path)?.data;
  }

  async announce(path: string, _id: string, _end: string, version: number, _ms: number, signal: AbortSignal) {
    await this.#calls.begin('announce', path, signal);
    if ((this.#entries.get(path)?.version ?? 0) !== version) throw remoteError('Conflict');
  }

  async publish(
    path: string,
    entry: PublishedToken,
    version: number,
    lifetimeMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#calls.begin('publish', path, signal);
    if ((this.#entries.get(path)?.version ?? 0) !== version) throw remoteError('Conflict');
    this.plant(path, entry.token.slice(0, 6), entry.token, lifetimeMs);
    const planted = this.#entries.get(path);
    if (planted !== undefined) planted.data = entry;
  }

  async withdraw(path: string, signal: AbortSignal): Promise<void> {
    const version = this.#entries.get(path)?.version;
    await this.#calls.begin('withdraw', path, signal);
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    if (entry.version !== version) throw remoteError('Conflict');
    entry.data = undefined;
  }

  async forget(path: string, signal: AbortSignal): Promise<void> {
    await this.#calls.begin('forget', path, signal);
    this.#entries.delete(path);
  }
}
