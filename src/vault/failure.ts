import { RemoteError, type RemoteErrorCode } from '../errors.ts';

/** What a failed call may say about itself, and what it must not. */
export interface FailedCall {
  readonly method: string;
  /** As an admin would write it, not percent-encoded; our paths hold no secret. */
  readonly path: string;
  /** Texts that must not come back in a message: the Vault token, and what was in the body. */
  readonly secrets: readonly string[];
}

/** Vault answers 500 for these, but repeating the request cannot help (OpenBao 2.7.2: PKI engine, token renewal). */
const PERMANENT_500 = /no default issuer|unable to find PKI issuer|but only had usage|past the max TTL/;
/** Right after a KV version 2 mount is made or started. */
const NOT_YET_400 = /^Upgrading from non-versioned/;
const CHECK_AND_SET_LOST = /check-and-set parameter (did|does) not match/;
/** Vault and OpenBao service, batch and recovery tokens, JWTs, bootstrap tokens, private keys. */
const SECRET_SHAPES =
  /\b(hv)?[sbr]\.[\w-]{20,}|\beyJ[\w-]+\.[\w-]+\.[\w-]*|\b[a-z0-9]{6}\.[a-z0-9]{16}\b|-----BEGIN [\s\S]*/g;
const LONGEST_TEXT = 300;
const REDACTED = '[redacted]';

/**
 * Builds the error for whatever node-vault threw. node-vault's own errors carry the token and the body of the request
 * (axios' `config`), so nothing of them is kept but the status, the code and a redacted text; there is no `cause`.
 * Headers are not visible through node-vault, so `retryAfterMs` is never set.
 */
export function toRemoteError(thrown: unknown, call: FailedCall): RemoteError {
  const response = field(thrown, 'response');
  const status = field(response, 'statusCode');
  if (typeof status === 'number') {
    const text = serverText(field(response, 'body'));
    const code = codeOfStatus(status, text);
    const said = text === '' ? String(status) : `${status} ${redact(text, call.secrets)}`;
    return new RemoteError('vault', code, `Vault: ${call.method} ${call.path}: ${said}`, { status });
  }
  const reason = field(thrown, 'code');
  const message = field(thrown, 'message');
  const texts = [reason, message].filter((text): text is string => typeof text === 'string' && text !== '');
  const [first = 'no answer', second = ''] = texts;
  const said = second.includes(first) || second === '' ? second || first : `${second} (${first})`;
  return unavailable(call, redact(said, call.secrets));
}

/** No answer at all: connection, TLS, time-out. */
export function unavailable(call: FailedCall, reason: string): RemoteError {
  return new RemoteError('vault', 'Unavailable', `Vault: ${call.method} ${call.path}: ${reason}`);
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
