import { Agent, type Dispatcher } from 'undici';
import { abortable } from '../runtime/abortable.ts';
import { systemClock } from '../runtime/clock.ts';
import { type Exchanged, exchange } from '../runtime/exchange.ts';

/** One answer of Vault, as node-vault takes it from its transport. */
interface Answer {
  readonly statusCode: number;
  /** Parsed, where it is JSON. */
  readonly body: unknown;
  readonly request: { readonly path: string };
}

/** What node-vault hands to its transport, with what the client adds to it. */
export interface TransportCall {
  readonly uri: string;
  readonly method: Dispatcher.HttpMethod;
  readonly headers: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly signal: AbortSignal;
  /** Told of the headers of the answer, which node-vault's errors leave out. */
  readonly onHeaders: (headers: Exchanged['headers']) => void;
}

export interface TransportOptions {
  readonly address: URL;
  /** Reads the PEM of the CAs to trust instead of the host's, anew when Vault is not trusted any more. */
  readonly readCa: (() => Promise<string>) | undefined;
  readonly maxSockets: number;
  /** For one call with all its redirects, and for a connection to be made. */
  readonly timeoutMs: number;
}

/** An answer that sends the request elsewhere; `message` names the place. */
export class RedirectedError extends Error {
  readonly code = 'REDIRECTED';
}

const LARGEST_ANSWER = 64 * 1024 * 1024;
const MOST_REDIRECTS = 3;
/** What OpenSSL says, as Node names it, when a chain ends in no CA that is trusted; and what Node says of names. */
const NOT_TRUSTED =
  /^(UNABLE_TO_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF|CERT_(SIGNATURE|UNTRUSTED|REJECTED)|ERR_TLS_CERT_ALTNAME|INVALID_CA)/;

/** Whether an error of a connection is that Vault's certificate is not vouched for. */
export function isNotTrusted(code: unknown): boolean {
  return typeof code === 'string' && NOT_TRUSTED.test(code);
}

/**
 * What node-vault sends its requests with, in place of axios, which follows a redirect to any host with the token, takes
 * proxies from the environment, cannot be cancelled, and shows no headers. Connections are kept, and go to Vault's own
 * address and to nothing else.
 */
export class VaultTransport {
  readonly #options: TransportOptions;
  #trust: Promise<{ readonly ca: string | undefined; readonly agent: Agent }> | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** node-vault asks for its function so, as request-promise gave it. */
  defaults(): (call: TransportCall) => Promise<Answer> {
    return (call) => this.#send(call);
  }

  close(): void {
    void this.#trust?.then(({ agent }) => agent.destroy()).catch(() => {});
  }

  async #send(call: TransportCall): Promise<Answer> {
    this.#trust ??= this.#open();
    const used = this.#trust;
    try {
      const { agent } = await abortable(used, call.signal);
      return await this.#follow(agent, call);
    } catch (error) {
      // A new CA may stand in the file by now: the next call finds out.
      if (isNotTrusted(codeOf(error)) && this.#trust === used) this.#trust = this.#reopen(used);
      throw error;
    }
  }

  async #follow(agent: Agent, call: TransportCall): Promise<Answer> {
    const body = call.json === undefined ? undefined : JSON.stringify(call.json);
    const headers = { ...call.headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    // For all of it, wherever the request is sent on to.
    let timeoutMs = this.#options.timeoutMs;
    let url = new URL(call.uri);
    for (let redirects = 0; ; redirects += 1) {
      const [origin, path] = [url.origin, url.pathname + url.search];
      const began = systemClock.monotonic();
      const limits = { clock: systemClock, timeoutMs, largestBytes: LARGEST_ANSWER, signal: call.signal };
      const answer = await exchange(agent, { origin, path, method: call.method, headers, body }, limits);
      call.onHeaders(answer.headers);
      const location = answer.headers['location'];
      if (answer.statusCode !== 307 && answer.statusCode !== 308) {
        // by a path with sys/health in it node-vault would take any answer for a good one
        return { statusCode: answer.statusCode, body: parsed(answer.text), request: { path: '' } };
      }
      const next = new URL(String(location), url);
      if (next.origin !== this.#options.address.origin || redirects >= MOST_REDIRECTS) {
        throw new RedirectedError(`sent on to ${next.origin}, which was not followed`);
      }
      timeoutMs = Math.max(0, Math.ceil(timeoutMs - (systemClock.monotonic() - began)));
      url = next;
    }
  }

  async #open(): Promise<{ readonly ca: string | undefined; readonly agent: Agent }> {
    const ca = await this.#options.readCa?.();
    return { ca, agent: this.#agent(ca) };
  }

  /** Never rejects: a file that cannot be read for a moment takes nothing away. */
  async #reopen(
    before: Promise<{ readonly ca: string | undefined; readonly agent: Agent }>,
  ): Promise<{ readonly ca: string | undefined; readonly agent: Agent }> {
    const held = await before;
    const ca = await this.#options.readCa?.().catch(() => held.ca);
    if (ca === held.ca) return held;
    void held.agent.close().catch(() => {});
    return { ca, agent: this.#agent(ca) };
  }

  #agent(ca: string | undefined): Agent {
    const { maxSockets, timeoutMs } = this.#options;
    return new Agent({
      connections: maxSockets,
      allowH2: false,
      keepAliveTimeout: 30_000,
      // Every call has a deadline of its own.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { rejectUnauthorized: true, timeout: timeoutMs, ...(ca === undefined ? {} : { ca }) },
    });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
