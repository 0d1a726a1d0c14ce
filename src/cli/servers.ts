/** The servers that commands read, as the config says. */
import type { Config } from '../config.ts';
import type { Transport } from '../kubernetes/transport.ts';
import type { Log } from '../ports.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { openCluster, openVault, UNOBSERVED, type Vault } from '../wiring/connections.ts';
import type { Io } from './io.ts';
import { loadConfig, type SharedFlags } from './settings.ts';

/** Of commands, which say by their output what there is to say. */
export const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export interface Servers {
  readonly config: Config;
  readonly clock: Clock;
  readonly transport: Transport;
  /** As far as the config has one. */
  readonly vault: Vault | undefined;
  /** `vault` uses the token of VAULT_TOKEN in the place of the service's login. */
  readonly isGivenToken: boolean;
  readonly log: Log;
}

/** Opens them, and closes them when `work` is done. Throws ConfigError, and what `work` throws. */
export async function withServers<T>(flags: SharedFlags, io: Io, work: (servers: Servers) => Promise<T>): Promise<T> {
  const config = await loadConfig(flags, io);
  const { transport } = openCluster(config, systemClock, UNOBSERVED);
  const given = io.env['VAULT_TOKEN'] === '' ? undefined : io.env['VAULT_TOKEN'];
  const vault =
    config.vault === undefined ? undefined : await openVault(config, systemClock, UNOBSERVED, { token: given });
  try {
    return await work({ config, clock: systemClock, transport, vault, isGivenToken: given !== undefined, log: SILENT });
  } finally {
    vault?.session.stop();
    await transport.close();
  }
}
