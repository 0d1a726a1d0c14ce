import type { Csr, Store } from '../ports.ts';
import { stateOf } from '../policy/csr-state.ts';
import { type RequestView, viewRequest } from '../policy/request.ts';

/**
 * Reads the bytes of every waiting CSR once and knows which of them are of the same requester, signer and name. Kept by
 * the events of the informer; what is settled or gone is dropped.
 */
export class PendingRequests {
  readonly #views = new Map<string, RequestView>();
  /** Names by requester, signer and common name. */
  readonly #groups = new NameSets();
  readonly #requesters = new NameSets();
  readonly #nodes = new NameSets();
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
    const state = stateOf(csr);
    if (state === 'pending' || state === 'approved') this.view(csr);
    else this.gone(csr);
  }

  /** To be told of every CSR that is gone or settled. */
  gone(csr: Csr): void {
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

  /** Up to eight undecided requests of the same requester, signer and name that were made later; newest first. */
  newerThan(view: RequestView): RequestView[] {
    const names = this.#groups.of(groupOf(view));
    if (names.size < 2) return [];
    const newer: RequestView[] = [];
    // What came last is seen last; more than a few need not be looked at.
    for (const name of [...names].toReversed()) {
      if (newer.length === MOST_NEWER) break;
      const csr = this.#csrs.get(name);
      if (csr !== undefined && csr.createdAt > view.csr.createdAt && stateOf(csr) === 'pending') {
        newer.push(this.view(csr));
      }
    }
    return newer.toSorted((a, b) => b.csr.createdAt - a.csr.createdAt);
  }
}

function groupOf({ csr, reading }: RequestView): string {
  return JSON.stringify([csr.requester.username, csr.signerName, reading.seen.commonName ?? '']);
}

const MOST_NEWER = 8;
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
