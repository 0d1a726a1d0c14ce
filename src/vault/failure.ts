import { RemoteError, type RemoteErrorCode } from '../errors.ts';
import { isNotTrusted, RedirectedError } from './transport.ts';

/** What keeps Vault from doing what is asked of it, apart from the request: the label of a metric. */
export type VaultCause =
  | 'sealed'
  /** It is a standby that does not pass requests on, or has no active one to pass them to. */
  | 'standby'
  | 'asked-to-wait'
  | 'server-error'
  | 'unreachable'
  | 'no-answer-in-time'
  /** The CAs that are trusted do not vouch for its certificate. */
  | 'not-trusted'
  | 'login-refused'
  /** The policies of the token do not grant it, or the token is dead. */
  | 'forbidden';

/** A RemoteError of Vault that knows what is wrong with Vault; `why` is undefined where nothing is. */
export class VaultFailure extends RemoteError {
  readonly why: VaultCause | undefined;

  constructor(
    code: RemoteErrorCode,
    why: VaultCause | undefined,
    message: string,
    options: { status?: number | undefined; retryAfterMs?: number | undefined } = {},
  ) {
    super('vault', code, message, options);
    this.why = why;
  }
}

/** What a failed call may say about itself, and what it must not. */
export interface FailedCall {
  readonly method: string;
  /** As an admin would write it, not percent-encoded; our paths hold no secret. */
  readonly path: string;
  /** Texts that must not come back in a message: the Vault token, and what was in the body. */
  readonly secrets: readonly string[];
}

/** Vault answers 500 for these, but repeating the request cannot help (OpenBao 2.7.2: PKI engine, token renewal). */
const PERMANENT_500 =
  /no default issuer|unable to find PKI issuer|unable to fetch corresponding key|but only had usage|past the max TTL/;
/** Right after a KV version 2 mount is made or started. */
const NOT_YET_400 = /^Upgrading from non-versioned/;
const CHECK_AND_SET_LOST = /check-and-set parameter (did|does) not match/;
/** Vault and OpenBao service, batch and recovery tokens, JWTs, bootstrap tokens, private keys. */
const SECRET_SHAPES =
  /\b(hv)?[sbr]\.[\w-]{20,}|\beyJ[\w-]+\.[\w-]+\.[\w-]*|\b[a-z0-9]{6}\.[a-z0-9]{16}\b|-----BEGIN [\s\S]*/g;
const LONGEST_TEXT = 300;
const REDACTED = '[redacted]';

/**
 * Builds the error for whatever node-vault threw. Of that nothing is kept but the status, the code and a redacted text;
 * there is no `cause`. `retryAfter` is the header of the answer: node-vault's errors have none.
 */
export function toVaultFailure(thrown: unknown, call: FailedCall, retryAfter?: string): VaultFailure {
  const response = field(thrown, 'response');
  const status = field(response, 'statusCode');
  if (typeof status === 'number') {
    const text = serverText(field(response, 'body'));
    const code = codeOfStatus(status, text);
    const said = text === '' ? String(status) : `${status} ${redact(text, call.secrets)}`;
    const options = { status, retryAfterMs: retryAfterOf(retryAfter) };
    return new VaultFailure(code, causeOf(code, status, text), `Vault: ${call.method} ${call.path}: ${said}`, options);
  }
  const reason = field(thrown, 'code');
  const message = field(thrown, 'message');
  const texts = [reason, message].filter((text): text is string => typeof text === 'string' && text !== '');
  const [first = 'no answer', second = ''] = texts;
  const said = second.includes(first) || second === '' ? second || first : `${second} (${first})`;
  if (isNotTrusted(reason)) {
    return unavailable(call, `its certificate is not vouched for by the CA that is trusted: ${said}`, 'not-trusted');
  }
  const why = thrown instanceof RedirectedError ? 'standby' : 'unreachable';
  return unavailable(call, redact(said, call.secrets), why);
}

/** No answer at all: connection, TLS, time-out. */
export function unavailable(call: FailedCall, reason: string, why: VaultCause): VaultFailure {
  return new VaultFailure('Unavailable', why, `Vault: ${call.method} ${call.path}: ${reason}`);
}

/** Whole seconds, as Vault sends them; a date is not taken. */
function retryAfterOf(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) * 1_000 : undefined;
}

const STANDBY = /standby|local node not active|active cluster node/i;

function causeOf(code: RemoteErrorCode, status: number, text: string): VaultCause | undefined {
  switch (code) {
    case 'Sealed':
      return 'sealed';
    case 'TooManyRequests':
      return 'asked-to-wait';
    case 'Forbidden':
      return 'forbidden';
    case 'Unauthorized':
      return 'login-refused';
    case 'Unavailable':
      return (status > 400 && status < 500) || STANDBY.test(text) ? 'standby' : 'server-error';
    default:
      return undefined;
  }
}

/** Every text in a request body that is long enough to be a secret. */
export function secretsIn(body: unknown): string[] {
  if (typeof body === 'string') {
    return body.length >= 16 ? [body] : [];
  }
  return typeof body === 'object' && body !== null ? Object.values(body).flatMap(secretsIn) : [];
}

function redact(text: string, secrets: readonly string[]): string {
  let redacted = text;
  for (const secret of secrets) {
    redacted = secret === '' ? redacted : redacted.replaceAll(secret, REDACTED);
  }
  return redacted.replaceAll(SECRET_SHAPES, REDACTED).replaceAll(/\s+/g, ' ').trim().slice(0, LONGEST_TEXT);
}

/** The `errors` of Vault's answer; nothing of a body that is no such answer (a proxy's HTML page). */
function serverText(body: unknown): string {
  const errors = field(body, 'errors');
  if (!Array.isArray(errors)) {
    return '';
  }
  const texts = errors.filter((error): error is string => typeof error === 'string');
  return texts.join('; ').replaceAll(/\d+ errors? occurred:\s*(\* )?|\n\s*\* /g, '');
}

function codeOfStatus(status: number, text: string): RemoteErrorCode {
  switch (status) {
    case 400:
      if (NOT_YET_400.test(text)) {
        return 'Unavailable';
      }
      return CHECK_AND_SET_LOST.test(text) ? 'Conflict' : 'Invalid';
    case 401:
      return 'Unauthorized';
    case 403:
      return 'Forbidden';
    case 404:
      return 'NotFound';
    case 429:
      return 'TooManyRequests';
    case 412: // Vault Enterprise: this standby lacks the state asked for
    case 472:
    case 473:
    case 474: // Vault Enterprise: a standby that does not serve
      return 'Unavailable';
    case 500:
      return PERMANENT_500.test(text) ? 'Invalid' : 'Unavailable';
    case 503:
      return /sealed/i.test(text) ? 'Sealed' : 'Unavailable';
    default:
      if (status >= 500) {
        return 'Unavailable';
      }
      return status >= 400 ? 'Invalid' : 'Unreadable';
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
