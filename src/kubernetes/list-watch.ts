import { isRemote, RemoteError } from '../errors.ts';
import type { ListPage, ListWatch, WatchEvent } from '../runtime/informer.ts';
import { errorOfStatus } from './status.ts';
import type { ApiRequest, Transport } from './transport.ts';
import { listAt, objectAt, textAt, type WireObject } from './wire.ts';

/** Ordinary CSRs of a page take a megabyte; of a page that is too large, smaller ones are asked for. */
const PAGE_SIZES = [500, 50, 5, 1] as const;

/** A watch that begins with all that there is (WatchList; older API servers refuse it). */
const INITIAL_EVENTS = {
  sendInitialEvents: 'true',
  resourceVersionMatch: 'NotOlderThan',
  timeoutSeconds: '600',
} as const;
const LIST_ENDS = 'k8s.io/initial-events-end';

export interface ListWatchOptions<T> {
  readonly transport: Transport;
  readonly resource: string;
  readonly path: string;
  readonly selectors: Readonly<Record<string, string>>;
  /** Objects of a page at most; 500 unless told. */
  readonly page?: number | undefined;
  /** What to ask for instead of whole objects, in the list and in the watch. */
  readonly accept?: { readonly list: string; readonly watch: string };
  /** Reads one object; undefined leaves it out. */
  readonly read: (object: unknown) => T | undefined;
  readonly keyOf: (item: T) => string;
  /** The key of what had this name, undefined for what is left out; the name itself unless told. What is gone is not read. */
  readonly keyOfName?: (name: string) => string | undefined;
  readonly identityOf: (item: T) => string;
}

/** List as a stream or in pages, and watch with bookmarks, over the raw API. */
export function listWatch<T>(options: ListWatchOptions<T>): ListWatch<T> {
  const { transport, resource, path, selectors, page = PAGE_SIZES[0], read, accept } = options;
  const follow = (
    query: Readonly<Record<string, string>>,
    onEvent: (event: ReadEvent<T>) => 'more' | 'enough',
    signal: AbortSignal,
  ): Promise<void> =>
    transport.follow(
      {
        verb: 'watch',
        resource,
        path,
        query: { ...selectors, watch: 'true', allowWatchBookmarks: 'true', ...query },
        accept: accept?.watch,
      },
      (line) => onEvent(readEvent(objectAt(line), options)),
      signal,
    );
  let streams = true;
  return {
    keyOf: options.keyOf,
    identityOf: options.identityOf,
    list: async (continueToken, signal): Promise<ListPage<T>> => {
      const query = { ...selectors, ...(continueToken === '' ? {} : { continue: continueToken }) };
      const answer = objectAt(
        await fittingPage(transport, { verb: 'list', resource, path, query, accept: accept?.list }, page, signal),
      );
      const metadata = objectAt(answer['metadata']);
      const items = listAt(answer['items'])
        .map((object) => read(object))
        .filter((item) => item !== undefined);
      return {
        items,
        resourceVersion: textAt(metadata['resourceVersion']),
        continueToken: textAt(metadata['continue']),
      };
    },
    stream: async (onItem, signal): Promise<string | undefined> => {
      if (!streams) return undefined;
      let listed: string | undefined;
      const take = ({ event, isLastOfList }: ReadEvent<T>): 'more' | 'enough' => {
        if (event.type === 'put') onItem(event.item);
        if (!isLastOfList) return 'more';
        listed = event.resourceVersion;
        return 'enough';
      };
      try {
        await follow(INITIAL_EVENTS, take, signal);
      } catch (error) {
        if (!isRemote(error, 'Invalid')) throw error;
        streams = false;
        return undefined;
      }
      if (listed !== undefined) return listed;
      throw new RemoteError('kubernetes', 'Unavailable', `list ${resource}: ended before it was complete`);
    },
    watch: ({ resourceVersion, timeoutSeconds }, onEvent, signal): Promise<void> => {
      const take = ({ event }: ReadEvent<T>): 'more' => {
        onEvent(event);
        return 'more';
      };
      return follow({ resourceVersion, timeoutSeconds: String(timeoutSeconds) }, take, signal);
    },
  };
}

/** Every object, all pages. Throws RemoteError. */
export async function listAll<T>(
  options: Omit<ListWatchOptions<T>, 'keyOf' | 'identityOf'>,
  signal: AbortSignal,
): Promise<T[]> {
  const source = listWatch<T>({ ...options, keyOf: () => '', identityOf: () => '' });
  return allPages(source, signal);
}

/** Every object that a source lists now. Throws RemoteError. */
export async function allPages<T>(source: Pick<ListWatch<T>, 'list'>, signal: AbortSignal): Promise<T[]> {
  const items: T[] = [];
  let continueToken = '';
  do {
    const page = await source.list(continueToken, signal);
    items.push(...page.items);
    ({ continueToken } = page);
  } while (continueToken !== '');
  return items;
}

async function fittingPage(
  transport: Transport,
  wanted: ApiRequest,
  most: number,
  signal: AbortSignal,
): Promise<unknown> {
  let failure: unknown;
  for (const limit of PAGE_SIZES.filter((size) => size <= most)) {
    try {
      return await transport.call({ ...wanted, query: { ...wanted.query, limit: String(limit) } }, signal);
    } catch (error) {
      if (!isRemote(error, 'TooLarge')) throw error;
      failure = error;
    }
  }
  throw failure;
}

interface ReadEvent<T> {
  readonly event: WatchEvent<T>;
  readonly isLastOfList: boolean;
}

function readEvent<T>(
  line: WireObject,
  { resource, read, keyOfName = (name) => name }: ListWatchOptions<T>,
): ReadEvent<T> {
  const { type, object } = line;
  if (type === 'ERROR') {
    // A version that is too old comes as 200 and then this.
    const status = Number(objectAt(object)['code'] ?? 500);
    throw errorOfStatus(`watch ${resource}`, status, JSON.stringify(object), undefined);
  }
  const metadata = objectAt(objectAt(object)['metadata']);
  const resourceVersion = textAt(metadata['resourceVersion']);
  if (resourceVersion === '') throw new RemoteError('kubernetes', 'Unreadable', `watch ${resource}: no version`);
  const bookmark = { type: 'bookmark', resourceVersion } as const;
  if (type === 'BOOKMARK') {
    return { event: bookmark, isLastOfList: objectAt(metadata['annotations'])[LIST_ENDS] === 'true' };
  }
  if (type === 'DELETED') {
    const key = keyOfName(textAt(metadata['name']));
    return { event: key === undefined ? bookmark : { type: 'gone', key, resourceVersion }, isLastOfList: false };
  }
  const item = read(object);
  const event = item === undefined ? bookmark : ({ type: 'put', item, resourceVersion } as const);
  return { event, isLastOfList: false };
}
