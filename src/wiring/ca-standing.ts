import { holdingsOf } from '../ca/holdings.ts';
import { type Standing, standingOf } from '../ca/standing.ts';
import type { Config } from '../config.ts';
import { readCas } from '../controllers/ca-watch.ts';
import { allPages } from '../kubernetes/list-watch.ts';
import { nodeListWatch } from '../kubernetes/nodes.ts';
import { stateMaps } from '../kubernetes/state-maps.ts';
import { readClientCas } from '../kubernetes/survey.ts';
import type { Transport } from '../kubernetes/transport.ts';
import type { Log } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { openAuthorities } from './authorities.ts';
import type { Vault } from './connections.ts';
import { longestLifeMs } from './longest-life.ts';
import { factOf, readCsrs } from './observe.ts';

export interface CaStandingOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly vault: Vault | undefined;
  readonly log: Log;
}

/** Reads how the rotation of the CA stands. Writes nothing. Throws RemoteError and RefusedError where it cannot be known. */
export async function observeRotation(options: CaStandingOptions, signal: AbortSignal): Promise<Standing> {
  const { config, clock, transport, vault, log } = options;
  const authorities = openAuthorities(() => config, { clock, vault, log });
  // What holds certificates is read last: one that is issued meanwhile is not missed.
  const cas = await readCas(authorities, clock.now(), signal);
  const clientCas = await factOf(readClientCas(transport, signal), signal);
  const nodes = await allPages(nodeListWatch(transport), signal);
  const maps = await stateMaps(transport, config.state.namespace).list(signal);
  const csrs = await readCsrs(transport, signal);
  const now = clock.now();
  const holdings = holdingsOf({
    records: maps.flatMap(({ records }) => [...records]),
    csrs,
    nodes: nodes.map(({ name }) => name),
    now,
  });
  return standingOf({ cas, clientCas, holdings, longestLifeMs: longestLifeMs(config), now });
}
