/** What `vault setup` is to make of a PKI engine. */
import { readFile } from 'node:fs/promises';
import type { Config } from '../config.ts';
import { messageOf, UsageError } from '../errors.ts';
import type { NewCa } from '../vault/setup/items.ts';
import type { PkiWishes } from '../vault/setup/pki.ts';
import { longestLifetimes } from '../wiring/longest-life.ts';
import { pkiEngines, pkiRoles } from '../wiring/pki-backend.ts';

/** Where a CA comes from that is not there yet; it is never made unasked. */
export interface CaFlags {
  readonly makeCa?: boolean | undefined;
  readonly importCa?: string | undefined;
}

const ISSUER_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * What the PKI engines of the config need; empty where it signs with something else. A new CA is for the last of them: the
 * one that follows, where there is one. Throws UsageError for flags that go with neither the config nor each other, and
 * for a file that cannot be read.
 */
export async function pkiWishes({ makeCa = false, importCa }: CaFlags, config: Config): Promise<PkiWishes[]> {
  const engines = pkiEngines(config);
  const last = engines.at(-1);
  const asked = makeCa || importCa !== undefined;
  if (makeCa && importCa !== undefined) throw new UsageError('say either --make-ca or --import-ca');
  if (asked && last === undefined) throw new UsageError('--make-ca and --import-ca need signer.ca.pki in the config');
  if (asked && ISSUER_ID.test(last?.issuer ?? '')) {
    throw new UsageError('the issuer of the config is an ID, which Vault gives itself: name the issuer for a new CA');
  }
  const made: NewCa | undefined = makeCa ? { kind: 'make' } : undefined;
  const ca = importCa === undefined ? made : await imported(importCa);
  return engines.map((engine) => ({
    mount: engine.mount,
    issuer: engine.issuer,
    servingNames: engine.servingNames,
    roles: pkiRoles(config, engine),
    longestMs: longestLifetimes(config),
    ca: engine === last ? ca : undefined,
  }));
}

async function imported(file: string): Promise<NewCa> {
  try {
    return { kind: 'import', file, bundle: await readFile(file, 'utf8') };
  } catch (error) {
    throw new UsageError(`--import-ca ${file}: ${messageOf(error)}`, { cause: error });
  }
}
