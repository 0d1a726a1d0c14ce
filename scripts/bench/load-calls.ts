/** What the bench asks of the process that makes its load. */

/** Whose CSRs: of one pool's token, of a token for each node, of the nodes themselves. */
export type Kind = 'pool' | 'exact' | 'renewal' | 'serving';

/** One CSR; times in ms of one clock. */
export interface Waited {
  readonly node: string;
  readonly createdAt: number;
  readonly issuedAt: number | undefined;
}

export interface LoadCalls {
  /** Creates a CSR for each node, many at once. */
  make(kind: Kind, nodes: readonly string[]): Promise<void>;
  /** One after the other, each `apartMs` after the one before it has its certificate; ends after `mostMs`. */
  oneByOne(kind: Kind, nodes: readonly string[], mostMs: number, apartMs?: number): Promise<void>;
  /** So many a second, whatever becomes of them. */
  pace(kind: Kind, nodes: readonly string[], perSecond: number): Promise<void>;
  /** The same for names with this prefix, until so many stored CSRs are gone or `mostMs` are over. */
  paceUntilGone(kind: Kind, prefix: string, perSecond: number, count: number, mostMs: number): Promise<void>;
  /** So many a second, all by and for one node. */
  flood(node: string, count: number, perSecond: number): Promise<void>;
  /** All at once: with a pool's token, then for a serving certificate as what the first certificate makes of each. */
  join(nodes: readonly string[], mostMs: number): Promise<boolean>;
  /** Waits for so many certificates of this kind; false after `mostMs`. */
  issued(kind: Kind, count: number, mostMs: number): Promise<boolean>;
  waited(kind: Kind): Promise<readonly Waited[]>;
  /** Waits until so many CSRs are gone; answers how many there were, and in how many ms. */
  gone(count: number, mostMs: number): Promise<{ readonly count: number; readonly ms: number }>;
  /** CSRs without a certificate, four times a second since `forget`. */
  inFlight(): Promise<readonly number[]>;
  /** Has Nodes report their status, so many a second, until `forget`. */
  heartbeats(nodes: readonly string[], perSecond: number): Promise<void>;
  /** Starts counting anew. */
  forget(): Promise<void>;
}

export interface LoadSettings {
  readonly kubeconfig: string;
  readonly server: string;
  readonly ca: { readonly certificate: string; readonly key: string };
  readonly poolToken: string;
  /** By node. */
  readonly exactTokens: Readonly<Record<string, string>>;
}

export interface Call {
  readonly id: number;
  readonly name: keyof LoadCalls;
  readonly args: readonly unknown[];
}

export interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}
