import { RemoteError, type RemoteErrorCode } from '../errors.ts';

const CODE_OF_STATUS: Readonly<Record<number, RemoteErrorCode>> = {
  400: 'Invalid',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  413: 'Invalid',
  415: 'Invalid',
  422: 'Invalid',
  429: 'TooManyRequests',
};

interface WireStatus {
  readonly reason?: unknown;
  readonly message?: unknown;
}

/** The RemoteError for an answer that is no success; `text` is its body, of which only the Status message is kept. */
export function errorOfStatus(
  operation: string,
  status: number,
  text: string,
  retryAfter: string | string[] | undefined,
): RemoteError {
  const wire = readStatus(text);
  const reason = typeof wire.reason === 'string' ? wire.reason : '';
  const message = typeof wire.message === 'string' ? wire.message : `HTTP ${status}`;
  const seconds = Number(retryAfter);
  return new RemoteError('kubernetes', codeOf(status, reason), `${operation}: ${message.slice(0, 1000)}`, {
    status,
    retryAfterMs: retryAfter !== undefined && seconds >= 0 ? seconds * 1000 : undefined,
  });
}

function codeOf(status: number, reason: string): RemoteErrorCode {
  if (reason === 'AlreadyExists') return 'AlreadyExists';
  if (reason === 'Expired') return 'Expired';
  return CODE_OF_STATUS[status] ?? (status >= 500 ? 'Unavailable' : 'Invalid');
}

function readStatus(text: string): WireStatus {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
}
