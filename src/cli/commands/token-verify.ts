/** `bootstrap-token verify`. */
import type { Config } from '../../config.ts';
import { isRemote, messageOf, RefusedError } from '../../errors.ts';
import { whoAmI } from '../../kubernetes/survey.ts';
import type { TokenPublications } from '../../ports/tokens.ts';
import { systemClock } from '../../runtime/clock.ts';
import { formatToken } from '../../tokens/bootstrap-token.ts';
import { openClusterAs, UNOBSERVED } from '../../wiring/connections.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption, formatTable } from '../output.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';
import { type Check, checkToken, type Login, type SeenEntry } from '../token-checks.ts';
import { inOffice, needToken, needTokenId } from '../token-office.ts';

export interface VerifyFlags extends SharedFlags {
  readonly output: string;
}

/**
 * Logs in with the token and asks who it is, and holds Secret, login and Vault entry against each other. Writes
 * nothing. Answers the exit code.
 */
export async function verify(id: string, flags: VerifyFlags, io: Io): Promise<number> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  needTokenId(id);
  const config = await loadConfig(flags, io);
  const checks = await inOffice(config, io, async ({ secrets, vault, desk }): Promise<Check[]> => {
    const signal = io.interrupted;
    const record = await needToken(secrets, id, signal);
    const secret = await secrets.reveal(id, signal);
    if (secret === undefined) throw new RefusedError('NotFound', `token ${id} has no secret part`);
    return checkToken({
      record,
      secret,
      login: await logIn(formatToken({ id, secret }), config, signal),
      vault: record.vaultPath === undefined ? undefined : await lookUp(vault.publications, record.vaultPath, signal),
      cluster: desk.cluster,
      now: systemClock.now(),
    });
  });
  if (format === 'json') io.out(formatJson(checks));
  else {
    const rows = checks.map(({ check, result, detail }) => [check, result, detail]);
    io.out(formatTable(['CHECK', 'RESULT', 'DETAIL'], rows));
  }
  return checks.some(({ result }) => result === 'failed') ? EXIT_CODES.sick : EXIT_CODES.ok;
}

async function logIn(token: string, config: Config, signal: AbortSignal): Promise<Login> {
  const transport = openClusterAs(token, config, systemClock, UNOBSERVED);
  try {
    return { ok: true, ...(await whoAmI(transport, signal)) };
  } catch (error) {
    if (!isRemote(error, 'Unauthorized', 'Forbidden')) throw error;
    return { ok: false, why: messageOf(error) };
  } finally {
    await transport.close();
  }
}

async function lookUp(publications: TokenPublications, path: string, signal: AbortSignal): Promise<SeenEntry> {
  const state = await publications.state(path, signal);
  try {
    return { state, entry: await publications.read(path, signal), unreadable: undefined };
  } catch (error) {
    if (!isRemote(error, 'Unreadable')) throw error;
    return { state, entry: undefined, unreadable: error };
  }
}
