/** More different texts than this are no repetition. */
const MOST = 2_000;
const LONGEST = 200;
const LONGEST_KEY = 600;

/**
 * Keeps one copy of texts that come again and again: thousands of objects from the API server say the same, and JSON
 * gives each its own. Bounded; a text that is not in it is answered as it is.
 */
export class TextPool {
  readonly #texts = new Map<string, string>();
  readonly #lists = new Map<string, readonly string[]>();
  readonly #made = new Map<string, unknown>();

  text(text: string): string {
    if (text.length > LONGEST) return text;
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size >= MOST) this.#texts.clear();
    this.#texts.set(text, text);
    return text;
  }

  list(texts: readonly string[]): readonly string[] {
    const key = texts.join('\n');
    if (key.length > LONGEST) return texts;
    const known = this.#lists.get(key);
    if (known?.length === texts.length && known.every((text, index) => text === texts[index])) return known;
    if (this.#lists.size >= MOST) this.#lists.clear();
    this.#lists.set(key, texts);
    return texts;
  }

  /** What `make` makes of what `key` says; always the same `make` for one pool, and nothing that is changed later. */
  made<T>(key: string, make: () => T): T {
    if (key.length > LONGEST_KEY) return make();
    const known = this.#made.get(key);
    if (known !== undefined) return known as T;
    if (this.#made.size >= MOST) this.#made.clear();
    const value = make();
    this.#made.set(key, value);
    return value;
  }
}
