/** `bootstrap-token list` and `show`. */
import { UsageError } from '../../errors.ts';
import { systemClock } from '../../runtime/clock.ts';
import { isUsable } from '../../tokens/rotation.ts';
import { type TokenRecord, tokensOf } from '../../tokens/token-secret.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption, formatTable, formatYaml } from '../output.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';
import { type BindingFlags, namedBinding } from '../token-flags.ts';
import { inOffice, needToken, needTokenId, secretPart, withSecrets } from '../token-office.ts';
import { describeToken, type ShownToken, tokenTable } from '../token-output.ts';

export interface ShowFlags extends SharedFlags {
  readonly output: string;
  readonly showSecret?: boolean | undefined;
}

export interface TokenFilter extends BindingFlags {
  readonly expired?: boolean | undefined;
  readonly usable?: boolean | undefined;
}

export interface ListFlags extends ShowFlags, TokenFilter {}

/** The bootstrap tokens of the cluster, whoever made them, or those of them that are asked for. */
export async function list(flags: ListFlags, io: Io): Promise<void> {
  const format = formatOption(flags.output, ['text', 'wide', 'json', 'yaml'] as const);
  const fits = tokenFilter(flags);
  await withSecrets(await loadConfig(flags, io), async (secrets) => {
    const now = systemClock.now();
    const records = fits(await secrets.list(io.interrupted), now);
    if (format === 'text' || format === 'wide') return io.out(tokenTable(records, now, format === 'wide'));
    const shown = await Promise.all(
      records.map(async (record) => describeToken(record, await secretPart(secrets, record.id, flags, io), now)),
    );
    return io.out(format === 'json' ? formatJson(shown) : formatYaml(shown));
  });
}

/** Chooses among tokens; `expired` are those whose end is past. Throws UsageError for what excludes each other. */
export function tokenFilter(filter: TokenFilter): (records: readonly TokenRecord[], now: number) => TokenRecord[] {
  const binding = namedBinding(filter);
  if (filter.expired === true && filter.usable === true) throw new UsageError('say either --expired or --usable');
  return (records, now) =>
    (binding === undefined ? [...records] : tokensOf(binding, records)).filter(
      (record) =>
        (filter.usable !== true || isUsable(record, now)) && (filter.expired !== true || hasExpired(record, now)),
    );
}

/** True once the API server takes the token no more because of its time. */
export function hasExpired({ expiresAt }: TokenRecord, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now;
}

/** One token, with what stands in Vault for it. */
export async function show(id: string, flags: ShowFlags, io: Io): Promise<void> {
  const format = formatOption(flags.output, ['text', 'json', 'yaml'] as const);
  needTokenId(id);
  await inOffice(await loadConfig(flags, io), io, async ({ secrets, vault }) => {
    const signal = io.interrupted;
    const record = await needToken(secrets, id, signal);
    const standing =
      record.vaultPath === undefined ? undefined : await vault.publications.state(record.vaultPath, signal);
    const inVault = standing?.kind === 'live' && standing.tokenId === id ? 'fetchable' : 'not there';
    const secret = await secretPart(secrets, id, flags, io);
    const shown: ShownToken = { ...describeToken(record, secret, systemClock.now()), inVault };
    if (format === 'json') return io.out(formatJson(shown));
    if (format === 'yaml') return io.out(formatYaml(shown));
    const rows = Object.entries(shown).map(([key, value]) => [
      key,
      typeof value === 'object' ? (value ?? []).join(', ') : String(value),
    ]);
    return io.out(formatTable(['FIELD', 'VALUE'], rows));
  });
}
