import { RefusedError } from '../errors.ts';
import type { KeyValue } from './key-value.ts';

/** The CA key pair that a KV entry holds in its fields `cert` and `key`, both PEM. */
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
   * Reads the entry as it stands now. Throws RefusedError `AuthorityUnusable` when there is none or a field is missing,
   * a RemoteError when Vault does not give it. What the PEMs hold is for the caller to check.
   */
  async load(signal: AbortSignal): Promise<{ certPem: string; keyPem: string }> {
    const entry = await this.#kv.readData(this.#path, signal);
    if (entry.kind !== 'live') {
      const why = entry.kind === 'gone' ? 'it was deleted' : 'nothing was ever written there';
      throw new RefusedError('AuthorityUnusable', `no CA key pair at ${this.describe()}: ${why}`);
    }
    const field = (name: string): string => {
      const value = entry.data[name];
      if (typeof value !== 'string' || value.trim() === '') {
        throw new RefusedError('AuthorityUnusable', `${this.describe()} has no text in its field "${name}"`);
      }
      return value;
    };
    return { certPem: field('cert'), keyPem: field('key') };
  }
}
