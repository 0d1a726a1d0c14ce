/** `bootstrap-token revoke`. */
import { RefusedError, UsageError } from '../../errors.ts';
import { systemClock } from '../../runtime/clock.ts';
import { describeBinding } from '../../tokens/binding.ts';
import { type TokenRecord, tokensOf } from '../../tokens/token-secret.ts';
import type { Io } from '../io.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';
import { type BindingFlags, namedBinding } from '../token-flags.ts';
import { inOffice, needToken, needTokenId, type Office, revokeAll } from '../token-office.ts';
import { tokenTable } from '../token-output.ts';
import { hasExpired } from './token-list.ts';

export interface RevokeFlags extends SharedFlags, BindingFlags {
  readonly allExpired?: boolean | undefined;
  readonly yes?: boolean | undefined;
}

/**
 * Withdraws tokens from Vault, then deletes their Secrets. All that are named must exist before any is touched; more
 * than one are asked about. Throws UsageError where nobody is there to ask.
 */
export async function revoke(ids: readonly string[], flags: RevokeFlags, io: Io): Promise<void> {
  ids.forEach(needTokenId);
  const binding = namedBinding(flags);
  if (ids.length === 0 && binding === undefined && flags.allExpired !== true) {
    throw new UsageError('name token IDs, or --for-node, or --pool, or --all-expired');
  }
  await inOffice(await loadConfig(flags, io), io, async ({ desk, secrets }) => {
    const chosen = await choose({ secrets }, ids, flags, io);
    if (chosen.length > 1 && flags.yes !== true) await confirm(chosen, io);
    await revokeAll(desk, chosen, io);
    if (chosen.length === 0) io.err('no token has expired\n');
  });
}

async function choose(
  { secrets }: Pick<Office, 'secrets'>,
  ids: readonly string[],
  flags: RevokeFlags,
  io: Io,
): Promise<TokenRecord[]> {
  const signal = io.interrupted;
  const chosen = await Promise.all(ids.map((id) => needToken(secrets, id, signal)));
  const binding = namedBinding(flags);
  if (binding === undefined && flags.allExpired !== true) return unique(chosen);
  const all = await secrets.list(signal);
  if (binding !== undefined) {
    const bound = tokensOf(binding, all);
    if (bound.length === 0) throw new RefusedError('NotFound', `there is no token for ${describeBinding(binding)}`);
    chosen.push(...bound);
  }
  if (flags.allExpired === true) chosen.push(...all.filter((record) => hasExpired(record, systemClock.now())));
  return unique(chosen);
}

function unique(records: readonly TokenRecord[]): TokenRecord[] {
  return [...new Map(records.map((record) => [record.id, record])).values()];
}

async function confirm(records: readonly TokenRecord[], io: Io): Promise<void> {
  io.err(tokenTable(records, systemClock.now()));
  const answer = await io.ask(`Revoke these ${records.length} tokens? [y/N] `);
  if (answer === undefined) throw new UsageError(`these are ${records.length} tokens: say --yes to revoke them all`);
  if (!/^y(es)?$/i.test(answer.trim())) throw new RefusedError('Declined', 'nothing was revoked');
}
