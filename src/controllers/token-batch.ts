import PQueue from 'p-queue';
import { isRemote, RefusedError } from '../errors.ts';
import { type TokenRecord, tokensOf, vaultPathOfBinding } from '../tokens/token-secret.ts';
import type { IssuedToken, NodeRequest, Standing, TokenDesk } from './token-desk.ts';

/** What became of one node of a batch. */
export type BatchOutcome =
  | { readonly kind: 'issued'; readonly issued: IssuedToken }
  /** It has a token that can be fetched. */
  | { readonly kind: 'kept'; readonly record: TokenRecord }
  /** Nothing was written: a token would be issued. */
  | { readonly kind: 'wanted' }
  /** Its kubelet is at work (DESIGN D9). */
  | { readonly kind: 'alive'; readonly renewedAt: number }
  | { readonly kind: 'failed'; readonly error: unknown };

export interface BatchOptions {
  readonly desk: TokenDesk;
  readonly concurrency: number;
  /** Every token that there is, read before. */
  readonly known: readonly TokenRecord[];
  /** Paths in Vault that have an entry, read before; undefined: each is looked at. */
  readonly published: ReadonlySet<string> | undefined;
  /** When the node's Lease was renewed, for a node that is alive. */
  readonly renewedAt: (node: string, signal: AbortSignal) => Promise<number | undefined>;
  /** Issues to all, the living too, in the place of what they have. */
  readonly replace: boolean;
  readonly dryRun: boolean;
  /** Told of each node as it is done. */
  readonly onOutcome: (node: string, outcome: BatchOutcome) => void;
}

export interface BatchEnd {
  /** One for each request that was tried, by node. */
  readonly outcomes: ReadonlyMap<string, BatchOutcome>;
  /** Why the rest was not tried: so many failures in a row, of which this is the last. */
  readonly gaveUp: unknown;
}

/** So many failures in a row of the API server or Vault are not those of single nodes. */
const HOPELESS = 32;

/**
 * Issues a token to every node that has none to fetch, some at a time; to do it again is to go on. What fails for one
 * node stops no other. Once `interrupted` aborts no node is begun, and those that were are brought to their end.
 */
export async function issueBatch(
  requests: readonly NodeRequest[],
  options: BatchOptions,
  interrupted: AbortSignal,
): Promise<BatchEnd> {
  const outcomes = new Map<string, BatchOutcome>();
  const queue = new PQueue({ concurrency: options.concurrency });
  const stop = (): void => queue.clear();
  let inARow = 0;
  let gaveUp: unknown;
  const run = async (request: NodeRequest): Promise<void> => {
    const { node } = request.binding;
    const outcome = await attempt(request, options);
    outcomes.set(node, outcome);
    inARow = outcome.kind === 'failed' && isRemote(outcome.error) ? inARow + 1 : 0;
    if (inARow >= HOPELESS && outcome.kind === 'failed' && queue.size > 0) {
      gaveUp = outcome.error;
      stop();
    }
    options.onOutcome(node, outcome);
  };
  interrupted.addEventListener('abort', stop, { once: true });
  try {
    if (!interrupted.aborted) for (const request of requests) void queue.add(() => run(request));
    await queue.onIdle();
  } finally {
    interrupted.removeEventListener('abort', stop);
  }
  return { outcomes, gaveUp };
}

/** Never aborted half-way: every call has a time-out of its own. */
async function attempt(request: NodeRequest, options: BatchOptions): Promise<BatchOutcome> {
  const { desk, known, published } = options;
  const { binding } = request;
  const signal = new AbortController().signal;
  const isNew = published?.has(vaultPathOfBinding(binding)) === false;
  try {
    if (isNew) {
      const nothing = { version: 0, tokens: tokensOf(binding, known), held: undefined };
      const outcome = await issueUnlessHeld(request, nothing, options, signal).catch(unlessTaken);
      if (outcome !== undefined) return outcome;
    }
    return await issueUnlessHeld(request, await desk.look(binding, known, signal), options, signal);
  } catch (error) {
    return { kind: 'failed', error };
  }
}

/** Swallows that something stands there by now: the next look shows what. */
function unlessTaken(error: unknown): undefined {
  if (!(error instanceof RefusedError && error.code === 'AlreadyExists')) throw error;
}

async function issueUnlessHeld(
  request: NodeRequest,
  { held, tokens, version }: Standing,
  { desk, renewedAt, replace, dryRun }: BatchOptions,
  signal: AbortSignal,
): Promise<BatchOutcome> {
  const { node } = request.binding;
  if (!replace) {
    if (held !== undefined) {
      if (!dryRun) await desk.finish(held, signal);
      return { kind: 'kept', record: held };
    }
    desk.refuseSecond(
      node,
      tokens.filter(({ ours }) => !ours),
    );
    const alive = await renewedAt(node, signal);
    if (alive !== undefined) return { kind: 'alive', renewedAt: alive };
  }
  if (dryRun) return { kind: 'wanted' };
  const issued = await desk.issueOver(request, version, signal);
  // Only now: the new one can be fetched in their place.
  for (const record of tokens) await desk.revoke(record, signal);
  return { kind: 'issued', issued };
}
