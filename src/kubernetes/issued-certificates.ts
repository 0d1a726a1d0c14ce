import { type IssuedCertificate, summariseCertificate } from '../pki/certificate-summary.ts';

/** More are not on their way back at the same time, unless a watch is behind; those of writes that failed never come. */
const MOST_WRITTEN = 512;

/** Reads a certificate at the first call, and answers the same at each. */
type Reading = () => IssuedCertificate | undefined;

/** Reads the certificates of CSRs. One that was written here comes back by the watch, and need not be read again. */
export class IssuedCertificates {
  readonly #written = new Map<string, Reading>();

  /**
   * Takes what is about to be written to `status.certificate` as base64 of this PEM text. It is read when it is asked for,
   * here or by the watch, whichever is first: a node waits for the write.
   */
  written(base64: string, pem: string): Reading {
    let read: IssuedCertificate | undefined;
    const reading = (): IssuedCertificate | undefined => (read ??= summariseCertificate(pem));
    if (this.#written.size >= MOST_WRITTEN) this.#written.clear();
    this.#written.set(base64, reading);
    return reading;
  }

  /** Reads `status.certificate` as the API server shows it. */
  shown(base64: string): IssuedCertificate | undefined {
    const known = this.#written.get(base64);
    if (known === undefined) return summariseCertificate(Buffer.from(base64, 'base64'));
    this.#written.delete(base64);
    return known();
  }
}
