/** More different texts than this are no repetition. */
const MOST = 2_000;
const LONGEST = 200;

/**
 * Keeps one copy of texts that come again and again: thousands of objects from the API server say the same, and JSON
 * gives each its own. Bounded; a text that is not in it is answered as it is.
 */
export class TextPool {
  readonly #texts = new Map<string, string>();
  readonly #lists = new Map<string, readonly string[]>();

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
}
