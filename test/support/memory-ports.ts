/** The ports of the controllers in memory: small, but with the semantics of the real ones (versions, conflicts, gone). */
import { RemoteError, type RemoteErrorCode } from '../../src/errors.ts';
import { summariseCertificate } from '../../src/pki/certificate-summary.ts';
import type {
  AccessAnswer,
  AccessKind,
  AccessReviewer,
  Condition,
  Csr,
  CsrWriter,
  EventSink,
  Log,
  Notice,
  Requester,
  Store,
  Telemetry,
} from '../../src/ports.ts';

export function remoteError(code: RemoteErrorCode): RemoteError {
  return new RemoteError('kubernetes', code, `the test says ${code}`);
}

/** Makes calls of a port fail, and remembers the calls of all ports in their order. */
export class Calls {
  readonly made: string[] = [];
  readonly #faults = new Map<string, unknown[]>();
  readonly #before = new Map<string, (() => void)[]>();

  /** The next call of that name throws. */
  fail(call: string, error: unknown): void {
    this.#faults.set(call, [...(this.#faults.get(call) ?? []), error]);
  }

  /** Runs `step` when the next call of that name begins: what somebody else does in just that moment. */
  before(call: string, step: () => void): void {
    this.#before.set(call, [...(this.#before.get(call) ?? []), step]);
  }

  /** To be called by a port at the beginning of a call. */
  async begin(call: string, subject: string, signal: AbortSignal): Promise<void> {
    this.made.push(`${call} ${subject}`);
    await Promise.resolve();
    this.#before.get(call)?.shift()?.();
    if (signal.aborted) throw remoteError('Unavailable');
    const faults = this.#faults.get(call);
    if (faults !== undefined && faults.length > 0) throw faults.shift();
  }
}

/** What a watch shows. While it is held, changes wait. */
export class View<T> implements Store<T> {
  readonly #items = new Map<string, T>();
  readonly #handlers: { put(item: T): void; gone(item: T): void }[] = [];
  #waiting: (() => void)[] | undefined;
  isFresh = true;

  get size(): number {
    return this.#items.size;
  }

  get(key: string): T | undefined {
    return this.#items.get(key);
  }

  values(): Iterable<T> {
    return this.#items.values();
  }

  fresh(): boolean {
    return this.isFresh;
  }

  subscribe(handlers: { put(item: T): void; gone(item: T): void }): void {
    this.#handlers.push(handlers);
  }

  hold(): void {
    this.#waiting ??= [];
  }

  release(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const change of waiting) change();
  }

  put(key: string, item: T): void {
    this.#change(() => {
      this.#items.set(key, item);
      for (const handler of this.#handlers) handler.put(item);
    });
  }

  gone(key: string, item: T): void {
    this.#change(() => {
      this.#items.delete(key);
      for (const handler of this.#handlers) handler.gone(item);
    });
  }

  #change(change: () => void): void {
    if (this.#waiting === undefined) change();
    else this.#waiting.push(change);
  }
}

/** CSRs of an API server: what is stored, and what a watch shows of it. */
export class MemoryCsrs implements CsrWriter {
  readonly view = new View<Csr>();
  /** PEM by name. */
  readonly certificates = new Map<string, string>();
  readonly #stored = new Map<string, Csr>();
  readonly #calls: Calls;
  #version = 0;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Stores what a client made or an admin changed. */
  store(csr: Csr): Csr {
    this.#version += 1;
    const stored = { ...csr, resourceVersion: String(this.#version) };
    this.#stored.set(csr.name, stored);
    this.view.put(csr.name, stored);
    return stored;
  }

  delete(name: string): void {
    const csr = this.#stored.get(name);
    this.#stored.delete(name);
    if (csr !== undefined) this.view.gone(name, csr);
  }

  stored(name: string): Csr | undefined {
    return this.#stored.get(name);
  }

  conditionsOf(name: string): string[] {
    return (this.#stored.get(name)?.conditions ?? []).map(({ type, reason }) => `${type} ${reason}`);
  }

  async get(name: string, signal: AbortSignal): Promise<Csr | undefined> {
    await this.#calls.begin('get', name, signal);
    return this.#stored.get(name);
  }

  async decide(
    csr: Csr,
    type: 'Approved' | 'Denied',
    reason: string,
    message: string,
    signal: AbortSignal,
  ): Promise<Csr> {
    await this.#calls.begin('decide', `${csr.name} ${type} ${reason}`, signal);
    return this.#update(csr, (stored) => ({ ...stored, conditions: withCondition(csr, type, reason, message) }));
  }

  async issue(csr: Csr, certificatePem: string, signal: AbortSignal): Promise<Csr> {
    await this.#calls.begin('issue', csr.name, signal);
    const certificate = summariseCertificate(certificatePem);
    return this.#update(csr, (stored) => {
      this.certificates.set(csr.name, certificatePem);
      return { ...stored, issued: true, certificate, request: new Uint8Array() };
    });
  }

  async fail(csr: Csr, reason: string, message: string, signal: AbortSignal): Promise<Csr> {
    await this.#calls.begin('fail', `${csr.name} ${reason}`, signal);
    return this.#update(csr, (stored) => ({ ...stored, conditions: withCondition(csr, 'Failed', reason, message) }));
  }

  async remove(csr: Csr, signal: AbortSignal): Promise<void> {
    await this.#calls.begin('remove', csr.name, signal);
    this.#current(csr);
    this.delete(csr.name);
  }

  #update(csr: Csr, change: (stored: Csr) => Csr): Csr {
    return this.store(change(this.#current(csr)));
  }

  #current(csr: Csr): Csr {
    const stored = this.#stored.get(csr.name);
    if (stored === undefined) throw remoteError('NotFound');
    if (stored.uid !== csr.uid || stored.resourceVersion !== csr.resourceVersion) throw remoteError('Conflict');
    return stored;
  }
}

function withCondition(csr: Csr, type: string, reason: string, message: string): Condition[] {
  if (csr.conditions.some((condition) => condition.type === type)) throw remoteError('Invalid');
  const added = { type, status: 'True', reason, message, lastUpdateTime: undefined, lastTransitionTime: undefined };
  return [...csr.conditions, added];
}

/** RBAC by groups and users that are granted. */
export class MemoryAccess implements AccessReviewer {
  readonly granted = new Set<string>();
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async review(kind: AccessKind, subject: Requester, signal: AbortSignal): Promise<AccessAnswer> {
    await this.#calls.begin('review', `${kind} ${subject.username} ${subject.groups.join(',')}`, signal);
    const allowed = [subject.username, ...subject.groups].some((name) => this.granted.has(`${kind} ${name}`));
    return { allowed, reason: allowed ? 'RBAC: allowed by ClusterRoleBinding "test"' : '' };
  }
}

/** Everything that is reported, in words. */
export class Reports {
  readonly notices: Notice[] = [];
  readonly counted: string[] = [];
  readonly lines: string[] = [];

  readonly events: EventSink = { warn: (notice) => this.notices.push(notice) > 0 };

  readonly log: Log = {
    debug: this.#logger('debug'),
    info: this.#logger('info'),
    warn: this.#logger('warn'),
    error: this.#logger('error'),
  };

  readonly telemetry: Telemetry = {
    decided: (_signer, verdict, reason) => this.#count('decided', verdict, reason),
    issued: (_signer, seconds) => this.#count('issued', seconds),
    withheld: (_signer, reason) => this.#count('withheld', reason),
    failed: (_signer, reason) => this.#count('failed', reason),
    notAsPlanned: () => this.#count('notAsPlanned'),
    removedCsr: (why) => this.#count('removedCsr', why),
    removedToken: (why) => this.#count('removedToken', why),
    minted: (kind) => this.#count('minted', kind),
    remarked: (_signer, code) => this.#count('remarked', code),
    mintFailed: (pool) => this.#count('mintFailed', pool),
  };

  #count(...words: readonly (string | number)[]): void {
    this.counted.push(words.join(' '));
  }

  #logger(level: string): (fields: Readonly<Record<string, unknown>>, message: string) => void {
    return (fields, message) => void this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  }
}
