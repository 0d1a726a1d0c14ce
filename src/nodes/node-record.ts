/** What the service remembers of a node (DESIGN D16), and how it stands in a ConfigMap. */

/** A client certificate that a node holds or held. */
export interface RecordedCertificate {
  /** SHA-256 of its DER, 64 lower-case hex digits: what the API server puts into `credential-id`. */
  readonly fingerprint: string;
  /** ms since the epoch, whole seconds, as is `notAfter`; undefined in a record of before it was kept. */
  readonly notBefore?: number | undefined;
  readonly notAfter: number;
  /** When its CSR was made, ms since the epoch. */
  readonly issuedAt: number;
  /** Key identifier of the CA that signed it, hex; '' where the certificate names none. */
  readonly issuer: string;
  /** `issuedAt` of the certificate that it was asked for with; undefined for one from a token, or where that is not known. */
  readonly from?: number | undefined;
  /** When another was last asked for with it, and issued; undefined until then. */
  readonly renewedAt?: number | undefined;
}

/** A serving certificate's names; they belong to the node while it lasts (DESIGN D10). */
export interface RecordedServing {
  /** As in `RecordedCertificate`. */
  readonly notBefore?: number | undefined;
  readonly notAfter: number;
  /** Key identifier of the CA that signed it, hex; '' where that is not known. */
  readonly issuer: string;
  /** As `formatAddress` writes them. */
  readonly addresses: readonly string[];
}

/** The bootstrap token that a node's first certificate came from. */
export interface RecordedToken {
  readonly id: string;
  /** undefined for a token of this node alone. */
  readonly pool: string | undefined;
  /** SHA-256 of the SubjectPublicKeyInfo that was certified, hex. */
  readonly key: string;
  /** When that CSR was made, ms since the epoch. */
  readonly usedAt: number;
  /** When the node was first seen with its certificate; undefined until then, and the token is not spent (DESIGN D8). */
  readonly seenAt: number | undefined;
  /** It was let in by a release, over a node that may have been alive: that one's Lease says nothing of this one. */
  readonly released?: true | undefined;
}

/** Written by admins, never by the service: no approval and no renewal while it stands. */
export interface Ban {
  readonly since: number;
  readonly reason: string;
}

/** Lets one first certificate replace a live node until then, ms since the epoch (DESIGN D9). */
export interface Release {
  readonly until: number;
}

/** All that is remembered of one node. */
export interface NodeRecord {
  readonly node: string;
  readonly token: RecordedToken | undefined;
  /** Newest first, at most two: while it rotates, a kubelet uses either. */
  readonly certificates: readonly RecordedCertificate[];
  readonly serving: RecordedServing | undefined;
  /** Vouched for when its token was issued (DESIGN D10). */
  readonly addresses: readonly string[];
  /** Its first record came from a renewal with a certificate that nobody had recorded. */
  readonly adopted: boolean;
  readonly ban: Ban | undefined;
  readonly release: Release | undefined;
}

/** A node of which nothing is known. */
export function emptyRecord(node: string): NodeRecord {
  return {
    node,
    token: undefined,
    certificates: [],
    serving: undefined,
    addresses: [],
    adopted: false,
    ban: undefined,
    release: undefined,
  };
}
