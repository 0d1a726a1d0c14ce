import type { ListPage, ListWatch, WatchEvent, WatchFrom } from '../../src/runtime/informer.ts';

/** An object as the informer's tests have it. */
export interface Thing {
  readonly name: string;
  readonly uid: string;
  readonly note: string;
}

export function thing(name: string, note = '', uid = `uid-${name}`): Thing {
  return { name, uid, note };
}

/** A watch that is open: the test says what comes. */
export interface OpenWatch extends WatchFrom {
  send(event: WatchEvent<Thing>): void;
  /** Ends it as a server does when its time is up. */
  end(): void;
  fail(error: unknown): void;
}

/** A list and watch that answers as a test says; an unscripted list hangs, like a server that does not answer. */
export class ScriptedListWatch implements ListWatch<Thing> {
  readonly asked: string[] = [];
  readonly watches: OpenWatch[] = [];
  /** What the next lists answer, one each; an error is thrown. */
  readonly pages: (ListPage<Thing> | Error)[] = [];
  /** Only where a test has one. */
  stream?: NonNullable<ListWatch<Thing>['stream']>;

  keyOf(item: Thing): string {
    return item.name;
  }

  identityOf(item: Thing): string {
    return item.uid;
  }

  /** The watch that was opened last. */
  get open(): OpenWatch {
    const last = this.watches.at(-1);
    if (last === undefined) throw new Error('no watch is open');
    return last;
  }

  willList(resourceVersion: string, ...items: Thing[]): void {
    this.pages.push({ items, resourceVersion, continueToken: '' });
  }

  list(continueToken: string, signal: AbortSignal): Promise<ListPage<Thing>> {
    this.asked.push(`list ${continueToken}`.trim());
    const page = this.pages.shift();
    if (page instanceof Error) return Promise.reject(page);
    if (page !== undefined) return Promise.resolve(page);
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  }

  watch(from: WatchFrom, onEvent: (event: WatchEvent<Thing>) => void, signal: AbortSignal): Promise<void> {
    this.asked.push(`watch ${from.resourceVersion}`);
    return new Promise((resolve, reject) => {
      this.watches.push({ ...from, send: onEvent, end: resolve, fail: reject });
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  }
}
