/** What is read of a kubelet's PKCS#10 request, and what can be wrong with it. */

/** A public key that a kubelet may have. */
export type KeyKind =
  | { readonly type: 'rsa'; readonly bits: number }
  | { readonly type: 'ec'; readonly curve: 'P-256' | 'P-384' | 'P-521' }
  | { readonly type: 'ed25519' };

/** A PKCS#10 request that was read to its last byte: nothing in it is left unnamed. */
export interface KubeletCsr {
  /** Value of the one O, `system:nodes` for a kubelet. */
  readonly organization: string;
  /** Value of the one CN. */
  readonly commonName: string;
  /** In CSR order, canonical: lower-case labels of letters, digits and hyphens, no final dot, no wildcard. */
  readonly dnsNames: readonly string[];
  /** 4 or 16 bytes each, in CSR order. */
  readonly ipAddresses: readonly Uint8Array[];
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyDer: Uint8Array;
  readonly key: KeyKind;
}

/** What is wrong with the bytes of a CSR; stable across releases, and a reason code as it stands. */
export type CsrProblemCode =
  | 'RequestTooLarge'
  | 'PemMalformed'
  | 'DerMalformed'
  | 'SubjectMalformed'
  | 'AttributeNotAllowed'
  | 'ExtensionNotAllowed'
  | 'SanKindNotAllowed'
  | 'SanMalformed'
  | 'TooManySans'
  | 'KeyNotAllowed'
  | 'SignatureAlgorithmNotAllowed'
  | 'SignatureInvalid';

/** One problem; `message` quotes the offending value, sanitised and cut. */
export interface CsrProblem {
  readonly code: CsrProblemCode;
  readonly message: string;
}

/**
 * What was read. Only a request without problems has a `csr`, and only from that may be judged and signed; `seen` is
 * whatever could be made out, for people.
 */
export type CsrReading =
  | { readonly csr: KubeletCsr; readonly seen: KubeletCsr; readonly problems: readonly [] }
  | { readonly csr: undefined; readonly seen: Partial<KubeletCsr>; readonly problems: readonly CsrProblem[] };

/** Takes down a problem. */
export type Report = (code: CsrProblemCode, message: string) => void;
