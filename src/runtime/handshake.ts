import { connect, type ConnectionOptions, type DetailedPeerCertificate } from 'node:tls';

/** Where, and whom to trust. */
export type HandshakeOptions = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'servername'>;

/** Longer than any chain. */
const MOST_CERTIFICATES = 10;

/**
 * The certificates that a TLS server shows, its own first, in DER; nothing is sent. Rejects when it is not trusted,
 * but not for having expired: that is worth knowing. Rejects with the reason of `signal` when it aborts.
 */
export function serverCertificates(address: URL, options: HandshakeOptions, signal: AbortSignal): Promise<Buffer[]> {
  const host = address.hostname.replaceAll(/[[\]]/g, '');
  const port = Number(address.port === '' ? '443' : address.port);
  return new Promise((resolve, reject) => {
    // Verified below: an error of verification would otherwise hide the certificate that it is about.
    const socket = connect({ ...options, host, port, rejectUnauthorized: false });
    const abort = (): void => void socket.destroy(abortReason(signal));
    signal.addEventListener('abort', abort, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', abort));
    socket.on('error', reject);
    socket.once('secureConnect', () => {
      const problem = socket.authorized ? undefined : String(socket.authorizationError);
      if (problem === undefined || problem === 'CERT_HAS_EXPIRED') resolve(chainOf(socket.getPeerCertificate(true)));
      else reject(new Error(`the server at ${address.host} is not trusted: ${problem}`));
      socket.destroy();
    });
    if (signal.aborted) abort();
  });
}

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted');
}

/** The list is linked to its end, where a root is linked to itself. */
function chainOf(leaf: DetailedPeerCertificate): Buffer[] {
  const chain: Buffer[] = [];
  let next: DetailedPeerCertificate | undefined = leaf;
  while (next?.raw !== undefined && chain.length < MOST_CERTIFICATES) {
    chain.push(next.raw);
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}
