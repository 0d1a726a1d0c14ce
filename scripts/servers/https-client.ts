import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';

/** How to reach and be known to an HTTPS server; all PEM. */
export interface HttpsAccess {
  /** `https://127.0.0.1:6443`. */
  readonly server: string;
  readonly ca: string;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface HttpsAnswer {
  readonly status: number;
  /** Parsed JSON, or the text where it is not JSON. */
  readonly body: unknown;
}

/** A few HTTPS calls with JSON bodies, without retries; `close` it. Enough for setting up servers and for tests. */
export class HttpsClient {
  readonly #access: HttpsAccess;
  readonly #agent: Agent;

  constructor(access: HttpsAccess) {
    this.#access = access;
    const { ca, certificate: cert, key } = access;
    this.#agent = new Agent({
      allowH2: false,
      connect: { ca, ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) },
    });
  }

  /** Answers whatever status the server gave; throws only when there was no answer within 30 s. */
  async send(
    method: Dispatcher.HttpMethod,
    path: string,
    body?: unknown,
    type = 'application/json',
  ): Promise<HttpsAnswer> {
    const answer = await request(new URL(path, this.#access.server), {
      method,
      dispatcher: this.#agent,
      headersTimeout: 30_000,
      headers: { ...this.#access.headers, ...(body === undefined ? {} : { 'content-type': type }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, body: parse(text) };
  }

  /** Like `send`, but throws unless the status is 2xx or one of `also`. */
  async must(
    method: Dispatcher.HttpMethod,
    path: string,
    body?: unknown,
    also: readonly number[] = [],
  ): Promise<unknown> {
    const answer = await this.send(method, path, body);
    if ((answer.status < 200 || answer.status > 299) && !also.includes(answer.status)) {
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    }
    return answer.body;
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
