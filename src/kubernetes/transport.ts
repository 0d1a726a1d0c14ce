import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher } from 'undici';
import { messageOf, RemoteError } from '../errors.ts';
import { abortable } from '../runtime/abortable.ts';
import { type Clock, deadline } from '../runtime/clock.ts';
import { Cohort } from '../runtime/cohort.ts';
import {
  type AnswerReader,
  AnswerTooLargeError,
  type Exchanged,
  exchange,
  type ExchangeRequest,
} from '../runtime/exchange.ts';
import { serverCertificates } from '../runtime/handshake.ts';
import { JsonLines } from './json-lines.ts';
import { errorOfStatus } from './status.ts';

/** One finished call to the API server, for metrics. */
export interface ApiCall {
  readonly verb: string;
  readonly resource: string;
  /** HTTP status, or `none` where no answer came. */
  readonly status: string;
  readonly seconds: number;
}

export interface ApiRequest {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';
  /** Resource with subresource, as RBAC names it: the label of the metric. */
  readonly resource: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly accept?: string | undefined;
  readonly contentType?: string;
}

export interface TransportOptions {
  readonly clock: Clock;
  /** Per call, in ms; watches have their own. */
  readonly timeoutMs: number;
  /** TCP connections for ordinary calls. */
  readonly connections: number;
  readonly onCall: (call: ApiCall) => void;
}

interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly dispatcher: Agent;
  readonly tls: string;
  readonly readAt: number;
}

const METHOD = {
  get: 'GET',
  list: 'GET',
  watch: 'GET',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
} as const satisfies Record<ApiRequest['verb'], Dispatcher.HttpMethod>;

/** Projected tokens and exec credentials change; they are read again at least this often, and after a 401. */
const CREDENTIALS_MS = 30_000;
/** Anybody who may create CSRs can make them as large as etcd takes: one page of them must not fill the heap. */
const LARGEST_ANSWER = 8 * 1024 * 1024;

/** Calls to one API server over shared keep-alive connections (client-node opens a TLS connection for every call). */
export class Transport {
  #config: KubeConfig;
  readonly #reload: () => KubeConfig;
  readonly #options: TransportOptions;
  readonly #server: string;
  /** Its origin, and what every path begins with where the API server stands behind a proxy. */
  readonly #base: readonly [origin: string, prefix: string];
  readonly #cohort: Cohort;
  #credentials: Credentials | undefined;

  /** `reload` reads the kubeconfig again, for its credentials: client-node keeps some of what it has read. */
  constructor(config: KubeConfig, reload: () => KubeConfig, options: TransportOptions) {
    this.#config = config;
    this.#reload = reload;
    this.#options = options;
    this.#cohort = new Cohort(options.clock);
    this.#server = (config.getCurrentCluster()?.server ?? '').replace(/\/+$/, '');
    const { origin = '', pathname = '' } = URL.parse(this.#server) ?? {};
    this.#base = [origin, pathname.replace(/\/+$/, '')];
  }

  /** Makes one call and answers the parsed JSON. Throws RemoteError; repeats once with fresh credentials on a 401. */
  async call(wanted: ApiRequest, signal: AbortSignal): Promise<unknown> {
    try {
      return await this.#once(wanted, signal);
    } catch (error) {
      if (!(error instanceof RemoteError && error.code === 'Unauthorized')) throw error;
      this.#expireCredentials();
      return this.#once(wanted, signal);
    }
  }

  /**
   * Makes one call whose answer is lines of JSON, and hands over each as it comes. Ends when one is enough, or when the
   * server ends it. Throws RemoteError, as `onLine` may.
   */
  async follow(wanted: ApiRequest, onLine: (line: unknown) => 'more' | 'enough', signal: AbortSignal): Promise<void> {
    const lines = new JsonLines(onLine);
    const answer = await this.#exchange(wanted, signal, (chunk) => lines.take(chunk));
    if (answer.statusCode === 401) this.#expireCredentials();
    if (answer.statusCode !== 200) throw refusal(wanted, answer);
  }

  /** The API server's time (of its Date header), and this host's before and after. Throws RemoteError. */
  async readClock(signal: AbortSignal): Promise<{ server: number; before: number; after: number }> {
    const wanted = { verb: 'get', resource: 'version', path: '/version' } as const;
    const before = this.#options.clock.now();
    const answer = await this.#exchange(wanted, signal);
    const after = this.#options.clock.now();
    // Any answer has the time; one that does not know us is no answer to us.
    if (answer.statusCode === 401) throw refusal(wanted, answer);
    const server = Date.parse(String(answer.headers['date']));
    if (Number.isNaN(server)) throw new RemoteError('kubernetes', 'Unreadable', 'an answer without a Date header');
    return { server, before, after };
  }

  /** Host and port of the API server. */
  get host(): string {
    return URL.parse(this.#server)?.host ?? this.#server;
  }

  /** The certificates that it shows in a handshake of its own, in DER. Throws RemoteError. */
  async serverCertificates(signal: AbortSignal): Promise<Buffer[]> {
    try {
      const limit = deadline(this.#options.timeoutMs, signal);
      const { ca, cert, key, servername } = await this.#access(limit);
      return await serverCertificates(new URL(this.#server), { ca, cert, key, servername }, limit);
    } catch (error) {
      throw new RemoteError('kubernetes', 'Unavailable', `handshake: ${messageOf(error)}`);
    }
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await this.#credentials?.dispatcher.destroy();
  }

  async #once(wanted: ApiRequest, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#cohort.join(this.#exchange(wanted, signal));
    if (answer.statusCode < 200 || answer.statusCode > 299) throw refusal(wanted, answer);
    try {
      return JSON.parse(answer.text);
    } catch {
      // A SyntaxError quotes the text, and the text may be a Secret.
      throw new RemoteError('kubernetes', 'Unreadable', `${wanted.verb} ${wanted.resource}: an answer that is no JSON`);
    }
  }

  /** The whole answer to one call, but for what goes to `take`. Throws RemoteError, as `take` may. */
  async #exchange(wanted: ApiRequest, signal: AbortSignal, take?: AnswerReader['take']): Promise<Exchanged> {
    const done = this.#begin(wanted);
    try {
      const { dispatcher, headers } = await this.#freshCredentials(signal);
      const { clock, timeoutMs } = this.#options;
      const request = { ...this.#place(wanted), headers: headersOf(wanted, headers), body: bodyOf(wanted) };
      const limits = { clock, timeoutMs, largestBytes: LARGEST_ANSWER, signal };
      const reader = take === undefined ? undefined : { begun: () => done('200'), take };
      const answer = await exchange(dispatcher, request, limits, reader);
      done(String(answer.statusCode));
      return answer;
    } catch (error) {
      done('none');
      if (error instanceof RemoteError) throw error;
      const code = error instanceof AnswerTooLargeError ? 'TooLarge' : 'Unavailable';
      throw new RemoteError('kubernetes', code, `${wanted.verb} ${wanted.resource}: ${messageOf(error)}`);
    }
  }

  /** Begins to count a call; its end, or the beginning of an answer that is read as it comes, ends it. */
  #begin({ verb, resource }: ApiRequest): (status: string) => void {
    const { clock, onCall } = this.#options;
    const began = clock.monotonic();
    let isCounted = false;
    return (status) => {
      if (!isCounted) onCall({ verb, resource, status, seconds: (clock.monotonic() - began) / 1000 });
      isCounted = true;
    };
  }

  #place({ verb, path, query }: ApiRequest): Pick<ExchangeRequest, 'origin' | 'path' | 'method'> {
    const asked = query === undefined ? '' : `?${new URLSearchParams(query).toString()}`;
    const [origin, prefix] = this.#base;
    return { origin, path: prefix + path + asked, method: METHOD[verb] };
  }

  async #freshCredentials(signal: AbortSignal): Promise<Credentials> {
    const now = this.#options.clock.monotonic();
    const held = this.#credentials;
    if (held !== undefined && now - held.readAt < CREDENTIALS_MS) return held;
    const { ca, cert, key, servername, headers } = await this.#access(deadline(this.#options.timeoutMs, signal));
    const tls = JSON.stringify([ca, cert, key, servername].map(String));
    const current = this.#credentials;
    const dispatcher = current?.tls === tls ? current.dispatcher : this.#agent({ ca, cert, key, servername });
    // Calls under way on the old connections come to their end; close() waits for them.
    if (current !== undefined && current.dispatcher !== dispatcher) void current.dispatcher.close().catch(() => {});
    this.#credentials = { headers: plainHeaders(headers), dispatcher, tls, readAt: now };
    return this.#credentials;
  }

  /** What the kubeconfig has for a call, by `limit` at the latest: a credential plugin may hang. */
  async #access(limit: AbortSignal): Promise<RequestOptions> {
    const https: RequestOptions = {};
    await abortable(this.#config.applyToHTTPSOptions(https), limit);
    return https;
  }

  #expireCredentials(): void {
    if (this.#credentials !== undefined) this.#credentials = { ...this.#credentials, readAt: Number.NEGATIVE_INFINITY };
    try {
      this.#config = this.#reload();
    } catch {
      // Just being replaced, or broken by now: what was read before may still do.
    }
  }

  #agent(tls: Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'servername'>): Agent {
    const { ca, cert, key, servername } = tls;
    return new Agent({
      connections: this.#options.connections,
      allowH2: false,
      keepAliveTimeout: 30_000,
      // Watches are quiet for a minute at a time: every call has its own deadline instead.
      bodyTimeout: 0,
      headersTimeout: 0,
      connect: {
        rejectUnauthorized: true,
        timeout: 10_000,
        ...(ca === undefined ? {} : { ca: ca as string | Buffer }),
        ...(cert === undefined ? {} : { cert: cert as string | Buffer }),
        ...(key === undefined ? {} : { key: key as string | Buffer }),
        ...(servername === undefined ? {} : { servername }),
      },
    });
  }
}

/** A trailing newline in a token file would get into the header. */
function plainHeaders(headers: RequestOptions['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, String(value).trim()]));
}

/** The error of an answer that is none to what was asked. */
function refusal({ verb, resource }: ApiRequest, { statusCode, headers, text }: Exchanged): RemoteError {
  return errorOfStatus(`${verb} ${resource}`, statusCode, text, headers['retry-after']);
}

function headersOf(wanted: ApiRequest, credentials: Readonly<Record<string, string>>): Record<string, string> {
  return {
    ...credentials,
    accept: wanted.accept ?? 'application/json',
    'user-agent': 'kubelet-bootstrap',
    ...(wanted.body === undefined ? {} : { 'content-type': wanted.contentType ?? 'application/json' }),
  };
}

function bodyOf({ body }: ApiRequest): string | undefined {
  return body === undefined ? undefined : JSON.stringify(body);
}
