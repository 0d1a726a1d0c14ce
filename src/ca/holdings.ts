/** Who holds certificates of which CA, as far as node records and issued CSRs tell. */
import type { StoredRecord } from '../nodes/record-format.ts';
import { nodeNameOfUser } from '../policy/request.ts';
import { CLIENT_SIGNER, type Csr, SERVING_SIGNER } from '../ports.ts';

/** A certificate that a node holds, or may still use. */
export interface HeldCertificate {
  readonly node: string;
  readonly usage: 'client' | 'serving';
  /** Key identifier of its CA, hex; '' where that is not known. */
  readonly issuer: string;
  /** ms since the epoch. */
  readonly notAfter: number;
  /** A newer one is there, which the node may not have fetched: nothing tells before the old one ends. */
  readonly replaced: boolean;
}

export interface Holdings {
  readonly certificates: readonly HeldCertificate[];
  /** Nodes whose record cannot be read. */
  readonly unreadable: readonly string[];
  /** Node objects without a certificate on record. */
  readonly unrecorded: readonly string[];
}

/** Records lag behind certificates by a minute at most; until then the issued CSR tells (DESIGN D16). */
export function holdingsOf(input: {
  readonly records: Iterable<readonly [string, StoredRecord]>;
  readonly csrs: Iterable<Csr>;
  readonly nodes: Iterable<string>;
  readonly now: number;
}): Holdings {
  const found = new Map<string, Found>();
  const known = new Set<string>();
  const unreadable: string[] = [];
  const put = (key: string, certificate: Found): void => {
    if (certificate.notAfter > input.now) found.set(key, certificate);
  };
  for (const [node, record] of input.records) {
    if (!record.known) {
      unreadable.push(node);
      continue;
    }
    const { certificates, serving } = record.value;
    if (certificates.length > 0) known.add(node);
    for (const { fingerprint, issuer, notAfter, issuedAt } of certificates) {
      put(fingerprint, { node, usage: 'client', issuer, notAfter, order: issuedAt });
    }
    if (serving !== undefined) {
      const { issuer, notAfter } = serving;
      put(`${node} ${issuer} ${notAfter}`, { node, usage: 'serving', issuer, notAfter, order: notAfter });
    }
  }
  for (const { certificate, signerName, createdAt } of input.csrs) {
    const node = nodeNameOfUser(certificate?.commonName ?? '');
    if (certificate === undefined || node === undefined) continue;
    const { fingerprint, issuer, notAfter } = certificate;
    if (signerName === CLIENT_SIGNER) {
      known.add(node);
      put(fingerprint, { node, usage: 'client', issuer, notAfter, order: createdAt });
    } else if (signerName === SERVING_SIGNER) {
      put(`${node} ${issuer} ${notAfter}`, { node, usage: 'serving', issuer, notAfter, order: notAfter });
    }
  }
  const newest = new Map<string, number>();
  for (const { node, usage, order } of found.values()) {
    newest.set(`${usage} ${node}`, Math.max(order, newest.get(`${usage} ${node}`) ?? order));
  }
  return {
    certificates: [...found.values()].map(({ order, ...certificate }) => ({
      ...certificate,
      replaced: order < (newest.get(`${certificate.usage} ${certificate.node}`) ?? order),
    })),
    unreadable,
    unrecorded: [...input.nodes].filter((node) => !known.has(node) && !unreadable.includes(node)),
  };
}

interface Found extends Omit<HeldCertificate, 'replaced'> {
  /** The greater the later: by the request, and for serving certificates, as records keep them, by the end. */
  readonly order: number;
}
