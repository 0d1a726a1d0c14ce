/** Which nodes have used a token of a limited number of uses (DESIGN D8): one ConfigMap for each such token. */

/** One use of a token: by this node, with this key. */
export interface Claim {
  readonly node: string;
  /** SHA-256 of the SubjectPublicKeyInfo that the node asked with, hex. */
  readonly key: string;
  /** ms since the epoch. */
  readonly at: number;
}
