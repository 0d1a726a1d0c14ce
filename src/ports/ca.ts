/** What is needed from outside while one CA follows another. */
import type { CertificateSigner } from '../ports.ts';

/** A CA that follows another one. */
export interface NextSigner {
  readonly backend: CertificateSigner;
  /** From when on it signs, ms since the epoch; without a time it is only to be trusted. */
  readonly from: number | undefined;
}

/** The CA of the service, and the one that follows it: two at once while nodes change over. */
export interface Authorities {
  readonly current: CertificateSigner;
  /** Undefined when there is none. Throws as `authority` does. */
  next(signal: AbortSignal): Promise<NextSigner | undefined>;
}

/** The CAs to trust, published for whoever checks certificates of nodes. */
export interface TrustBundle {
  /** PEM; undefined when there is none. */
  read(signal: AbortSignal): Promise<string | undefined>;
  write(pem: string, signal: AbortSignal): Promise<void>;
}
