/** What the controllers need from the two places where tokens stand. */
import type { TokenRecord, TokenSecretParts } from '../tokens/token-secret.ts';

/** The bootstrap-token Secrets in kube-system. */
export interface TokenSecrets {
  list(signal: AbortSignal): Promise<TokenRecord[]>;
  get(id: string, signal: AbortSignal): Promise<TokenRecord | undefined>;
  /** With the secret part: for an admin who asks to see it. */
  reveal(id: string, signal: AbortSignal): Promise<string | undefined>;
  /** Throws `AlreadyExists` when the ID is taken. `createdAt` is by the API server's clock, in whole seconds. */
  create(
    secret: TokenSecretParts,
    signal: AbortSignal,
  ): Promise<{ readonly record: TokenRecord; readonly createdAt: number }>;
  /** Takes the publishing mark off: the token is in Vault now. */
  markPublished(record: TokenRecord, signal: AbortSignal): Promise<void>;
  /** Writes when it ends, in ms since the epoch. */
  setExpiry(record: TokenRecord, expiresAt: number, signal: AbortSignal): Promise<void>;
  /** Marks that it was reported stolen, at this time. */
  markStolen(record: TokenRecord, at: number, signal: AbortSignal): Promise<void>;
  /** Deletes this Secret and not one that was made anew under its name; gone is fine. */
  remove(record: TokenRecord, signal: AbortSignal): Promise<void>;
}

/** What cloud-init reads from Vault: all that a machine needs for its bootstrap kubeconfig. */
export interface PublishedToken {
  /** `<id>.<secret>`. */
  readonly token: string;
  /** RFC 3339. */
  readonly expiresAt: string;
  /** URL of the API server as nodes reach it. */
  readonly server: string;
  /** PEM. */
  readonly caCertificate: string;
}

/** What stands at a path in Vault, without the secret. */
export interface PublicationState {
  /** `live`: can be fetched; `gone`: expired, deleted or destroyed, a tombstone stands there; `absent`: nothing. */
  readonly kind: 'live' | 'gone' | 'absent';
  /** The version to hand to `publish` so that nobody else's write is overwritten; 0 for `absent`. */
  readonly version: number;
  readonly tokenId: string | undefined;
  /** ms since the epoch of the last write. */
  readonly updatedAt: number | undefined;
  /** When it ends by itself, or would have ended, ms since the epoch; undefined for never and for `absent`. */
  readonly endsAt: number | undefined;
}

/** Tokens in Vault's KV, at paths such as `nodes/worker-17`. */
export interface TokenPublications {
  /** Paths below `folder` (`nodes` or `pools`), each with its folder; empty when there is none. */
  list(folder: string, signal: AbortSignal): Promise<string[]>;
  state(path: string, signal: AbortSignal): Promise<PublicationState>;
  /** What a machine would be given; undefined where there is nothing. Throws `Unreadable` for what is no token's entry. */
  read(path: string, signal: AbortSignal): Promise<PublishedToken | undefined>;
  /**
   * Writes the metadata (token ID, lifetime) of the token that is to be published over `version`: it says nothing of
   * what stands there until then. Throws `Conflict` when another version stands there.
   */
  announce(
    path: string,
    tokenId: string,
    expiresAt: string,
    version: number,
    lifetimeMs: number,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * Writes what was announced, with check-and-set on `version`.
   * Throws `Conflict` when another write came first; an ambiguous time-out is resolved by reading back.
   */
  publish(path: string, entry: PublishedToken, version: number, lifetimeMs: number, signal: AbortSignal): Promise<void>;
  /** Destroys every version so that nobody can fetch it any more, and leaves a tombstone. Gone is fine. */
  withdraw(path: string, signal: AbortSignal): Promise<void>;
  /** Removes the path with all its metadata. Gone is fine. */
  forget(path: string, signal: AbortSignal): Promise<void>;
}
