import { lookAt } from '../../controllers/expiry-watch.ts';
import { judge, LEVELS, soonestFirst, worstSeverity } from '../../expiry/judge.ts';
import { openAuthorities } from '../../wiring/authorities.ts';
import { expirySources, thresholdsOf } from '../../wiring/expiry.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { expiryAsJson, expiryAsText } from '../expiry-output.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption } from '../output.ts';
import { withServers } from '../servers.ts';
import type { SharedFlags } from '../settings.ts';

export interface ExpiryFlags extends SharedFlags {
  readonly alarms?: boolean | undefined;
  readonly output: string;
}

const EXIT_OF_WORST = { error: 'sick', warning: 'ailing', info: 'ok' } as const;

/** Prints everything that has an end, soonest first. Writes nothing; the service need not run. Answers the exit code. */
export async function expiry(flags: ExpiryFlags, io: Io): Promise<number> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  return withServers(flags, io, async (servers) => {
    const { config, clock } = servers;
    const authorities = openAuthorities(() => config, servers);
    const sources = expirySources({ ...servers, authorities });
    const looks = await Promise.all(sources.map((source) => lookAt(source, io.interrupted)));
    const now = clock.now();
    const rows = soonestFirst(
      looks.flatMap(({ things }) => things).map((thing) => judge(thing, thresholdsOf(config), now)),
    );
    const shown = flags.alarms === true ? rows.filter(({ level }) => LEVELS[level].severity !== 'info') : rows;
    io.out(format === 'json' ? formatJson(expiryAsJson(shown, now)) : expiryAsText(shown));
    return EXIT_CODES[EXIT_OF_WORST[worstSeverity(rows)]];
  });
}
