/** What the demo prints: numbered steps, each line with the time since the step began. */
export class Narrator {
  readonly #write: (text: string) => void;
  #step = 0;
  #stepStart = 0;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** Begins the next step. */
  step(title: string): void {
    this.#step += 1;
    this.#stepStart = performance.now();
    this.#write(`\n${this.#step}. ${title}\n`);
  }

  /** Something that happened just now. */
  tell(text: string): void {
    const seconds = ((performance.now() - this.#stepStart) / 1000).toFixed(2).padStart(6);
    for (const line of text.trimEnd().split('\n')) this.#write(`   ${seconds} s  ${line}\n`);
  }

  /** Text as it is, such as the output of a command. */
  quote(text: string): void {
    for (const line of text.trimEnd().split('\n')) this.#write(`            | ${line}\n`);
  }

  plain(text: string): void {
    this.#write(`${text}\n`);
  }
}

/** A step of the demo did not hold. */
export class StepError extends Error {
  readonly code = 'StepFailed';
}

/** Throws StepError unless `condition` holds. */
export function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new StepError(what);
}

/** Polls until `probe` answers something; says what it waits for every 15 s. Throws StepError after `seconds`. */
export async function waitFor<T>(
  narrator: Narrator,
  what: string,
  seconds: number,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  const started = performance.now();
  let told = started;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    const now = performance.now();
    if (now - started > seconds * 1000) throw new StepError(`${what}: not within ${seconds} s`);
    if (now - told > 15_000) {
      narrator.tell(`... waiting: ${what}`);
      told = now;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
