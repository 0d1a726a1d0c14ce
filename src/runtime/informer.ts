import { askedMs, isRemote, messageOf, RemoteError } from '../errors.ts';
import type { Store } from '../ports.ts';
import { backoff, type Clock } from './clock.ts';
import { Silence } from './silence.ts';

/** One page of a list. */
export interface ListPage<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  /** '' on the last page. */
  readonly continueToken: string;
}

export type WatchEvent<T> =
  | { readonly type: 'put'; readonly item: T; readonly resourceVersion: string }
  | { readonly type: 'gone'; readonly key: string; readonly resourceVersion: string }
  | { readonly type: 'bookmark'; readonly resourceVersion: string };

export interface WatchFrom {
  readonly resourceVersion: string;
  /** After which the server may end it. */
  readonly timeoutSeconds: number;
}

/** How an informer reads one kind of object. Adapters throw RemoteError; `Expired` means: list again. */
export interface ListWatch<T> {
  list(continueToken: string, signal: AbortSignal): Promise<ListPage<T>>;
  /**
   * Hands over all that there is one by one, and resolves with the version that this is of; with undefined from a
   * server that cannot send it so, which is then asked for pages. Spares the server from putting lists together.
   */
  stream?(onItem: (item: T) => void, signal: AbortSignal): Promise<string | undefined>;
  /** Hands over each change as it comes. Resolves when the server ends the watch. */
  watch(from: WatchFrom, onEvent: (event: WatchEvent<T>) => void, signal: AbortSignal): Promise<void>;
  keyOf(item: T): string;
  /** Changes with the object itself: the same name with another identity is another object. */
  identityOf(item: T): string;
}

export interface InformerHandlers<T> {
  /** A new or changed object. `before` is undefined for a new one. */
  put(item: T, before: T | undefined): void;
  /** The object as it was last. */
  gone(item: T): void;
}

export interface InformerOptions<T> {
  readonly name: string;
  readonly source: ListWatch<T>;
  readonly clock: Clock;
  readonly random: () => number;
  /** Told of every list or watch that failed, with the wait before the next attempt, and of handlers that threw. */
  readonly onFailure: (message: string, retryInMs: number) => void;
}

/** The server sends a bookmark a minute; twice that without a byte means that nobody is talking to us. */
const SILENCE_MS = 125_000;
const WATCH_SECONDS = 300;
/** Handlers of a long list may take many seconds together: signs of life and calls in hand get their turn between. */
const SLICE_MS = 20;

/**
 * Keeps a complete copy of one kind of object (DESIGN D14). It never gives up: whatever fails is tried again with
 * jittered back-off, and `fresh()` tells meanwhile that the copy may be old. After a silence it lists anew, because a
 * watch from a version of the future (etcd restored from a backup) is answered with silence for ever.
 */
export class Informer<T> implements Store<T> {
  readonly #options: InformerOptions<T>;
  readonly #handlers = new Set<InformerHandlers<T>>();
  #items: Map<string, T> = new Map();
  #lastHeard: number | undefined;
  #synced = false;
  #stop: AbortController | undefined;
  #done: Promise<void> = Promise.resolve();
  #onSynced: () => void = () => {};
  readonly synced: Promise<void>;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.synced = new Promise((resolve) => {
      this.#onSynced = resolve;
    });
  }

  get name(): string {
    return this.#options.name;
  }

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
    const { clock } = this.#options;
    return this.#synced && this.#lastHeard !== undefined && clock.monotonic() - this.#lastHeard < SILENCE_MS;
  }

  /** Tells `handlers` of every change from now on, and of what is there already. */
  subscribe(handlers: InformerHandlers<T>): void {
    this.#handlers.add(handlers);
    for (const item of this.#items.values()) handlers.put(item, undefined);
  }

  start(): void {
    this.#stop ??= new AbortController();
    this.#done = this.#follow(this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop?.abort();
    await this.#done;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    let resourceVersion = '';
    let attempt = 0;
    while (!signal.aborted) {
      try {
        if (resourceVersion === '') resourceVersion = await this.#list(signal);
        const onEvent = (event: WatchEvent<T>): void => {
          attempt = 0;
          resourceVersion = event.resourceVersion;
          this.#apply(event);
        };
        await this.#watch(resourceVersion, onEvent, signal);
        // A server that ends every watch at once must not turn this into a hot loop.
        await this.#options.clock.sleep(backoff(attempt, 50, 5_000, this.#options.random), signal);
        attempt = Math.min(attempt + 1, 8);
      } catch (error) {
        if (signal.aborted) return;
        if (isRemote(error, 'Expired') || error instanceof SilenceError) resourceVersion = '';
        const wait = Math.max(askedMs(error), backoff(attempt, 200, 30_000, this.#options.random));
        attempt += 1;
        this.#options.onFailure(`${this.#options.name}: ${messageOf(error)}`, wait);
        await this.#options.clock.sleep(wait, signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const found = new Map<string, T>();
    const resourceVersion = (await this.#listStream(found, signal)) ?? (await this.#listPages(found, signal));
    // Complete before anybody is told: what a handler sets off may ask at once whether the copy is fresh.
    const before = this.#items;
    this.#items = found;
    this.#synced = true;
    await this.#tellOfList(before, found, signal);
    this.#onSynced();
    return resourceVersion;
  }

  async #listStream(found: Map<string, T>, signal: AbortSignal): Promise<string | undefined> {
    const { source, clock } = this.#options;
    if (source.stream === undefined) return undefined;
    const silence = new Silence(clock, SILENCE_MS, signal);
    try {
      const take = (item: T): void => {
        this.#lastHeard = silence.heard();
        found.set(source.keyOf(item), item);
      };
      const resourceVersion = await source.stream(take, silence.signal);
      if (resourceVersion === undefined) found.clear();
      this.#lastHeard = silence.heard();
      return resourceVersion;
    } catch (error) {
      found.clear();
      throw silence.isTooLong ? new SilenceError('the list was silent for too long') : error;
    } finally {
      silence.end();
    }
  }

  async #listPages(found: Map<string, T>, signal: AbortSignal): Promise<string> {
    const { source } = this.#options;
    let continueToken = '';
    let resourceVersion = '';
    do {
      const page = await source.list(continueToken, signal);
      // The watch goes on from the first page: later pages may be of a newer version after an expired token.
      if (resourceVersion === '') resourceVersion = page.resourceVersion;
      for (const item of page.items) found.set(source.keyOf(item), item);
      continueToken = page.continueToken;
      this.#lastHeard = this.#options.clock.monotonic();
    } while (continueToken !== '');
    return resourceVersion;
  }

  async #tellOfList(before: ReadonlyMap<string, T>, found: ReadonlyMap<string, T>, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    let sliceEnd = clock.monotonic() + SLICE_MS;
    const pause = async (): Promise<void> => {
      await clock.sleep(0, signal);
      signal.throwIfAborted();
      sliceEnd = clock.monotonic() + SLICE_MS;
    };
    for (const [key, item] of before) {
      if (found.has(key)) continue;
      this.#tell((handler) => handler.gone(item));
      if (clock.monotonic() >= sliceEnd) await pause();
    }
    for (const [key, item] of found) {
      this.#tellPut(item, before.get(key));
      if (clock.monotonic() >= sliceEnd) await pause();
    }
  }

  async #watch(resourceVersion: string, onEvent: (event: WatchEvent<T>) => void, signal: AbortSignal): Promise<void> {
    const { source, clock, random } = this.#options;
    const timeoutSeconds = Math.round(WATCH_SECONDS * (1 + random()));
    // Asking is not hearing: while nobody answers, the copy grows old.
    const silence = new Silence(clock, SILENCE_MS, signal);
    const take = (event: WatchEvent<T>): void => {
      this.#lastHeard = silence.heard();
      onEvent(event);
    };
    try {
      await source.watch({ resourceVersion, timeoutSeconds }, take, silence.signal);
    } catch (error) {
      if (!silence.isTooLong) throw error;
    } finally {
      silence.end();
    }
    if (silence.isTooLong) throw new SilenceError('the watch was silent for too long; listing again');
  }

  #apply(event: WatchEvent<T>): void {
    if (event.type === 'put') this.#put(event.item);
    if (event.type === 'gone') this.#gone(event.key);
  }

  #gone(key: string): void {
    const item = this.#items.get(key);
    // Left out when it was read.
    if (item === undefined) return;
    this.#items.delete(key);
    this.#tell((handler) => handler.gone(item));
  }

  #put(item: T): void {
    const key = this.#options.source.keyOf(item);
    const before = this.#items.get(key);
    this.#items.set(key, item);
    this.#tellPut(item, before);
  }

  #tellPut(item: T, before: T | undefined): void {
    const { source } = this.#options;
    const same = before !== undefined && source.identityOf(before) === source.identityOf(item);
    if (before !== undefined && !same) this.#tell((handler) => handler.gone(before));
    this.#tell((handler) => handler.put(item, same ? before : undefined));
  }

  /** A handler that throws keeps the others from nothing. */
  #tell(call: (handler: InformerHandlers<T>) => void): void {
    for (const handler of this.#handlers) {
      try {
        call(handler);
      } catch (error) {
        this.#options.onFailure(`${this.#options.name}: a handler failed: ${messageOf(error)}`, 0);
      }
    }
  }
}

class SilenceError extends RemoteError {
  constructor(message: string) {
    super('kubernetes', 'Unavailable', message);
  }
}
