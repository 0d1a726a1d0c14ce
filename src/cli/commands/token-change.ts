/** `bootstrap-token extend`, `rotate` and `generate`. */
import { RefusedError } from '../../errors.ts';
import { systemClock } from '../../runtime/clock.ts';
import { describeBinding } from '../../tokens/binding.ts';
import { formatToken } from '../../tokens/bootstrap-token.ts';
import { isUsable } from '../../tokens/rotation.ts';
import { formatTime, tokensOf } from '../../tokens/token-secret.ts';
import { freshToken } from '../../wiring/connections.ts';
import type { Io } from '../io.ts';
import { formatOption } from '../output.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';
import { type BindingFlags, bindingOf, lifetimeOf } from '../token-flags.ts';
import { inOffice, needToken, needTokenId, revokeAll } from '../token-office.ts';
import { formatIssued } from './token-issue.ts';

export interface ExtendFlags extends SharedFlags {
  readonly ttl: string;
  readonly shorten?: boolean | undefined;
}

/** Gives a token so long from now. Throws RefusedError `AlreadyExists` when that is less than it has, unless it may be. */
export async function extend(id: string, flags: ExtendFlags, io: Io): Promise<void> {
  needTokenId(id);
  const lifetimeMs = lifetimeOf(flags.ttl);
  await inOffice(await loadConfig(flags, io), io, async ({ desk, secrets }) => {
    const record = await needToken(secrets, id, io.interrupted);
    const expiresAt = systemClock.now() + lifetimeMs;
    const until = record.expiresAt === undefined ? 'for ever' : `until ${formatTime(record.expiresAt)}`;
    if (flags.shorten !== true && expiresAt < (record.expiresAt ?? Number.POSITIVE_INFINITY)) {
      const message = `token ${id} is good ${until}, which is longer than ${flags.ttl}: say --shorten to end it sooner`;
      throw new RefusedError('AlreadyExists', message);
    }
    const fetchable = await desk.extend(record, expiresAt, io.interrupted);
    io.err(`token ${id} is good until ${formatTime(expiresAt)}; it was good ${until}\n`);
    if (!fetchable) io.err('it cannot be fetched from Vault, so only the cluster was told\n');
  });
}

export interface RotateFlags extends SharedFlags, BindingFlags {
  readonly ttl?: string | undefined;
  readonly output: string;
  readonly showSecret?: boolean | undefined;
}

/** A new token in the place of the old ones, which are revoked once it can be fetched. */
export async function rotate(flags: RotateFlags, io: Io): Promise<void> {
  const format = formatOption(flags.output, ['token', 'json', 'yaml', 'join', 'bootstrap-kubeconfig'] as const);
  const lifetime = flags.ttl === undefined ? undefined : lifetimeOf(flags.ttl);
  const config = await loadConfig(flags, io);
  const binding = bindingOf(flags, config);
  await inOffice(config, io, async ({ desk, secrets }) => {
    const signal = io.interrupted;
    const held = tokensOf(binding, await secrets.list(signal)).filter(({ ours }) => ours);
    const current = held.find((token) => isUsable(token, systemClock.now()));
    if (current === undefined) {
      const what = describeBinding(binding);
      throw new RefusedError('NotFound', `there is no usable token of ${what} to rotate: issue one`);
    }
    const pool = binding.kind === 'pool' ? config.pools[binding.pool] : undefined;
    const issued = await desk.replace(
      {
        binding,
        lifetimeMs: lifetime ?? pool?.tokenLifetime ?? config.minter.tokenLifetime,
        uses: pool?.uses,
        description: current.description,
        replacesLive: current.replacesLive,
        addresses: current.addresses,
      },
      signal,
    );
    io.err(`token ${issued.record.id} issued for ${describeBinding(binding)}, in Vault at ${issued.vaultPath}\n`);
    io.out(formatIssued([issued], format, false, flags.showSecret === true, desk.cluster));
    await revokeAll(desk, issued.predecessors, io);
  });
}

/** Prints a token that nobody has, as `kubeadm token generate` does. Reads and writes nothing. */
export function generate(io: Io): void {
  io.out(`${formatToken(freshToken())}\n`);
}
