import { lookAt } from '../../controllers/expiry-watch.ts';
import { judge, LEVELS, soonestFirst, worstSeverity } from '../../expiry/judge.ts';
import { systemClock } from '../../runtime/clock.ts';
import { openAuthorities } from '../../wiring/authorities.ts';
import { openCluster, openVault, UNOBSERVED } from '../../wiring/connections.ts';
import { expirySources, thresholdsOf } from '../../wiring/expiry.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { expiryAsJson, expiryAsText } from '../expiry-output.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption } from '../output.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';

export interface ExpiryFlags extends SharedFlags {
  readonly alarms?: boolean | undefined;
  readonly output: string;
}

const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const EXIT_OF_WORST = { error: 'sick', warning: 'ailing', info: 'ok' } as const;

/** Prints everything that has an end, soonest first. Writes nothing; the service need not run. Answers the exit code. */
export async function expiry(flags: ExpiryFlags, io: Io): Promise<number> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  const config = await loadConfig(flags, io);
  const { transport } = openCluster(config, systemClock, UNOBSERVED);
  const given = io.env['VAULT_TOKEN'] === '' ? undefined : io.env['VAULT_TOKEN'];
  const vault =
    config.vault === undefined ? undefined : await openVault(config, systemClock, UNOBSERVED, { token: given });
  try {
    const authorities = openAuthorities(() => config, { clock: systemClock, vault, log: SILENT });
    const isGivenToken = given !== undefined;
    const sources = expirySources({ config, clock: systemClock, transport, authorities, vault, isGivenToken });
    const looks = await Promise.all(sources.map((source) => lookAt(source, io.interrupted)));
    const now = systemClock.now();
    const rows = soonestFirst(
      looks.flatMap(({ things }) => things).map((thing) => judge(thing, thresholdsOf(config), now)),
    );
    const shown = flags.alarms === true ? rows.filter(({ level }) => LEVELS[level].severity !== 'info') : rows;
    io.out(format === 'json' ? formatJson(expiryAsJson(shown, now)) : expiryAsText(shown));
    return EXIT_CODES[EXIT_OF_WORST[worstSeverity(rows)]];
  } finally {
    vault?.session.stop();
    await transport.close();
  }
}
