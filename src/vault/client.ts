import nodeVault from 'node-vault';
import { askedMs, RemoteError, type RemoteErrorCode, isRemote } from '../errors.ts';
import { type Clock, backoff } from '../runtime/clock.ts';
import { NoAnswerInTimeError } from '../runtime/exchange.ts';
import { CallBreaker } from './call-breaker.ts';
import { type FailedCall, secretsIn, toVaultFailure, unavailable, VaultFailure } from './failure.ts';
import type { VaultOperation } from './operation.ts';
import { encodePath } from './path.ts';
import { type VaultProblem, VaultProblems } from './problems.ts';
import { type TransportCall, VaultTransport } from './transport.ts';

export type VaultOutcome = 'ok' | 'absent' | 'Aborted' | RemoteErrorCode;

/** One HTTP call, retries counted singly. */
export interface VaultCall {
  readonly operation: VaultOperation;
  readonly outcome: VaultOutcome;
  readonly seconds: number;
}

export type JsonObject = Readonly<Record<string, unknown>>;

export interface VaultRequest {
  readonly operation: VaultOperation;
  readonly method: 'GET' | 'LIST' | 'POST' | 'DELETE';
  /** Below `/v1/`, one entry a segment, not encoded. */
  readonly path: readonly string[];
  readonly body?: JsonObject;
  /** A 404 is an answer and not an error: KV tells "deleted" from "never written" by its body. */
  readonly absentIsAnswer?: boolean;
  /** Asks for the answer in a wrapping token that is good once and for so long. */
  readonly wrapSeconds?: number;
  /** A refusal is no sign of a dead login: for what the policy need not allow. A new login may cost a use of a secret_id. */
  readonly mayBeRefused?: boolean;
  /** For the few calls of `sys/` that exist in the root namespace alone. */
  readonly rootNamespace?: boolean;
}

export interface VaultReply {
  /** False for a 404, which comes only with `absentIsAnswer`. */
  readonly found: boolean;
  /** `{}` where the answer had none (204). */
  readonly body: JsonObject;
}

export interface VaultClientOptions {
  /** `https://vault.example.internal:8200`. */
  readonly address: string;
  /** Reads the PEM of the CAs to trust instead of the host's; again when Vault's certificate is refused. */
  readonly readCa?: (() => Promise<string>) | undefined;
  readonly namespace?: string | undefined;
  /** For one HTTP call; 10 s unless told. */
  readonly timeoutMs?: number | undefined;
  readonly maxSockets?: number | undefined;
  /** Makes calls fail at once while Vault is away: for whoever tries again by itself. */
  readonly holdsBack?: boolean | undefined;
  readonly clock: Clock;
  readonly random?: () => number;
  readonly onCall?: (call: VaultCall) => void;
}

const READ_RETRIES = 2;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 2_000;

/**
 * Vault's HTTP API over node-vault, of which only `request` is used: fresh headers per call, encoded paths, a time-out,
 * connections to Vault's own address and to nothing else, no value taken from `VAULT_*` or a proxy variable, no debug
 * output, and errors without the secrets that node-vault's carry.
 *
 * Reads are repeated twice on `Unavailable` and `TooManyRequests`, unless Vault asked for a longer wait; writes and
 * logins never are.
 */
export class VaultClient {
  readonly #vault: nodeVault.client;
  readonly #transport: VaultTransport;
  readonly #breaker: CallBreaker | undefined;
  readonly #problems: VaultProblems;
  readonly #namespace: string | undefined;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #onCall: ((call: VaultCall) => void) | undefined;

  constructor(options: VaultClientOptions) {
    const address = new URL(options.address);
    this.#namespace = options.namespace;
    this.#clock = options.clock;
    this.#random = options.random ?? Math.random;
    this.#onCall = options.onCall;
    this.#transport = new VaultTransport({
      address,
      readCa: options.readCa,
      maxSockets: options.maxSockets ?? 16,
      timeoutMs: options.timeoutMs ?? 10_000,
    });
    this.#breaker = options.holdsBack === true ? new CallBreaker(this.#clock, this.#random) : undefined;
    this.#problems = new VaultProblems(this.#clock);
    this.#vault = createNodeVault(address.origin, this.#transport);
  }

  /**
   * Sends one request with `token` (none for a login). Throws a RemoteError, or the reason of `signal` when it is
   * aborted; an aborted write may still have taken effect.
   */
  call(request: VaultRequest, token: string | undefined, signal: AbortSignal): Promise<VaultReply> {
    const repeated = (): Promise<VaultReply> => this.#repeated(request, token, signal);
    // Health says how Vault is, also when it is not well.
    return this.#breaker === undefined || request.operation === 'health' ? repeated() : this.#breaker.run(repeated);
  }

  /** To be told when Vault was asked how it is, and is there, unsealed. */
  isUp(): void {
    this.#problems.isUp();
  }

  /** What is wrong with Vault, as far as the last calls have met it. */
  problems(): readonly VaultProblem[] {
    return this.#problems.current();
  }

  /** Closes the connections. */
  close(): void {
    this.#transport.close();
  }

  async #repeated(request: VaultRequest, token: string | undefined, signal: AbortSignal): Promise<VaultReply> {
    const retries = request.method === 'GET' || request.method === 'LIST' ? READ_RETRIES : 0;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#measured(request, token, signal);
      } catch (error) {
        const asked = askedMs(error, Infinity);
        const repeats = attempt < retries && isRemote(error, 'Unavailable', 'TooManyRequests');
        if (!repeats || asked > LAST_RETRY_MS) throw error;
        const wait = backoff(attempt, FIRST_RETRY_MS, LAST_RETRY_MS, this.#random);
        await this.#clock.sleep(Math.max(wait, asked), signal);
      }
    }
  }

  async #measured(request: VaultRequest, token: string | undefined, signal: AbortSignal): Promise<VaultReply> {
    signal.throwIfAborted();
    const startedAt = this.#clock.monotonic();
    let outcome: VaultOutcome = 'Aborted';
    try {
      const reply = await this.#once(request, token, signal);
      outcome = reply.found ? 'ok' : 'absent';
      this.#problems.told(request.operation, undefined);
      return reply;
    } catch (error) {
      outcome = isRemote(error) ? error.code : 'Aborted';
      if (error instanceof VaultFailure) this.#problems.told(request.operation, error);
      throw error;
    } finally {
      const seconds = (this.#clock.monotonic() - startedAt) / 1_000;
      this.#onCall?.({ operation: request.operation, outcome, seconds });
    }
  }

  async #once(request: VaultRequest, token: string | undefined, signal: AbortSignal): Promise<VaultReply> {
    // Built for a failure only: it looks through the whole body.
    const failed = (): FailedCall => ({
      method: request.method,
      path: request.path.join('/'),
      secrets: [token ?? '', ...secretsIn(request.body)],
    });
    const path = encodePath(request.path);
    let retryAfter: string | undefined;
    const added: Pick<TransportCall, 'signal' | 'onHeaders'> = {
      signal,
      onHeaders: (headers) => {
        retryAfter = String(headers['retry-after'] ?? '');
      },
    };
    try {
      const answer: unknown = await this.#vault.request({
        path: request.method === 'LIST' ? `/${path}?list=true` : `/${path}`,
        // the verb LIST is not let through by every load balancer
        method: request.method === 'LIST' ? 'GET' : request.method,
        headers: this.#headers(request, token),
        ...(request.body === undefined ? {} : { json: request.body }),
        ...added,
      });
      return { found: true, body: bodyOf(answer, failed) };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RemoteError) {
        throw error;
      }
      if (error instanceof NoAnswerInTimeError) {
        throw unavailable(failed(), error.message, 'no-answer-in-time');
      }
      const absent = request.absentIsAnswer === true ? absentBody(error) : undefined;
      if (absent !== undefined) {
        return { found: false, body: absent };
      }
      throw toVaultFailure(error, failed(), retryAfter);
    }
  }

  /** A new object each time: node-vault writes the token into the one that it is given, and keeps it there. */
  #headers(request: VaultRequest, token: string | undefined): Record<string, string> {
    return {
      'X-Vault-Request': 'true',
      ...(token === undefined ? {} : { 'X-Vault-Token': token }),
      ...(request.wrapSeconds === undefined ? {} : { 'X-Vault-Wrap-TTL': `${request.wrapSeconds}s` }),
      ...(this.#namespace === undefined || request.rootNamespace === true
        ? {}
        : { 'X-Vault-Namespace': this.#namespace }),
    };
  }
}

function createNodeVault(endpoint: string, transport: VaultTransport): nodeVault.client {
  const options = { endpoint, debug: () => undefined, 'request-promise': transport };
  const vault = nodeVault(options);
  // what it took from VAULT_TOKEN, VAULT_NAMESPACE and VAULT_PREFIX, and would add to every request
  return Object.assign(vault, { token: '', namespace: '', pathPrefix: '' });
}

function bodyOf(answer: unknown, failed: () => FailedCall): JsonObject {
  if (answer === undefined || answer === null || answer === '') {
    return {};
  }
  if (typeof answer !== 'object' || Array.isArray(answer)) {
    const { method, path } = failed();
    throw new RemoteError('vault', 'Unreadable', `Vault: ${method} ${path}: the answer is no JSON object`);
  }
  return answer as JsonObject;
}

/** The body of a 404 by Vault itself; undefined for anything else, such as a proxy's page or a mount that is missing. */
function absentBody(error: unknown): JsonObject | undefined {
  const { response } = error as { response?: { statusCode?: unknown; body?: unknown } };
  const body = response?.body;
  if (response?.statusCode !== 404 || typeof body !== 'object' || body === null) {
    return undefined;
  }
  const { errors } = body as { errors?: unknown };
  return Array.isArray(errors) && errors.length > 0 ? undefined : (body as JsonObject);
}
