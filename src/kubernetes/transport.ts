import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher, request } from 'undici';
import { messageOf, RemoteError } from '../errors.ts';
import { type Clock, deadline, within } from '../runtime/clock.ts';
import { serverCertificates } from '../runtime/handshake.ts';
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
/** etcd takes objects of 1.5 MB, whose bytes are base64 in JSON. */
const LARGEST_LINE = 8 * 1024 * 1024;
const LARGEST_ANSWER = 8 * 1024 * 1024;

/** Calls to one API server over shared keep-alive connections (client-node opens a TLS connection for every call). */
export class Transport {
  #config: KubeConfig;
  readonly #reload: () => KubeConfig;
  readonly #options: TransportOptions;
  readonly #server: string;
  #credentials: Credentials | undefined;

  /** `reload` reads the kubeconfig again, for its credentials: client-node keeps some of what it has read. */
  constructor(config: KubeConfig, reload: () => KubeConfig, options: TransportOptions) {
    this.#config = config;
    this.#reload = reload;
    this.#options = options;
    this.#server = (config.getCurrentCluster()?.server ?? '').replace(/\/+$/, '');
  }

  /** Makes one call and answers the parsed JSON. Throws RemoteError; repeats once with fresh credentials on a 401. */
  async call(wanted: ApiRequest, signal: AbortSignal): Promise<unknown> {
    try {
      return await this.#inTime(wanted, signal);
    } catch (error) {
      if (!(error instanceof RemoteError && error.code === 'Unauthorized')) throw error;
      this.#expireCredentials();
      return this.#inTime(wanted, signal);
    }
  }

  /** Opens a watch and yields its lines, parsed. Ends when the server ends it. Throws RemoteError. */
  async *stream(wanted: ApiRequest, signal: AbortSignal): AsyncGenerator<unknown> {
    const opening = new AbortController();
    const timer = this.#options.clock.after(this.#options.timeoutMs, () => opening.abort());
    let answer: Dispatcher.ResponseData;
    try {
      answer = await this.#send(wanted, AbortSignal.any([signal, opening.signal]));
    } finally {
      timer();
    }
    if (answer.statusCode === 401) this.#expireCredentials();
    if (answer.statusCode !== 200) throw await this.#errorOf(wanted, answer);
    try {
      yield* parsedLines(answer.body);
    } catch (error) {
      if (error instanceof RemoteError) throw error;
      throw new RemoteError('kubernetes', 'Unavailable', `watch ${wanted.resource}: ${messageOf(error)}`);
    }
  }

  /** The API server's time (of its Date header), and this host's before and after. Throws RemoteError. */
  async readClock(signal: AbortSignal): Promise<{ server: number; before: number; after: number }> {
    const wanted = { verb: 'get', resource: 'version', path: '/version' } as const;
    const before = this.#options.clock.now();
    const answer = await this.#send(wanted, deadline(this.#options.timeoutMs, signal));
    const after = this.#options.clock.now();
    // Any answer has the time; one that does not know us is no answer to us.
    if (answer.statusCode === 401) throw await this.#errorOf(wanted, answer);
    await answer.body.dump();
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
      const https: RequestOptions = {};
      await this.#config.applyToHTTPSOptions(https);
      const { ca, cert, key, servername } = https;
      const limit = deadline(this.#options.timeoutMs, signal);
      return await serverCertificates(new URL(this.#server), { ca, cert, key, servername }, limit);
    } catch (error) {
      throw new RemoteError('kubernetes', 'Unavailable', `handshake: ${messageOf(error)}`);
    }
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await this.#credentials?.dispatcher.destroy();
  }

  #inTime(wanted: ApiRequest, signal: AbortSignal): Promise<unknown> {
    return within(this.#options.timeoutMs, signal, (limited) => this.#once(wanted, limited));
  }

  async #once(wanted: ApiRequest, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#send(wanted, signal);
    if (answer.statusCode < 200 || answer.statusCode > 299) throw await this.#errorOf(wanted, answer);
    const operation = `${wanted.verb} ${wanted.resource}`;
    try {
      return JSON.parse(await boundedText(answer.body, operation));
    } catch (error) {
      if (error instanceof RemoteError) throw error;
      // A SyntaxError quotes the text, and the text may be a Secret.
      if (error instanceof SyntaxError) {
        throw new RemoteError('kubernetes', 'Unreadable', `${operation}: an answer that is no JSON`);
      }
      throw new RemoteError('kubernetes', 'Unavailable', `${operation}: ${messageOf(error)}`);
    }
  }

  async #send(wanted: ApiRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const began = this.#options.clock.monotonic();
    const done = (status: string): void => {
      const seconds = (this.#options.clock.monotonic() - began) / 1000;
      this.#options.onCall({ verb: wanted.verb, resource: wanted.resource, status, seconds });
    };
    try {
      const { dispatcher, headers } = await this.#freshCredentials();
      const query = wanted.query === undefined ? '' : `?${new URLSearchParams(wanted.query).toString()}`;
      const answer = await request(`${this.#server}${wanted.path}${query}`, {
        method: METHOD[wanted.verb],
        dispatcher,
        signal,
        headers: {
          ...headers,
          accept: wanted.accept ?? 'application/json',
          'user-agent': 'kubelet-bootstrap',
          ...(wanted.body === undefined ? {} : { 'content-type': wanted.contentType ?? 'application/json' }),
        },
        ...(wanted.body === undefined ? {} : { body: JSON.stringify(wanted.body) }),
      });
      done(String(answer.statusCode));
      return answer;
    } catch (error) {
      done('none');
      throw new RemoteError('kubernetes', 'Unavailable', `${wanted.verb} ${wanted.resource}: ${messageOf(error)}`);
    }
  }

  async #errorOf(wanted: ApiRequest, answer: Dispatcher.ResponseData): Promise<RemoteError> {
    const text = await answer.body.text().catch(() => '');
    return errorOfStatus(`${wanted.verb} ${wanted.resource}`, answer.statusCode, text, answer.headers['retry-after']);
  }

  async #freshCredentials(): Promise<Credentials> {
    const now = this.#options.clock.monotonic();
    const held = this.#credentials;
    if (held !== undefined && now - held.readAt < CREDENTIALS_MS) return held;
    const https: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(https);
    const { ca, cert, key, servername } = https;
    const tls = JSON.stringify([ca, cert, key, servername].map(String));
    const current = this.#credentials;
    const dispatcher = current?.tls === tls ? current.dispatcher : this.#agent({ ca, cert, key, servername });
    // Calls under way on the old connections come to their end; close() waits for them.
    if (current !== undefined && current.dispatcher !== dispatcher) void current.dispatcher.close().catch(() => {});
    this.#credentials = { headers: plainHeaders(https.headers), dispatcher, tls, readAt: now };
    return this.#credentials;
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

/** Anybody who may create CSRs can make them as large as etcd takes: one page of them must not fill the heap. */
async function boundedText(body: Dispatcher.ResponseData['body'], operation: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_ANSWER) {
      throw new RemoteError('kubernetes', 'TooLarge', `${operation}: an answer of more than ${LARGEST_ANSWER} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size).toString('utf8');
}

async function* parsedLines(body: AsyncIterable<Buffer>): AsyncGenerator<unknown> {
  let rest: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...rest, chunk.subarray(start, end)]).toString('utf8');
      rest = [];
      size = 0;
      start = end + 1;
      if (line.trim() !== '') yield parseLine(line);
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > LARGEST_LINE) throw new RemoteError('kubernetes', 'Unreadable', 'watch: a line of more than 8 MiB');
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new RemoteError('kubernetes', 'Unreadable', 'watch: a line that is no JSON');
  }
}
