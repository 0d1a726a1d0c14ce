import PQueue from 'p-queue';
import { shardOf } from '../nodes/record-format.ts';
import { backoff, type Clock } from '../runtime/clock.ts';

export interface ShardWriterOptions {
  /** Writes what is known of these nodes, all of one shard, and answers whether it could. Never rejects. */
  readonly write: (shard: string, nodes: readonly string[], signal: AbortSignal) => Promise<boolean>;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Changes are written when none came for so long: a certificate costs no write of its own (DESIGN D6). */
const GROUP_MS = 5_000;
/** However many changes come. The issued CSRs are the journal until then, and stay. */
const LONGEST_GROUP_MS = 5 * 60_000;
/** A shard costs the API server as much as three certificates: writing takes a tenth of its time at most. */
const REST_AFTER_WRITING = 9;
/** All shards are no hour while the API server is slow. */
const MOST_REST_MS = 1_000;
/** When the service stops. Else they come one after the other. */
const AT_ONCE = 4;
const FIRST_RETRY_MS = 1_000;
const MOST_RETRY_MS = 60_000;
const MOST_SHARDS_KNOWN = 1_000;

/**
 * When node records are written: those of a shard together, as one costs much the same as fifty, and the shards with rests
 * between them, as the node that comes just then waits for what is being written.
 */
export class ShardWriter {
  readonly #options: ShardWriterOptions;
  /** Nodes of which something is not written. */
  readonly #changed = new Set<string>();
  /** Of nodes that were asked for lately, and that several times a certificate. */
  readonly #shards = new Map<string, string>();
  #timer: (() => void) | undefined;
  #failures = 0;
  /** When the last change came, and the first that is not written. */
  #changedAt = 0;
  #groupFrom = 0;
  #writing: Promise<void> = Promise.resolve();
  /** Ends the rests of what is being written. */
  #hurry = new AbortController();

  constructor(options: ShardWriterOptions) {
    this.#options = options;
  }

  /** To be told of every node of which there is something to write. */
  changed(node: string): void {
    const now = this.#options.clock.monotonic();
    if (this.#changed.size === 0) this.#groupFrom = now;
    this.#changed.add(node);
    this.#changedAt = now;
    this.#plan(GROUP_MS);
  }

  /** To be told of every node of which all is written. */
  written(node: string): void {
    this.#changed.delete(node);
  }

  isWritten(node: string): boolean {
    return !this.#changed.has(node);
  }

  /** The shard that this node's record belongs to. */
  shardOf(node: string): string {
    const known = this.#shards.get(node);
    if (known !== undefined) return known;
    if (this.#shards.size >= MOST_SHARDS_KNOWN) this.#shards.clear();
    const shard = shardOf(node);
    this.#shards.set(node, shard);
    return shard;
  }

  /** Writes at once what is not written yet. What fails is left for the next time, with back-off; never rejects. */
  flush(signal: AbortSignal): Promise<void> {
    this.#timer?.();
    this.#timer = undefined;
    this.#hurry.abort();
    this.#hurry = new AbortController();
    this.#writing = this.#writing.then(() => this.#write(signal, undefined));
    return this.#writing;
  }

  #plan(ms: number): void {
    const { clock } = this.#options;
    this.#timer ??= clock.after(ms, () => {
      this.#timer = undefined;
      const now = clock.monotonic();
      const quietAt = Math.min(this.#changedAt + GROUP_MS, this.#groupFrom + LONGEST_GROUP_MS);
      if (now < quietAt) {
        this.#plan(quietAt - now);
        return;
      }
      const hurry = this.#hurry.signal;
      this.#writing = this.#writing.then(() => this.#write(new AbortController().signal, hurry));
    });
  }

  /** With rests if it can be told to hurry: what it has not come to by then is left to whoever told it. */
  async #write(signal: AbortSignal, hurry: AbortSignal | undefined): Promise<void> {
    const { write, clock, random } = this.#options;
    this.#groupFrom = clock.monotonic();
    const gate = new PQueue({ concurrency: hurry === undefined ? AT_ONCE : 1 });
    let failed = false;
    for (const [shard, nodes] of Map.groupBy(this.#changed, (node) => this.shardOf(node))) {
      void gate.add(async () => {
        if (hurry?.aborted === true) return;
        const from = clock.monotonic();
        failed = !(await write(shard, nodes, signal)) || failed;
        const tookMs = clock.monotonic() - from;
        if (hurry !== undefined) await clock.sleep(Math.min(tookMs * REST_AFTER_WRITING, MOST_REST_MS), hurry);
      });
    }
    await gate.onIdle();
    const again = failed && !signal.aborted;
    this.#failures = again ? this.#failures + 1 : 0;
    if (again) this.#plan(backoff(this.#failures, FIRST_RETRY_MS, MOST_RETRY_MS, random));
  }
}
