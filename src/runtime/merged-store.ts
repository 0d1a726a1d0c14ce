import type { Store } from '../ports.ts';

/** Several stores of one kind as one; a key is in one of them at most. */
export function mergeStores<T>(stores: readonly Store<T>[]): Store<T> {
  return {
    get: (key) => {
      for (const store of stores) {
        const item = store.get(key);
        if (item !== undefined) return item;
      }
      return undefined;
    },
    values: function* () {
      for (const store of stores) yield* store.values();
    },
    get size() {
      return stores.reduce((sum, store) => sum + store.size, 0);
    },
    fresh: () => stores.every((store) => store.fresh()),
  };
}
