/** `bootstrap-token issue --wrap-ttl`: the entry of a new token in a wrapping token of Vault, for user-data. */
import type { IssuedToken, TokenDesk } from '../controllers/token-desk.ts';
import { messageOf, UsageError } from '../errors.ts';
import { deadline } from '../runtime/clock.ts';
import { parseDuration } from '../runtime/duration.ts';
import type { Vault } from '../wiring/connections.ts';
import type { Io } from './io.ts';

const SHORTEST_MS = 1_000;
const REVOKING_MS = 10_000;
const MASK = '********';

/** What the machine of a wrapping token has to be told, and an admin to end it; `token` is masked unless asked for. */
export interface ShownWrapping {
  readonly token: string;
  readonly accessor: string;
  readonly creationPath: string;
  readonly ttlSeconds: number;
}

/**
 * `--wrap-ttl` in ms, undefined without it. Throws UsageError for what is no duration, is longer than the token lives,
 * or goes with an output that would show the token itself.
 */
export function wrapLifetime(text: string | undefined, output: string, lifetimeMs: number): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined) throw new UsageError(`--wrap-ttl ${text}: is no duration such as 30m or 1h30m`);
  if (ms < SHORTEST_MS || ms > lifetimeMs) {
    throw new UsageError(`--wrap-ttl ${text}: must be 1s at least, and no longer than the token lives (--ttl)`);
  }
  if (!['token', 'json', 'yaml'].includes(output)) {
    throw new UsageError(`--wrap-ttl goes with -o token, json or yaml: ${output} would show what is to be wrapped`);
  }
  return ms;
}

/** A wrapping token, and what is shown of it. */
export interface Wrapping {
  readonly token: string;
  readonly shown: ShownWrapping;
}

export interface WrapRequest {
  readonly publications: Pick<Vault['publications'], 'wrap'>;
  readonly tokenId: string;
  /** Where it can be fetched. */
  readonly vaultPath: string;
  /** From `wrapLifetime`. */
  readonly wrapMs: number;
  readonly showSecret: boolean;
}

/** The entry of a token in a wrapping token. Throws RemoteError `Conflict` when another token stands there by now. */
export async function wrap(request: WrapRequest, signal: AbortSignal): Promise<Wrapping> {
  const { publications, tokenId, vaultPath, wrapMs, showSecret } = request;
  const ttlSeconds = Math.floor(wrapMs / 1_000);
  const { token, accessor, creationPath } = await publications.wrap(vaultPath, tokenId, ttlSeconds, signal);
  return { token, shown: { token: showSecret ? token : MASK, accessor, creationPath, ttlSeconds } };
}

/** The same for a token that was issued just now. When it fails the token is revoked, so that nothing is left of it. */
export async function wrapOrRevoke(
  { record, vaultPath }: IssuedToken,
  request: Pick<WrapRequest, 'publications' | 'wrapMs' | 'showSecret'>,
  desk: Pick<TokenDesk, 'revoke'>,
  io: Pick<Io, 'err' | 'interrupted'>,
): Promise<Wrapping> {
  try {
    return await wrap({ ...request, tokenId: record.id, vaultPath }, io.interrupted);
  } catch (error) {
    await desk.revoke(record, deadline(REVOKING_MS)).then(
      () => io.err(`token ${record.id} could not be wrapped and was revoked\n`),
      (failure: unknown) => io.err(`token ${record.id} could not be wrapped; revoke it: ${messageOf(failure)}\n`),
    );
    throw error;
  }
}
