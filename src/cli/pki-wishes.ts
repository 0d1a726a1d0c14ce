/** What `vault setup` is to make of a PKI engine. */
import { readFile } from 'node:fs/promises';
import type { Config } from '../config.ts';
import { messageOf, UsageError } from '../errors.ts';
import type { NewCa } from '../vault/setup/items.ts';
import type { PkiWishes } from '../vault/setup/pki.ts';
import { longestLifetimes } from '../wiring/longest-life.ts';
import { pkiRoles } from '../wiring/pki-backend.ts';

/** Where a CA comes from that is not there yet; it is never made unasked. */
export interface CaFlags {
  readonly makeCa?: boolean | undefined;
  readonly importCa?: string | undefined;
}

const ISSUER_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * What the PKI engine of the config needs; undefined where it signs with something else. Throws UsageError for flags that
 * go with neither the config nor each other, and for a file that cannot be read.
 */
export async function pkiWishes({ makeCa = false, importCa }: CaFlags, config: Config): Promise<PkiWishes | undefined> {
  const { pki } = config.signer.ca;
  const asked = makeCa || importCa !== undefined;
  if (pki === undefined) {
    if (asked) throw new UsageError('--make-ca and --import-ca need signer.ca.pki in the config');
    return undefined;
  }
  if (makeCa && importCa !== undefined) throw new UsageError('say either --make-ca or --import-ca');
  const { mount, issuer, servingNames } = pki;
  if (asked && ISSUER_ID.test(issuer)) {
    throw new UsageError('signer.ca.pki.issuer is an ID, which Vault gives itself: name the issuer for a new CA');
  }
  const made: NewCa | undefined = makeCa ? { kind: 'make' } : undefined;
  const ca = importCa === undefined ? made : await imported(importCa);
  return { mount, issuer, servingNames, roles: pkiRoles(config, pki), longestMs: longestLifetimes(config), ca };
}

async function imported(file: string): Promise<NewCa> {
  try {
    return { kind: 'import', file, bundle: await readFile(file, 'utf8') };
  } catch (error) {
    throw new UsageError(`--import-ca ${file}: ${messageOf(error)}`, { cause: error });
  }
}
