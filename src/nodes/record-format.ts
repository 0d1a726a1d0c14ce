/** How node records and claims stand in ConfigMaps (DESIGN D8, D16). Reading is total: nothing throws. */
import { hash } from 'node:crypto';
import { isNodeName } from '../tokens/binding.ts';
import {
  type Ban,
  emptyRecord,
  type NodeRecord,
  type RecordedCertificate,
  type RecordedServing,
  type RecordedToken,
  type Release,
} from './node-record.ts';
import type { Claim } from './token-claims.ts';

const SHARD_PREFIX = 'node-records-';
const CLAIMS_PREFIX = 'token-claims-';
/** 10,000 nodes are 160 in each, about 100 KiB of the 1 MiB that a ConfigMap holds. */
const SHARDS = 64;
/**
 * No node name has an underscore: a part that an admin writes never overwrites what the service writes. A key may have 253
 * characters, a node's name 251.
 */
const BAN = '_b';
const RELEASE = '_r';

/** The ConfigMap that holds this node's record. */
export function shardOf(node: string): string {
  const number = (hash('sha256', node, 'buffer')[0] ?? 0) % SHARDS;
  return `${SHARD_PREFIX}${number.toString(16).padStart(2, '0')}`;
}

/** The ConfigMap with the claims of a token. */
export function claimsMapOf(tokenId: string): string {
  return CLAIMS_PREFIX + tokenId;
}

/** The token that a ConfigMap holds the claims of; undefined for any other. */
export function tokenOfClaimsMap(name: string): string | undefined {
  return name.startsWith(CLAIMS_PREFIX) ? name.slice(CLAIMS_PREFIX.length) : undefined;
}

export function isShard(name: string): boolean {
  return name.startsWith(SHARD_PREFIX);
}

/** What is remembered of one node, or that it cannot be read. */
export type StoredRecord =
  | { readonly known: true; readonly value: NodeRecord }
  | { readonly known: false; readonly why: string };

/** Every record of a shard. A value that is not as `formatRecord` writes it makes that node's record unknown, no other. */
export function readShard(data: Readonly<Record<string, string>>): Map<string, StoredRecord> {
  const records = new Map<string, StoredRecord>();
  for (const [key, text] of Object.entries(data)) {
    const [, node = '', part = ''] = /^([^_]+)(_[a-z]+)?$/.exec(key) ?? [];
    if (!isNodeName(node)) continue;
    const before = records.get(node) ?? { known: true, value: emptyRecord(node) };
    records.set(node, before.known ? withPart(before.value, part, text) : before);
  }
  return records;
}

function withPart(record: NodeRecord, part: string, text: string): StoredRecord {
  const unreadable: StoredRecord = {
    known: false,
    why: `the record of ${record.node} (${part || 'itself'}) is unreadable`,
  };
  const json = jsonOf(text);
  switch (part) {
    case '': {
      const own = ownPart(json);
      return own === undefined ? unreadable : { known: true, value: { ...record, ...own } };
    }
    case BAN: {
      const ban = banOf(json);
      return ban === undefined ? unreadable : { known: true, value: { ...record, ban } };
    }
    case RELEASE: {
      const until = numberAt(json, 'until');
      return until === undefined ? unreadable : { known: true, value: { ...record, release: { until } } };
    }
    default:
      return { known: true, value: record };
  }
}

type OwnPart = Pick<NodeRecord, 'token' | 'certificates' | 'serving' | 'addresses' | 'adopted'>;

/** The part that the service writes, as the value of the key `node`. */
export function formatRecord({ token, certificates, serving, addresses, adopted }: NodeRecord): string {
  const own: OwnPart = { token, certificates, serving, addresses, adopted };
  return JSON.stringify(own);
}

/** The change of a shard that bans a node, or lifts its ban. */
export function banChange(node: string, ban: Ban | undefined): Record<string, string | null> {
  return { [node + BAN]: ban === undefined ? null : JSON.stringify(ban) };
}

/** The change of a shard that releases a node, or takes the release back. */
export function releaseChange(node: string, release: Release | undefined): Record<string, string | null> {
  return { [node + RELEASE]: release === undefined ? null : JSON.stringify(release) };
}

export function formatClaim({ key, at }: Claim): string {
  return JSON.stringify({ key, at });
}

/** Claims by node. One that is unreadable counts, all the same: it takes a use. */
export function readClaims(data: Readonly<Record<string, string>>): Map<string, Claim> {
  return new Map(
    Object.entries(data).map(([node, text]) => {
      const json = jsonOf(text);
      return [node, { node, key: textAt(json, 'key') ?? '', at: numberAt(json, 'at') ?? 0 }];
    }),
  );
}

function ownPart(json: unknown): OwnPart | undefined {
  const certificates = listAt(json, 'certificates')?.map(certificateOf);
  const addresses = listAt(json, 'addresses')?.map((item) => (typeof item === 'string' ? item : undefined));
  const token = tokenOf(field(json, 'token'));
  const serving = servingOf(field(json, 'serving'));
  const adopted = field(json, 'adopted');
  if (!isWhole(certificates) || !isWhole(addresses) || token === null || serving === null) return undefined;
  if (typeof adopted !== 'boolean') return undefined;
  return { token, certificates, serving, addresses, adopted };
}

function certificateOf(json: unknown): RecordedCertificate | undefined {
  const fingerprint = textAt(json, 'fingerprint');
  const notAfter = numberAt(json, 'notAfter');
  const issuedAt = numberAt(json, 'issuedAt');
  const issuer = textAt(json, 'issuer');
  return fingerprint === undefined || notAfter === undefined || issuedAt === undefined || issuer === undefined
    ? undefined
    : { fingerprint, ...beginOf(json), notAfter, issuedAt, issuer, ...lineOf(json) };
}

/** Only what is there: most records are kept in memory for long. */
function lineOf(json: unknown): Pick<RecordedCertificate, 'from' | 'renewedAt'> {
  const [from, renewedAt] = [numberAt(json, 'from'), numberAt(json, 'renewedAt')];
  return { ...(from === undefined ? {} : { from }), ...(renewedAt === undefined ? {} : { renewedAt }) };
}

/** null: there is something, and it is not one. */
function tokenOf(json: unknown): RecordedToken | undefined | null {
  if (json === undefined) return undefined;
  const [id, key, usedAt] = [textAt(json, 'id'), textAt(json, 'key'), numberAt(json, 'usedAt')];
  if (id === undefined || key === undefined || usedAt === undefined) return null;
  const released = field(json, 'released') === true ? { released: true as const } : {};
  return { id, pool: textAt(json, 'pool'), key, usedAt, seenAt: numberAt(json, 'seenAt'), ...released };
}

function servingOf(json: unknown): RecordedServing | undefined | null {
  if (json === undefined) return undefined;
  const notAfter = numberAt(json, 'notAfter');
  const addresses = listAt(json, 'addresses')?.map((item) => (typeof item === 'string' ? item : undefined));
  return notAfter === undefined || !isWhole(addresses)
    ? null
    : { ...beginOf(json), notAfter, issuer: textAt(json, 'issuer') ?? '', addresses };
}

/** Records of before it was kept have none. */
function beginOf(json: unknown): { readonly notBefore?: number } {
  const notBefore = numberAt(json, 'notBefore');
  return notBefore === undefined ? {} : { notBefore };
}

function banOf(json: unknown): Ban | undefined {
  const since = numberAt(json, 'since');
  const reason = textAt(json, 'reason');
  return since === undefined || reason === undefined ? undefined : { since, reason };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function field(json: unknown, name: string): unknown {
  return typeof json === 'object' && json !== null ? Reflect.get(json, name) : undefined;
}

function textAt(json: unknown, name: string): string | undefined {
  const value = field(json, name);
  return typeof value === 'string' ? value : undefined;
}

function numberAt(json: unknown, name: string): number | undefined {
  const value = field(json, name);
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

function listAt(json: unknown, name: string): readonly unknown[] | undefined {
  const value = field(json, name);
  return Array.isArray(value) ? value : undefined;
}

function isWhole<T>(list: readonly (T | undefined)[] | undefined): list is readonly T[] {
  return list !== undefined && !list.includes(undefined);
}
