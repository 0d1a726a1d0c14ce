import { RefusedError } from '../errors.ts';
import { parseTime } from '../tokens/token-secret.ts';
import type { JsonObject } from './client.ts';
import type { KeyValue } from './key-value.ts';

/** A CA key pair, PEM. */
export interface CaPair {
  readonly certPem: string;
  readonly keyPem: string;
}

/** What an entry holds: `cert` and `key`, and perhaps `next_cert`, `next_key` and `next_from`. */
export interface CaEntry extends CaPair {
  /** `from`: ms since the epoch; undefined while it has no time. */
  readonly next: (CaPair & { readonly from: number | undefined }) | undefined;
  /** What `replace` takes, so that nothing that somebody else wrote is lost. */
  readonly version: number;
  /** Fields that are not ours. */
  readonly others: JsonObject;
}

/** The CA key pairs that a KV entry holds: the one, and the one that follows it. */
export class VaultCaPair {
  readonly #kv: KeyValue;
  readonly #path: string;

  constructor(kv: KeyValue, path: string) {
    this.#kv = kv;
    this.#path = path;
  }

  /** Where it is read from, for messages. */
  describe(): string {
    return `Vault KV ${this.#kv.mount}/${this.#path}`;
  }

  /**
   * Reads the entry as it stands now. Throws RefusedError `AuthorityUnusable` when there is none, a field is missing or
   * `next_from` is no time, a RemoteError when Vault does not give it. What the PEMs hold is for the caller to check.
   */
  async load(signal: AbortSignal): Promise<CaEntry> {
    const entry = await this.#kv.readData(this.#path, signal);
    if (entry.kind !== 'live') {
      const why = entry.kind === 'gone' ? 'it was deleted' : 'nothing was ever written there';
      throw new RefusedError('AuthorityUnusable', `no CA key pair at ${this.describe()}: ${why}`);
    }
    const { cert: _cert, key: _key, next_cert: cert, next_key: key, next_from: from, ...others } = entry.data;
    const field = (name: string): string => {
      const value = entry.data[name];
      if (typeof value === 'string' && value.trim() !== '') return value;
      throw new RefusedError('AuthorityUnusable', `${this.describe()} has no text in its field "${name}"`);
    };
    return {
      certPem: field('cert'),
      keyPem: field('key'),
      next:
        cert === undefined && key === undefined && from === undefined
          ? undefined
          : {
              certPem: field('next_cert'),
              keyPem: field('next_key'),
              from: from === undefined ? undefined : this.#time(field('next_from')),
            },
      version: entry.version,
      others,
    };
  }

  /** Writes what `load` answered, with other pairs. Throws `Conflict` when somebody else wrote meanwhile. */
  async replace(
    { version, others }: CaEntry,
    pairs: Pick<CaEntry, 'certPem' | 'keyPem' | 'next'>,
    signal: AbortSignal,
  ): Promise<void> {
    const { certPem: cert, keyPem: key, next } = pairs;
    const following = next && {
      next_cert: next.certPem,
      next_key: next.keyPem,
      ...(next.from === undefined ? {} : { next_from: new Date(next.from).toISOString() }),
    };
    await this.#kv.writeData(this.#path, { ...others, cert, key, ...following }, version, signal);
  }

  #time(text: string): number {
    const ms = parseTime(text);
    if (ms !== undefined) return ms;
    throw new RefusedError(
      'AuthorityUnusable',
      `${this.describe()}: "next_from" is no time such as 2027-01-31T00:00:00Z`,
    );
  }
}
