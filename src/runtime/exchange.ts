import type { Dispatcher } from 'undici';
import type { Clock } from './clock.ts';

export interface ExchangeRequest {
  /** `https://127.0.0.1:6443`. */
  readonly origin: string;
  /** With its query. */
  readonly path: string;
  readonly method: Dispatcher.HttpMethod;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export interface ExchangeLimits {
  readonly clock: Clock;
  /** From the call to the last byte of the answer; to its first where it goes to a reader. */
  readonly timeoutMs: number;
  /** Of the body of the answer, unless that goes to a reader. */
  readonly largestBytes: number;
  readonly signal: AbortSignal;
}

/** Takes an answer as it comes. What it throws ends the exchange, which rejects with it. */
export interface AnswerReader {
  begun(): void;
  /**
   * In the turn in which undici reads the connection, so that nothing more is read until it is done. It must not begin
   * another exchange in that turn: undici's parser is not done with this one.
   */
  take(chunk: Buffer): 'more' | 'enough';
}

/** A whole answer, whatever its status. */
export interface Exchanged {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** The answer was not there in time; the request may have taken effect. */
export class NoAnswerInTimeError extends Error {
  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs / 1_000} s`);
  }
}

/** The answer is larger than was allowed; the rest of it was not read. */
export class AnswerTooLargeError extends Error {
  constructor(largestBytes: number) {
    super(`an answer of more than ${largestBytes} bytes`);
  }
}

/**
 * One request and its whole answer: without a stream, a controller and a signal of its own for each, which take longer
 * than the rest where there are hundreds of calls a second. With a `reader` the body of an answer with status 200 goes
 * there, and is not in what this resolves with. Rejects with the reason of `signal`, NoAnswerInTimeError,
 * AnswerTooLargeError, what the reader throws, or what undici says of the connection.
 */
export function exchange(
  dispatcher: Dispatcher,
  request: ExchangeRequest,
  limits: ExchangeLimits,
  reader?: AnswerReader,
): Promise<Exchanged> {
  return new Promise((resolve, reject) => {
    const { signal } = limits;
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const exchanging = new Exchange(limits, reader, resolve, reject);
    try {
      // Else undici ends the connection after a DELETE that has a body, as some servers do not read it: ours do.
      dispatcher.dispatch({ ...request, body: request.body ?? null, reset: false }, exchanging);
    } catch (error) {
      exchanging.fail(error);
    }
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #limits: ExchangeLimits;
  readonly #reader: AnswerReader | undefined;
  readonly #resolve: (answer: Exchanged) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #cancelTimer: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #over = false;
  #statusCode = 0;
  #headers: Exchanged['headers'] = {};
  #taking: AnswerReader | undefined;
  readonly #chunks: Buffer[] = [];
  #size = 0;

  constructor(
    limits: ExchangeLimits,
    reader: AnswerReader | undefined,
    resolve: (answer: Exchanged) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#limits = limits;
    this.#reader = reader;
    this.#resolve = resolve;
    this.#reject = reject;
    const { clock, signal, timeoutMs } = limits;
    this.#cancelTimer = clock.after(timeoutMs, () => this.fail(new NoAnswerInTimeError(timeoutMs)));
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  /** Ends it, whatever it waits for. */
  fail(reason: unknown): void {
    if (!this.#end()) return;
    this.#controller?.abort(reason instanceof Error ? reason : new Error(String(reason)));
    this.#reject(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // Given up while it waited for a connection.
    if (this.#over) controller.abort(new Error('given up'));
  }

  onResponseStart(_: Dispatcher.DispatchController, statusCode: number, headers: Exchanged['headers']): void {
    this.#statusCode = statusCode;
    this.#headers = headers;
    this.#taking = statusCode === 200 ? this.#reader : undefined;
    if (this.#taking === undefined) return;
    this.#cancelTimer();
    this.#taking.begun();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#taking !== undefined) {
      if (this.#taking.take(chunk) === 'more') return;
      this.onResponseEnd();
      controller.abort(new Error('enough'));
      return;
    }
    const { largestBytes } = this.#limits;
    this.#size += chunk.length;
    if (this.#size > largestBytes) this.fail(new AnswerTooLargeError(largestBytes));
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (!this.#end()) return;
    const [first, second] = this.#chunks;
    const body = first !== undefined && second === undefined ? first : Buffer.concat(this.#chunks, this.#size);
    this.#resolve({ statusCode: this.#statusCode, headers: this.#headers, text: body.toString('utf8') });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#end()) this.#reject(error);
  }

  readonly #abort = (): void => this.fail(this.#limits.signal.reason);

  /** False when it was over before. */
  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#cancelTimer();
    this.#limits.signal.removeEventListener('abort', this.#abort);
    return true;
  }
}
