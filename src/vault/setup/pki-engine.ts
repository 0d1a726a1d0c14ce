/** Looks at a PKI engine and its CA, and makes them. */
import * as z from 'zod';
import { isRemote, RefusedError } from '../../errors.ts';
import type { JsonObject } from '../client.ts';
import type { VaultCaller } from '../key-value.ts';
import { segmentsOf } from '../path.ts';
import { readAs } from '../reply.ts';
import { AS_WANTED, CA_SECONDS, describeItem, type ItemState, MISSING, type SetupItem } from './items.ts';

type IssuerItem = Extract<SetupItem, { kind: 'issuer' }>;
type EngineItem = Extract<SetupItem, { kind: 'pki' }>;

const issuerSchema = z.object({
  data: z.object({ issuer_id: z.string(), issuer_name: z.string(), key_id: z.string(), usage: z.string() }),
});
const importSchema = z.object({ data: z.object({ mapping: z.record(z.string(), z.string()).nullish() }) });

const SIGNS = 'issuing-certificates';
/** What the server takes for 0. */
const DEFAULT_LEASE_SECONDS = 2_764_800;

/** How an engine with this longest lease stands. */
export function standingOfEngine({ longestSeconds }: EngineItem, maxLeaseSeconds: number): ItemState {
  const most = maxLeaseSeconds === 0 ? DEFAULT_LEASE_SECONDS : maxLeaseSeconds;
  return most >= longestSeconds
    ? AS_WANTED
    : { kind: 'differs', details: [`max_lease_ttl is ${most}, wanted ${longestSeconds} at least`] };
}

/** Makes the engine, or lets the certificates of the one that is there live long enough. */
export async function putEngine(
  caller: VaultCaller,
  { mount, longestSeconds }: EngineItem,
  isThere: boolean,
  signal: AbortSignal,
): Promise<void> {
  const path = ['sys', 'mounts', ...segmentsOf(mount)];
  const max = `${Math.max(CA_SECONDS, longestSeconds)}s`;
  if (isThere) await post(caller, [...path, 'tune'], { max_lease_ttl: max }, signal);
  else await post(caller, path, { type: 'pki', config: { max_lease_ttl: max } }, signal);
}

export async function lookAtIssuer(caller: VaultCaller, item: IssuerItem, signal: AbortSignal): Promise<ItemState> {
  const found = await readIssuer(caller, item, signal);
  if (found === undefined) {
    if (item.ca !== undefined) return MISSING;
    return { kind: 'left', details: ['is not there, and is made only with --import-ca or --make-ca'] };
  }
  if (found.key_id === '') return { kind: 'blocked', details: ['is there without its key'] };
  return found.usage.split(',').includes(SIGNS)
    ? AS_WANTED
    : { kind: 'differs', details: [`usage is ${found.usage}, wanted ${SIGNS} among it`] };
}

/** Throws RefusedError for a bundle without a CA and its key. */
export async function putIssuer(caller: VaultCaller, item: IssuerItem, signal: AbortSignal): Promise<void> {
  const { mount, issuer, ca } = item;
  const found = await readIssuer(caller, item, signal);
  const engine = segmentsOf(mount);
  // A write that does not name the issuer takes its name away.
  const setUp = (id: string, name: string, usage: string): Promise<JsonObject> =>
    post(caller, [...engine, 'issuer', id], { issuer_name: name, usage }, signal);
  if (found !== undefined) {
    await setUp(found.issuer_id, found.issuer_name, `${found.usage},${SIGNS}`);
  } else if (ca?.kind === 'make') {
    await post(caller, [...engine, 'root', 'generate', 'internal'], rootSettings(issuer), signal);
  } else if (ca?.kind === 'import') {
    const reply = await post(caller, [...engine, 'issuers', 'import', 'bundle'], { pem_bundle: ca.bundle }, signal);
    const { mapping } = readAs(importSchema, reply, describeItem(item)).data;
    const [id] = Object.entries(mapping ?? {}).find(([, key]) => key !== '') ?? [];
    if (id === undefined) throw new RefusedError('AuthorityUnusable', `${ca.file} holds no CA with its key`);
    // With the right to sign revocation lists, a CA without cRLSign would be refused.
    await setUp(id, issuer, `read-only,${SIGNS}`);
  }
}

/** Of a root whose key never leaves Vault. */
export function rootSettings(issuer: string): Readonly<Record<string, string | number>> {
  return { common_name: issuer, issuer_name: issuer, key_type: 'ec', key_bits: 256, ttl: `${CA_SECONDS}s` };
}

async function readIssuer(
  caller: VaultCaller,
  item: IssuerItem,
  signal: AbortSignal,
): Promise<z.infer<typeof issuerSchema>['data'] | undefined> {
  const path = [...segmentsOf(item.mount), 'issuer', item.issuer];
  try {
    const { body } = await caller.call({ operation: 'setup', method: 'GET', path }, signal);
    return readAs(issuerSchema, body, describeItem(item)).data;
  } catch (error) {
    // NotFound: no engine. Invalid: how OpenBao says that there is no such issuer.
    if (isRemote(error, 'NotFound', 'Invalid')) return undefined;
    throw error;
  }
}

async function post(
  caller: VaultCaller,
  path: readonly string[],
  body: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> {
  return (await caller.call({ operation: 'setup', method: 'POST', path, body }, signal)).body;
}
