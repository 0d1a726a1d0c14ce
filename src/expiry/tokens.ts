/** When tokens end that say so themselves. */
import type { Reading } from './thing.ts';

const JWT = /^[\w-]+\.([\w-]+)\.[\w-]*$/;
const SECOND_MS = 1_000;
/** The last moment that a Date can hold. */
const LAST_TIME = 8.64e15;

/** Of a bearer token: a JWT names its end (RFC 7519 section 4.1.4); of any other, nothing can be known here. */
export function tokenReading(token: string): Reading {
  const claims = claimsOf(JWT.exec(token.trim())?.[1] ?? '');
  const [begins, ends] = [claims['iat'] ?? claims['nbf'], claims['exp']];
  if (typeof ends !== 'number' || ends * SECOND_MS > LAST_TIME)
    return { kind: 'none', note: 'a token that does not say when it ends' };
  const endsAt = ends * SECOND_MS;
  const lifeMs = typeof begins === 'number' && begins < ends ? endsAt - begins * SECOND_MS : Infinity;
  return { kind: 'ends', endsAt, lifeMs, note: 'token' };
}

function claimsOf(base64: string): Readonly<Record<string, unknown>> {
  try {
    const claims: unknown = JSON.parse(Buffer.from(base64, 'base64url').toString('utf8'));
    return typeof claims === 'object' && claims !== null ? (claims as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}
