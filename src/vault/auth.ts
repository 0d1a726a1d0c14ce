import { isRemote, messageOf } from '../errors.ts';
import { type Clock, backoff } from '../runtime/clock.ts';
import { abortable } from '../runtime/abortable.ts';
import type { VaultClient, VaultReply, VaultRequest } from './client.ts';
import type { VaultCaller } from './key-value.ts';
import { type Login, type LoginMethod, loginOf } from './login-methods.ts';

export interface VaultSessionOptions {
  readonly client: VaultClient;
  readonly method: LoginMethod;
  readonly clock: Clock;
  readonly random?: () => number;
}

/** A login with its end on the monotonic clock. */
interface Held extends Login {
  readonly startedAt: number;
  readonly endsAt: number;
}

const DAY_MS = 86_400_000;
/** A living token that is younger than this was refused for want of a right, which a new login would not bring. */
const YOUNG_MS = 30_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;

/**
 * Calls Vault with a token that it looks after: it logs in when a token is first needed, renews at two thirds of the
 * lease (after a day at most), and logs in anew when a renewal brings no more time. A call that is refused with 403 is
 * repeated once after one new login, unless it may well be. Logins are shared by all callers, and held back with growing waits while Vault
 * refuses the credential: five refused logins lock an AppRole for 15 minutes.
 */
export class VaultSession implements VaultCaller {
  readonly #client: VaultClient;
  readonly #method: LoginMethod;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #stopped = new AbortController();
  #held: Held | undefined;
  #pending: Promise<Held> | undefined;
  #cancelTimer: (() => void) | undefined;
  #refusals = 0;
  #refused: { readonly error: unknown; readonly until: number } | undefined;

  constructor(options: VaultSessionOptions) {
    this.#client = options.client;
    this.#method = options.method;
    this.#clock = options.clock;
    this.#random = options.random ?? Math.random;
  }

  /** As `VaultClient.call`, with this session's token. */
  async call(request: VaultRequest, signal: AbortSignal): Promise<VaultReply> {
    const held = await this.#token(signal);
    try {
      return await this.#client.call(request, held.token, signal);
    } catch (error) {
      if (!isRemote(error, 'Forbidden') || request.mayBeRefused === true) {
        throw error;
      }
      const next = await this.#replacement(held, signal);
      if (next.token === held.token) {
        throw error;
      }
      return this.#client.call(request, next.token, signal);
    }
  }

  /** What keeps Vault from being used now, for readyz; undefined when nothing does. Never throws. */
  async check(signal: AbortSignal): Promise<string | undefined> {
    try {
      const path = ['sys', 'seal-status'];
      const request = { operation: 'health', method: 'GET', path, rootNamespace: true } as const;
      const { body } = await this.#client.call(request, undefined, signal);
      if (body['initialized'] === false) {
        return 'Vault is not initialised';
      }
      if (body['sealed'] === true) {
        return 'Vault is sealed';
      }
      this.#client.isUp();
      await this.#token(signal);
      return this.#client.problems().at(-1)?.message;
    } catch (error) {
      return signal.aborted ? 'Vault gave no answer in time' : messageOf(error);
    }
  }

  /** Ends renewal. Calls that are under way go on; later ones that need a login fail. */
  stop(): void {
    this.#stopped.abort(new Error('the Vault session was stopped'));
    this.#cancelTimer?.();
  }

  async #token(signal: AbortSignal): Promise<Held> {
    const held = this.#held;
    if (held === undefined || held.endsAt <= this.#clock.monotonic()) {
      return this.#logIn(signal);
    }
    return (await this.#method.isCurrent?.(held.token)) === false ? this.#logIn(signal) : held;
  }

  /** What to use instead of `held`, which was refused; `held` itself when nothing better is to be had. */
  async #replacement(held: Held, signal: AbortSignal): Promise<Held> {
    const newer = (): Held | undefined => (this.#held?.token === held.token ? undefined : this.#held);
    const young = this.#clock.monotonic() - held.startedAt < YOUNG_MS;
    if (newer() === undefined && young && (await this.#isAlive(held, signal))) {
      return held;
    }
    // asked again after the wait: another call may have logged in meanwhile
    return newer() ?? this.#logIn(signal);
  }

  async #isAlive(held: Held, signal: AbortSignal): Promise<boolean> {
    try {
      const request = { operation: 'lookup', method: 'GET', path: ['auth', 'token', 'lookup-self'] } as const;
      await this.#client.call(request, held.token, signal);
      return true;
    } catch (error) {
      if (isRemote(error, 'Forbidden')) {
        return false;
      }
      throw error;
    }
  }

  /** One login at a time, whoever asks. */
  #logIn(signal: AbortSignal): Promise<Held> {
    this.#pending ??= this.#newLogin().finally(() => {
      this.#pending = undefined;
    });
    return abortable(this.#pending, signal);
  }

  async #newLogin(): Promise<Held> {
    const startedAt = this.#clock.monotonic();
    if (this.#refused !== undefined && startedAt < this.#refused.until) {
      throw this.#refused.error;
    }
    try {
      const login = await this.#method.login(this.#client, this.#stopped.signal);
      this.#refusals = 0;
      return this.#hold(login, startedAt, startedAt);
    } catch (error) {
      if (isRemote(error, 'Unauthorized')) {
        const wait = backoff(this.#refusals, FIRST_WAIT_MS, LONGEST_WAIT_MS, this.#random);
        this.#refused = { error, until: this.#clock.monotonic() + wait };
        this.#refusals += 1;
      }
      throw error;
    }
  }

  /** `leasedAt` is when the request was sent: the lease began no earlier. */
  #hold(login: Login, startedAt: number, leasedAt: number): Held {
    const endsAt = login.leaseSeconds > 0 ? leasedAt + login.leaseSeconds * 1_000 : Infinity;
    const held = { ...login, startedAt, endsAt };
    this.#held = held;
    this.#cancelTimer?.();
    if (endsAt !== Infinity) {
      const twoThirds = login.leaseSeconds * 1_000 * (2 / 3 + this.#random() / 15);
      this.#later(held, Math.min(Math.max(twoThirds, FIRST_WAIT_MS), DAY_MS), 0);
    }
    return held;
  }

  #later(held: Held, ms: number, attempt: number): void {
    if (!this.#stopped.signal.aborted) {
      this.#cancelTimer = this.#clock.after(ms, () => void this.#prolong(held, attempt));
    }
  }

  /** Renews, or logs in where that is no use; never throws. */
  async #prolong(held: Held, attempt: number): Promise<void> {
    const grace = held.leaseSeconds * 100;
    try {
      const worthwhile = held.renewable && held.endsAt - this.#clock.monotonic() > grace;
      if (!worthwhile || !(await this.#renew(held, grace))) {
        await this.#logIn(this.#stopped.signal);
      }
    } catch {
      if (this.#held !== held) {
        return;
      }
      // whoever calls meanwhile is told; the wait is bounded so that a short lease gets more than one attempt
      const longest = Math.min(Math.max(grace, FIRST_WAIT_MS), LONGEST_WAIT_MS);
      this.#later(held, backoff(attempt, FIRST_WAIT_MS, longest, this.#random), attempt + 1);
    }
  }

  /** False when the token is dead or near the end that no renewal moves. */
  async #renew(held: Held, grace: number): Promise<boolean> {
    const leasedAt = this.#clock.monotonic();
    const request = { operation: 'renew', method: 'POST', path: ['auth', 'token', 'renew-self'], body: {} } as const;
    let renewed: Login;
    try {
      const reply = await this.#client.call(request, held.token, this.#stopped.signal);
      renewed = loginOf(reply.body, 'renew-self');
    } catch (error) {
      if (isRemote(error, 'Forbidden', 'Invalid')) {
        return false;
      }
      throw error;
    }
    if (leasedAt + renewed.leaseSeconds * 1_000 < held.endsAt + grace) {
      return false;
    }
    if (this.#held === held) {
      this.#hold(renewed, held.startedAt, leasedAt);
    }
    return true;
  }
}
