/** What the commands of `bootstrap-token` work with: the cluster, Vault, and the desk over both. */
import type { Config } from '../config.ts';
import type { TokenDesk } from '../controllers/token-desk.ts';
import { RefusedError, UsageError } from '../errors.ts';
import { tokenSecrets } from '../kubernetes/token-secrets.ts';
import type { Transport } from '../kubernetes/transport.ts';
import type { Telemetry } from '../ports.ts';
import type { TokenSecrets } from '../ports/tokens.ts';
import { systemClock } from '../runtime/clock.ts';
import { isTokenId } from '../tokens/bootstrap-token.ts';
import type { TokenRecord } from '../tokens/token-secret.ts';
import { openCluster, openTokenDesk, openVault, UNOBSERVED, type Vault } from '../wiring/connections.ts';
import type { Io } from './io.ts';
import { SILENT } from './servers.ts';

export interface Office {
  readonly config: Config;
  readonly secrets: TokenSecrets;
  readonly vault: Vault;
  readonly desk: TokenDesk;
  readonly transport: Transport;
}

const UNCOUNTED: Telemetry = {
  decided: () => {},
  issued: () => {},
  remarked: () => {},
  withheld: () => {},
  failed: () => {},
  notAsPlanned: () => {},
  removedCsr: () => {},
  removedToken: () => {},
  minted: () => {},
  mintFailed: () => {},
};

/** Opens cluster and Vault for the work, and closes them after it. Throws ConfigError. */
export async function inOffice<T>(config: Config, io: Io, work: (office: Office) => Promise<T>): Promise<T> {
  const cluster = openCluster(config, systemClock, UNOBSERVED);
  const given = io.env['VAULT_TOKEN'];
  const vault = await openVault(config, systemClock, UNOBSERVED, { token: given === '' ? undefined : given });
  try {
    const desk = await openTokenDesk(config, systemClock, cluster, vault, { telemetry: UNCOUNTED, log: SILENT });
    return await work({ config, secrets: tokenSecrets(cluster.transport), vault, desk, transport: cluster.transport });
  } finally {
    vault.session.stop();
    await cluster.transport.close();
  }
}

/** The same without Vault. */
export async function withSecrets(config: Config, work: (secrets: TokenSecrets) => Promise<void>): Promise<void> {
  const { transport } = openCluster(config, systemClock, UNOBSERVED);
  try {
    await work(tokenSecrets(transport));
  } finally {
    await transport.close();
  }
}

/** Throws UsageError without repeating what was given: it may be a whole token. */
export function needTokenId(id: string): void {
  if (!isTokenId(id)) throw new UsageError('a token ID is six characters of a-z and 0-9; leave its secret part out');
}

/** Throws RefusedError `NotFound`. */
export async function needToken(secrets: TokenSecrets, id: string, signal: AbortSignal): Promise<TokenRecord> {
  const record = await secrets.get(id, signal);
  if (record === undefined) throw new RefusedError('NotFound', `there is no token ${id}`);
  return record;
}

/** The secret part, if it was asked for. */
export async function secretPart(
  secrets: TokenSecrets,
  id: string,
  { showSecret }: { readonly showSecret?: boolean | undefined },
  io: Io,
): Promise<string | undefined> {
  return showSecret === true ? secrets.reveal(id, io.interrupted) : undefined;
}

/** Revokes them one after the other and says so of each. */
export async function revokeAll(desk: TokenDesk, records: readonly TokenRecord[], io: Io): Promise<void> {
  for (const record of records) {
    await desk.revoke(record, io.interrupted);
    io.err(`token ${record.id} revoked\n`);
  }
}
