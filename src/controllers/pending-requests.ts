import type { Csr, Store } from '../ports.ts';
import { waits } from '../policy/csr-state.ts';
import { type RequestView, viewRequest } from '../policy/request.ts';

/** What the decision on a request needs to know of later ones of the same requester, signer and name. */
export type LaterRequests = Pick<PendingRequests, 'newerThan' | 'issuedAfter'>;

/**
 * Looks at every waiting CSR once and knows which of them are of the same requester, signer and name. Kept by the events
 * of the informer; what is settled or gone is dropped, but for the last certificate of each group.
 */
export class PendingRequests {
  readonly #views = new Map<string, RequestView>();
  /** By requester, signer and common name. */
  readonly #groups = new Map<string, Group>();
  readonly #requesters = new NameSets();
  /** Groups by node. */
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
    this.#requesters.remove(csr.requester.username, csr.name);
    const key = groupOf(view);
    const group = this.#groups.get(key);
    group?.remove(csr.name);
    if (group?.size !== 0) return;
    this.#groups.delete(key);
    this.#nodes.remove(view.nodeName ?? '', key);
  }

  /** The CSR as the rules see it; its name is read at the first call only, the rest when somebody asks. */
  view(csr: Csr): RequestView {
    const known = this.#views.get(csr.uid);
    if (known !== undefined) return known.csr === csr ? known : { ...known, csr };
    const view = viewRequest(csr);
    this.#views.set(csr.uid, view);
    this.#seenAt.set(csr.uid, this.#now());
    this.#requesters.add(csr.requester.username, csr.name);
    const key = groupOf(view);
    const group = this.#groups.get(key) ?? new Group();
    this.#groups.set(key, group);
    group.add(csr);
    // The name of the node is part of the key.
    this.#nodes.add(view.nodeName ?? '', key);
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

  /** Names of the unsettled CSRs that this user made, in the order in which they were seen. */
  ofRequester(username: string): readonly string[] {
    return [...this.#requesters.of(username)];
  }

  /**
   * Names of the unsettled CSRs for a certificate of this node, whoever made them; of those that one requester made the
   * newest eight, which the others wait for. Somebody who makes thousands costs no more than that.
   */
  ofNode(node: string): readonly string[] {
    return [...this.#nodes.of(node)].flatMap((key) => this.#groups.get(key)?.newest(MOST_NEWER) ?? []);
  }

  /** Name of a request of the same requester, signer and name that was made later and has its certificate. */
  issuedAfter(view: RequestView): string | undefined {
    const issued = this.#issued.get(groupOf(view));
    return issued !== undefined && issued.createdAt > view.csr.createdAt + CLOCKS_APART_MS ? issued.name : undefined;
  }

  /** Up to eight requests of the same requester, signer and name that were made later and wait; newest first. */
  newerThan(view: RequestView): RequestView[] {
    const group = this.#groups.get(groupOf(view));
    if (group === undefined || group.size < 2) return [];
    return group
      .newest(MOST_NEWER, view.csr.createdAt)
      .flatMap((name) => this.#csrs.get(name) ?? [])
      .filter(waits)
      .map((csr) => this.view(csr));
  }
}

/** The same for all requests of one requester, signer and common name. */
export function groupOf({ csr, commonName }: RequestView): string {
  return groupKey(csr, commonName ?? '');
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

/** The names of one group, in the order in which they were made. */
class Group {
  readonly #made: { readonly name: string; readonly at: number }[] = [];

  get size(): number {
    return this.#made.length;
  }

  add({ name, createdAt: at }: Csr): void {
    // Nearly always at the end.
    const before = this.#made.findLastIndex((other) => other.at <= at);
    this.#made.splice(before + 1, 0, { name, at });
  }

  remove(name: string): void {
    const index = this.#made.findLastIndex((other) => other.name === name);
    if (index !== -1) this.#made.splice(index, 1);
  }

  /** The last of those that were made after that time, the newest first. */
  newest(most: number, after = Number.NEGATIVE_INFINITY): string[] {
    const names: string[] = [];
    for (const { name, at } of this.#made.slice(-most).toReversed()) if (at > after) names.push(name);
    return names;
  }
}

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
