import { isRemote } from '../errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { VaultCause, VaultFailure } from './failure.ts';
import type { VaultOperation } from './operation.ts';

export interface VaultProblem {
  readonly operation: VaultOperation;
  readonly why: VaultCause;
  readonly message: string;
}

/** What nobody has met for so long is not told any more: some calls are rare. */
const FORGET_MS = 2 * 60_000;
const OVER_WHEN_UP: ReadonlySet<VaultCause> = new Set(['sealed', 'unreachable', 'no-answer-in-time', 'not-trusted']);

/** What the last call of each kind came to, as far as it is Vault's fault or that of its set-up. */
export class VaultProblems {
  readonly #clock: Clock;
  readonly #last = new Map<VaultOperation, VaultProblem & { readonly at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `failure` is undefined for a call that went well. */
  told(operation: VaultOperation, failure: VaultFailure | undefined): void {
    const why = causeFor(operation, failure);
    if (failure === undefined || why === undefined) this.#last.delete(operation);
    else this.#last.set(operation, { operation, why, message: failure.message, at: this.#clock.monotonic() });
  }

  /** Vault was asked and is there, unsealed: what says otherwise is over. */
  isUp(): void {
    for (const [operation, { why }] of this.#last) if (OVER_WHEN_UP.has(why)) this.#last.delete(operation);
  }

  /** The latest comes last. */
  current(): VaultProblem[] {
    const since = this.#clock.monotonic() - FORGET_MS;
    return [...this.#last.values()].filter(({ at }) => at >= since).toSorted((a, b) => a.at - b.at);
  }
}

function causeFor(operation: VaultOperation, failure: VaultFailure | undefined): VaultCause | undefined {
  // That a token is dead is found out so, and a login follows.
  if ((operation === 'lookup' || operation === 'renew') && isRemote(failure, 'Forbidden')) return undefined;
  if (operation === 'login' && isRemote(failure, 'Invalid', 'Forbidden', 'NotFound')) return 'login-refused';
  return failure?.why;
}
