import PQueue from 'p-queue';
import { shardOf } from '../nodes/record-format.ts';
import { backoff, type Clock } from '../runtime/clock.ts';
import type { Foreground } from '../runtime/foreground.ts';

export interface ShardWriterOptions {
  /** Writes what is known of these nodes, all of one shard, and answers whether it could. Never rejects. */
  readonly write: (shard: string, nodes: readonly string[], signal: AbortSignal) => Promise<boolean>;
  /** A node may wait for what it has in hand, and nobody for a record. */
  readonly foreground: Pick<Foreground, 'lull'>;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Changes are written when none came for so long: a certificate costs no write of its own (DESIGN D6). */
const GROUP_MS = 5_000;
/** However many changes come. The issued CSRs are the journal until then, and stay. */
const LONGEST_GROUP_MS = 60_000;
/** A shard costs the API server as much as three certificates: writing takes a tenth of its time at most. */
const REST_AFTER_WRITING = 9;
/** All shards are no hour while the API server is slow. */
const MOST_REST_MS = 1_000;
/** One shard that cannot be written keeps no other from it; so many in a row are no matter of shards. */
const MOST_FAILURES_IN_A_ROW = 3;
const FIRST_RETRY_MS = 1_000;
const MOST_RETRY_MS = 60_000;
/** When the service stops. Else they come one after the other. */
const AT_ONCE_WHEN_STOPPING = 4;
const MOST_SHARDS_KNOWN = 1_000;

/**
 * When node records are written: those of a shard together, as one costs much the same as fifty, each shard while nothing is
 * decided or signed, and with rests between them, as the node that comes just then waits for what is being written.
 */
export class ShardWriter {
  readonly #options: ShardWriterOptions;
  /** Nodes of which something is not written, by shard; those that could not be written are the last. */
  readonly #changed = new Map<string, Set<string>>();
  /** Of nodes that were asked for lately, and that several times a certificate. */
  readonly #shards = new Map<string, string>();
  #timer: (() => void) | undefined;
  /** When the last change came, and the first that is not written. */
  #changedAt = 0;
  #groupFrom = 0;
  #failures = 0;
  #retryAt = 0;
  #walk: Promise<void> | undefined;
  /** Ends rests, and with them the walk. */
  readonly #stopping = new AbortController();
  /** Ends what is being written. */
  readonly #lettingGo = new AbortController();

  constructor(options: ShardWriterOptions) {
    this.#options = options;
  }

  /** To be told of every node of which there is something to write. */
  changed(node: string): void {
    const now = this.#options.clock.monotonic();
    if (this.#changed.size === 0) this.#groupFrom = now;
    this.#changedAt = now;
    const shard = this.shardOf(node);
    const nodes = this.#changed.get(shard);
    if (nodes === undefined) this.#changed.set(shard, new Set([node]));
    else nodes.add(node);
    this.#plan();
  }

  /** To be told of every node of which all is written. */
  written(node: string): void {
    const shard = this.shardOf(node);
    const nodes = this.#changed.get(shard);
    nodes?.delete(node);
    if (nodes?.size === 0) this.#changed.delete(shard);
  }

  isWritten(node: string): boolean {
    return this.#changed.get(this.shardOf(node))?.has(node) !== true;
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

  /** Writes at once what is not written yet, once, and nothing any more. Lets go with `signal`; never rejects. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#timer?.();
    this.#stopping.abort();
    const letGo = (): void => this.#lettingGo.abort();
    if (signal.aborted) letGo();
    else signal.addEventListener('abort', letGo, { once: true });
    await this.#walk;
    const gate = new PQueue({ concurrency: AT_ONCE_WHEN_STOPPING });
    await gate.addAll([...this.#changed.keys()].map((shard) => () => this.#write(shard)));
    signal.removeEventListener('abort', letGo);
  }

  #dueAt(): number {
    if (this.#failures > 0) return this.#retryAt;
    return Math.min(this.#changedAt + GROUP_MS, this.#groupFrom + LONGEST_GROUP_MS);
  }

  #plan(): void {
    if (this.#timer !== undefined || this.#walk !== undefined || this.#stopping.signal.aborted) return;
    const { clock } = this.#options;
    this.#timer = clock.after(this.#dueAt() - clock.monotonic(), () => {
      this.#timer = undefined;
      if (clock.monotonic() < this.#dueAt()) this.#plan();
      else this.#walk = this.#walkOn();
    });
  }

  /** One shard after the other, each with what is known of it by then. */
  async #walkOn(): Promise<void> {
    const { foreground, clock, random } = this.#options;
    const { signal } = this.#stopping;
    this.#groupFrom = clock.monotonic();
    let failed = false;
    let inARow = 0;
    const shards = [...this.#changed.keys()];
    for (const shard of shards) {
      if (inARow >= MOST_FAILURES_IN_A_ROW) break;
      await foreground.lull(signal);
      if (signal.aborted) break;
      const from = clock.monotonic();
      const isWritten = await this.#write(shard);
      failed ||= !isWritten;
      inARow = isWritten ? 0 : inARow + 1;
      await clock.sleep(Math.min((clock.monotonic() - from) * REST_AFTER_WRITING, MOST_REST_MS), signal);
    }
    this.#retryAt = clock.monotonic() + backoff(this.#failures, FIRST_RETRY_MS, MOST_RETRY_MS, random);
    this.#failures = failed ? this.#failures + 1 : 0;
    this.#walk = undefined;
    if (this.#changed.size > 0) this.#plan();
  }

  async #write(shard: string): Promise<boolean> {
    const nodes = this.#changed.get(shard);
    if (nodes === undefined) return true;
    const isWritten = await this.#options.write(shard, [...nodes], this.#lettingGo.signal);
    const left = this.#changed.get(shard);
    if (!isWritten && left !== undefined) {
      this.#changed.delete(shard);
      this.#changed.set(shard, left);
    }
    return isWritten;
  }
}
