/** State maps in memory: what an API server holds, and what a watch shows of it when it is told to. */
import { isRemote } from '../../src/errors.ts';
import { isShard, readClaims, readShard } from '../../src/nodes/record-format.ts';
import type { StateMap, StateMaps, Store } from '../../src/ports.ts';
import { type Calls, remoteError } from './memory-ports.ts';

interface Held {
  readonly uid: string;
  readonly version: number;
  readonly data: Readonly<Record<string, string>>;
}

export class MemoryState implements StateMaps {
  readonly #calls: Calls;
  readonly #held = new Map<string, Held>();
  readonly #shown = new Map<string, StateMap>();
  readonly #handlers: ((map: StateMap) => void)[] = [];
  #made = 0;
  isFresh = true;
  /** Age of every map, ms since the epoch. */
  createdAt = 0;
  /** The answer of the next write is lost: it took effect all the same. */
  loseAnswer = false;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** What the watch has shown. */
  readonly view: Store<StateMap> = {
    get: (name) => this.#shown.get(name),
    values: () => this.#shown.values(),
    size: 0,
    fresh: () => this.isFresh,
  };

  /** Tells of what `show` shows. */
  subscribe(put: (map: StateMap) => void): void {
    this.#handlers.push(put);
  }

  /** Has the watch catch up. */
  show(): void {
    for (const name of this.#held.keys()) {
      const map = this.#mapOf(name);
      if (map === undefined || this.#shown.get(name)?.resourceVersion === map.resourceVersion) continue;
      this.#shown.set(name, map);
      for (const put of this.#handlers) put(map);
    }
  }

  /** Data as they are stored. */
  dataOf(name: string): Readonly<Record<string, string>> {
    return this.#held.get(name)?.data ?? {};
  }

  get names(): string[] {
    return [...this.#held.keys()];
  }

  list(): Promise<StateMap[]> {
    return Promise.resolve(this.names.flatMap((name) => this.#mapOf(name) ?? []));
  }

  async get(name: string, signal: AbortSignal): Promise<StateMap | undefined> {
    await this.#calls.begin('get state', name, signal);
    return this.#mapOf(name);
  }

  async write(
    name: string,
    changes: Readonly<Record<string, string | null>>,
    expected: string | undefined,
    signal: AbortSignal,
  ): Promise<StateMap> {
    await this.#calls.begin('write state', `${name} ${Object.keys(changes).length}`, signal);
    const held = this.#held.get(name);
    if (expected !== undefined && expected !== (held === undefined ? '' : String(held.version))) {
      throw remoteError('Conflict');
    }
    const data = { ...held?.data };
    for (const [key, value] of Object.entries(changes)) {
      if (value === null) delete data[key];
      else data[key] = value;
    }
    this.#made += 1;
    this.#held.set(name, { uid: held?.uid ?? `uid-${name}`, version: this.#made, data });
    if (this.loseAnswer) {
      this.loseAnswer = false;
      throw remoteError('Unavailable');
    }
    return this.#mapOf(name) as StateMap;
  }

  async remove(map: StateMap, signal: AbortSignal): Promise<void> {
    try {
      await this.#calls.begin('remove state', map.name, signal);
    } catch (error) {
      if (!isRemote(error, 'NotFound')) throw error;
    }
    this.#held.delete(map.name);
    this.#shown.delete(map.name);
  }

  #mapOf(name: string): StateMap | undefined {
    const held = this.#held.get(name);
    if (held === undefined) return undefined;
    return {
      name,
      uid: held.uid,
      resourceVersion: String(held.version),
      createdAt: this.createdAt,
      records: isShard(name) ? readShard(held.data) : new Map(),
      claims: isShard(name) ? new Map() : readClaims(held.data),
    };
  }
}
