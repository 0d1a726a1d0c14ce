/**
 * Every error class of this project. Each carries a `code` that is stable across releases, and `cause` where another
 * error led to it. Only the process edge (`main.ts`) turns them into exit codes.
 */

/** The command line or its input is wrong: nothing was started, nothing was written. */
export class UsageError extends Error {
  readonly code = 'Usage';
}

/** One thing that is wrong in the config, with the path of the key it stands at (`signer.lifetime.client`). */
export interface ConfigProblem {
  readonly path: string;
  readonly message: string;
}

/** The config is wrong. `problems` lists everything that is, not just the first. */
export class ConfigError extends Error {
  readonly code = 'Config';
  readonly problems: readonly ConfigProblem[];

  constructor(source: string, problems: readonly ConfigProblem[], options?: ErrorOptions) {
    const lines = problems.map((problem) => `  ${problem.path === '' ? '' : `${problem.path}: `}${problem.message}`);
    super(`${source}: ${problems.length} problem${problems.length === 1 ? '' : 's'}\n${lines.join('\n')}`, options);
    this.problems = problems;
  }
}

/** What went wrong in a call to the API server or to Vault, in words that both share. */
export type RemoteErrorCode =
  /** 404: the object, path or key is not there. */
  | 'NotFound'
  /** 409, or a failed check-and-set: somebody else wrote first. */
  | 'Conflict'
  /** 409 on create: it is there already. */
  | 'AlreadyExists'
  /** 400, 413, 422: the request itself is wrong; repeating it cannot help. */
  | 'Invalid'
  /** 401: the credential is not known (any more). */
  | 'Unauthorized'
  /** 403: the credential lacks the right. */
  | 'Forbidden'
  /** 410: the resource version or continue token is too old. */
  | 'Expired'
  /** 429: asked to slow down. */
  | 'TooManyRequests'
  /** 503 with Vault's seal. */
  | 'Sealed'
  /** No answer, or an answer that says "not now": connection, TLS, time-out, 5xx. */
  | 'Unavailable'
  /** An answer larger than this program takes in one piece. */
  | 'TooLarge'
  /** An answer that this program cannot read. */
  | 'Unreadable';

/** A call to the API server (`system: 'kubernetes'`) or to Vault (`system: 'vault'`) did not succeed. */
export class RemoteError extends Error {
  readonly code: RemoteErrorCode;
  readonly system: 'kubernetes' | 'vault';
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** How long the other side asked us to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(
    system: 'kubernetes' | 'vault',
    code: RemoteErrorCode,
    message: string,
    options: { status?: number | undefined; retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.system = system;
    this.code = code;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export type RefusedCode =
  /** The named token, CSR or pool does not exist. */
  | 'NotFound'
  /** What was asked for stands in the way of something that is there: a second token for a node. */
  | 'AlreadyExists'
  /** The clocks of this host and of the API server are too far apart for what was asked for. */
  | 'ClockOff'
  /** Somebody was asked and said no. */
  | 'Declined'
  /** The CA key pair cannot be used: unreadable, expired, or key and certificate do not fit. */
  | 'AuthorityUnusable'
  /** The CA ends before the certificate would, and the config says not to shorten it. */
  | 'AuthorityEndsFirst'
  /** It would cost nodes their access. */
  | 'Unsafe'
  /** A signed certificate differs from what was planned; it was thrown away. */
  | 'CertificateNotAsPlanned';

/** The request was understood and is refused for a reason that is not a fault of a remote system. */
export class RefusedError extends Error {
  readonly code: RefusedCode;

  constructor(code: RefusedCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** True when `error` is a RemoteError with one of these codes. */
export function isRemote(error: unknown, ...codes: RemoteErrorCode[]): error is RemoteError {
  return error instanceof RemoteError && (codes.length === 0 || codes.includes(error.code));
}

/** A server, or a proxy in front of it, may ask for more patience than a cluster can afford. */
const LONGEST_ASKED_MS = 60_000;

/** How long the other side asked us to wait (`Retry-After`), in ms and `mostMs` at most; 0 when it asked for nothing. */
export function askedMs(error: unknown, mostMs = LONGEST_ASKED_MS): number {
  return isRemote(error) ? Math.min(error.retryAfterMs ?? 0, mostMs) : 0;
}

/**
 * Waits for all of them. When several fail for what is wrong in the config, one ConfigError has the problems of all: who
 * mends one should not meet the next.
 */
export async function allOrEveryProblem<T extends readonly unknown[] | []>(
  works: T,
): Promise<{ -readonly [P in keyof T]: Awaited<T[P]> }> {
  const settled = await Promise.allSettled(works);
  const failures = settled.flatMap((each): unknown[] => (each.status === 'rejected' ? [each.reason] : []));
  const problems = failures.flatMap((failure) => (failure instanceof ConfigError ? failure.problems : []));
  if (failures.length > 1 && problems.length >= failures.length) throw new ConfigError('config', problems);
  return Promise.all(works);
}

/** The text of anything that was thrown, in one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s*\n\s*/g, ' ');
}
