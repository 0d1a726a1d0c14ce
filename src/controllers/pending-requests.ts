import type { Csr, Store } from '../ports.ts';
import { waits } from '../policy/csr-state.ts';
import { type RequestView, viewRequest } from '../policy/request.ts';

/** What the decision on a request needs to know of later ones of the same requester, signer and name. */
export type LaterRequests = Pick<PendingRequests, 'newerThan' | 'issuedAfter'>;

/**
 * Reads the bytes of every waiting CSR once and knows which of them are of the same requester, signer and name. Kept by
 * the events of the informer; what is settled or gone is dropped, but for the last certificate of each group.
 */
export class PendingRequests {
  readonly #views = new Map<string, RequestView>();
  /** Names by requester, signer and common name. */
  readonly #groups = new NameSets();
  readonly #requesters = new NameSets();
  readonly #nodes = new NameSets();
  /** The last of each group that has its certificate. */
  readonly #issued = new Map<string, Csr>();
  readonly #csrs: Store<Csr>;
  readonly #now: () => number;
  readonly #seenAt = new Map<string, number>();

  /** `now` in ms since the epoch. */
  constructor(csrs: Store<Csr>, now: () => number) {
    this.#csrs = csrs;
    this.#now = now;
  }

  /** To be told of every new or changed CSR. */
  put(csr: Csr): void {
    if (waits(csr)) {
      this.view(csr);
      return;
    }
    this.#drop(csr);
    const group = groupOfIssued(csr);
    if (group !== undefined && (this.#issued.get(group)?.createdAt ?? 0) <= csr.createdAt) this.#issued.set(group, csr);
  }

  /** To be told of every CSR that is gone. */
  gone(csr: Csr): void {
    this.#drop(csr);
    const group = groupOfIssued(csr);
    if (group !== undefined && this.#issued.get(group)?.uid === csr.uid) this.#issued.delete(group);
  }

  #drop(csr: Csr): void {
    const view = this.#views.get(csr.uid);
    if (view === undefined) return;
    this.#views.delete(csr.uid);
    this.#seenAt.delete(csr.uid);
    this.#groups.remove(groupOf(view), csr.name);
    this.#requesters.remove(csr.requester.username, csr.name);
    this.#nodes.remove(view.nodeName ?? '', csr.name);
  }

  /** The CSR as the rules see it; its bytes are read at the first call only. */
  view(csr: Csr): RequestView {
    const known = this.#views.get(csr.uid);
    if (known !== undefined) return known.csr === csr ? known : { ...known, csr };
    const view = viewRequest(csr);
    this.#views.set(csr.uid, view);
    this.#seenAt.set(csr.uid, this.#now());
    this.#groups.add(groupOf(view), csr.name);
    this.#requesters.add(csr.requester.username, csr.name);
    this.#nodes.add(view.nodeName ?? '', csr.name);
    return view;
  }

  /**
   * When the CSR was made, in ms since the epoch, as exactly as can be known: `creationTimestamp` has whole seconds, so
   * one that was first seen within that second counts from then.
   */
  createdAt(csr: Csr): number {
    const seenAt = this.#seenAt.get(csr.uid) ?? csr.createdAt;
    return seenAt >= csr.createdAt && seenAt < csr.createdAt + 1_000 ? seenAt : csr.createdAt;
  }

  /** Names of the unsettled CSRs that this user made. */
  ofRequester(username: string): readonly string[] {
    return [...this.#requesters.of(username)];
  }

  /** Names of the unsettled CSRs for a certificate of this node, whoever made them. */
  ofNode(node: string): readonly string[] {
    return [...this.#nodes.of(node)];
  }

  /** The same for all requests of one requester, signer and common name. */
  groupOf(csr: Csr): string {
    return groupOf(this.view(csr));
  }

  /** Name of a request of the same requester, signer and name that was made later and has its certificate. */
  issuedAfter(view: RequestView): string | undefined {
    const issued = this.#issued.get(groupOf(view));
    return issued !== undefined && issued.createdAt > view.csr.createdAt + CLOCKS_APART_MS ? issued.name : undefined;
  }

  /** Up to eight requests of the same requester, signer and name that were made later and wait; newest first. */
  newerThan(view: RequestView): RequestView[] {
    const names = this.#groups.of(groupOf(view));
    if (names.size < 2) return [];
    const newer: RequestView[] = [];
    // What came last is seen last; more than a few need not be looked at.
    for (const name of [...names].toReversed()) {
      if (newer.length === MOST_NEWER) break;
      const csr = this.#csrs.get(name);
      if (csr !== undefined && csr.createdAt > view.csr.createdAt && waits(csr)) newer.push(this.view(csr));
    }
    return newer.toSorted((a, b) => b.csr.createdAt - a.csr.createdAt);
  }
}

function groupOf({ csr, reading }: RequestView): string {
  return groupKey(csr, reading.seen.commonName ?? '');
}

/** By the certificate: the request is not kept. */
function groupOfIssued(csr: Csr): string | undefined {
  return csr.issued && csr.certificate !== undefined ? groupKey(csr, csr.certificate.commonName) : undefined;
}

function groupKey({ requester, signerName }: Csr, commonName: string): string {
  return JSON.stringify([requester.username, signerName, commonName]);
}

const MOST_NEWER = 8;
/**
 * `creationTimestamp` is of the clock of whichever API server took the request. Within this nobody waits for what a
 * slower clock makes look older; a kubelet that lost interest in a request makes the next one 15 minutes later.
 */
const CLOCKS_APART_MS = 60_000;
const NO_NAMES: ReadonlySet<string> = new Set();

class NameSets {
  readonly #sets = new Map<string, Set<string>>();

  of(key: string): ReadonlySet<string> {
    return this.#sets.get(key) ?? NO_NAMES;
  }

  add(key: string, name: string): void {
    const names = this.#sets.get(key);
    if (names === undefined) this.#sets.set(key, new Set([name]));
    else names.add(name);
  }

  remove(key: string, name: string): void {
    const names = this.#sets.get(key);
    names?.delete(name);
    if (names?.size === 0) this.#sets.delete(key);
  }
}
