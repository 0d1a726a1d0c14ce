import PQueue from 'p-queue';
import { isRemote, messageOf } from '../errors.ts';
import { isLate } from '../nodes/late-node.ts';
import type { NodeRecord } from '../nodes/node-record.ts';
import type { Log, NodeObject, Store } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { isUsable } from '../tokens/rotation.ts';
import type { TokenRecord } from '../tokens/token-secret.ts';
import type { RecordBook } from './record-book.ts';
import type { TokenDesk } from './token-desk.ts';

/** Nodes that are there, whose client certificate ends or ended less than `withinMs` ago, unrenewed. */
export function* lateNodes(
  { records, nodes }: Pick<ReentryOptions, 'records' | 'nodes'>,
  now: number,
  withinMs: number,
): Iterable<NodeRecord> {
  for (const record of records.values()) {
    if (isLate(record, now, withinMs) && nodes.get(record.node) !== undefined) yield record;
  }
}

export interface ReentryOptions {
  readonly tokens: Store<TokenRecord>;
  readonly records: Pick<RecordBook, 'fresh' | 'get' | 'values'>;
  readonly nodes: Pick<Store<NodeObject>, 'get' | 'fresh'>;
  readonly desk: Pick<TokenDesk, 'issue' | 'revoke'>;
  /** Pools whose own token lets its nodes in again. */
  readonly poolServes: (pool: string) => boolean;
  readonly lifetimeMs: number;
  /** How long after the end of its certificate a node is still waited for, ms. */
  readonly withinMs: number;
  /** Tokens that one pass issues at most. */
  readonly mostPerPass: number;
  readonly concurrency: number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Lets a known node in again whose certificate ends unrenewed: a machine that slept, or a fleet behind a long outage. It
 * publishes a token for that node where the machine looks for one, a bounded number each pass, and withdraws it unused
 * when the node has renewed after all. Nodes without a Node object, banned ones and those of a pool need none.
 */
export class Reentry {
  readonly #options: ReentryOptions;

  constructor(options: ReentryOptions) {
    this.#options = options;
  }

  /** One pass; what fails is left to the next one. Never throws. */
  async pass(signal: AbortSignal): Promise<void> {
    const { tokens, records, nodes, desk, clock, log, mostPerPass, concurrency, lifetimeMs, withinMs } = this.#options;
    if (!tokens.fresh() || !records.fresh() || !nodes.fresh()) return;
    const now = clock.now();
    const held = new Map<string, TokenRecord>();
    for (const token of tokens.values()) {
      if (token.binding?.kind === 'node' && isUsable(token, now)) held.set(token.binding.node, token);
    }
    const late = new Map([...lateNodes(this.#options, now, withinMs)].map((record) => [record.node, record]));
    const wanted = [...late.values()].filter((record) => this.#needs(record) && !held.has(record.node));
    const over = [...held].filter(([node, token]) => token.reentry && !late.has(node));
    const gate = new PQueue({ concurrency });
    const steps = [
      ...wanted.slice(0, mostPerPass).map(({ node, addresses }) => async () => {
        const description = `re-entry of ${node}`;
        const request = { binding: { kind: 'node', node } as const, lifetimeMs, description, addresses, reentry: true };
        const { record } = await desk.issue(request, signal);
        log.info({ node, tokenId: record.id }, 'token for re-entry issued');
      }),
      ...over.map(([node, token]) => async () => {
        if (this.#isUsed(node, token)) return;
        await desk.revoke(token, signal);
        log.info({ node, tokenId: token.id }, 'token for re-entry withdrawn: the node has renewed');
      }),
    ];
    await gate.addAll(steps.map((step) => () => this.#guarded(step, signal)));
  }

  #needs({ token }: NodeRecord): boolean {
    return token?.pool === undefined || !this.#options.poolServes(token.pool);
  }

  /** The node may not have taken its certificate yet, and asks again with the same token (DESIGN D8). */
  #isUsed(node: string, token: TokenRecord): boolean {
    const record = this.#options.records.get(node);
    return !record.known || record.value?.token?.id === token.id;
  }

  async #guarded(step: () => Promise<void>, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    try {
      await step();
    } catch (error) {
      const code = isRemote(error) ? error.code : 'unknown';
      this.#options.log.warn({ code, error: messageOf(error) }, 'a token for re-entry is left to the next pass');
    }
  }
}
