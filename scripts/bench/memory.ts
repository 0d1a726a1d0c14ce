/** `npm run bench:memory`: what records and claims of a big fleet take of the heap, and of a ConfigMap. Needs no servers. */
import { createHash } from 'node:crypto';
import { RecordBook } from '../../src/controllers/record-book.ts';
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import {
  claimsMapOf,
  formatClaim,
  formatRecord,
  readClaims,
  readShard,
  shardOf,
} from '../../src/nodes/record-format.ts';
import type { StateMap } from '../../src/ports.ts';
import { systemClock } from '../../src/runtime/clock.ts';

const NODES = 10_000;
/** Uses of one pool token: every node has claimed one. */
const USES = 500;
const DAY_MS = 86_400_000;
const { gc } = globalThis;
if (gc === undefined) throw new Error('run with --expose-gc');

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
const ISSUER = hash('ca').slice(0, 40);

/** As full as a record gets: two certificates, a serving certificate with four addresses, a token of a pool. */
function fullRecord(index: number, now: number): NodeRecord {
  const node = `ip-10-${index >> 8}-${index & 255}-17.eu-central-1.compute.internal`;
  const certificate = (number: number): NodeRecord['certificates'][number] => ({
    fingerprint: hash(`${node} ${number}`),
    notAfter: now + DAY_MS,
    issuedAt: now,
    issuer: ISSUER,
    from: now,
    renewedAt: now,
  });
  const addresses = [
    `10.${index >> 8}.${index & 255}.17`,
    `10.${index >> 8}.${index & 255}.18`,
    `fd00:0:0:0:0:0:0:${index.toString(16)}`,
    `fd01:0:0:0:0:0:0:${index.toString(16)}`,
  ];
  return {
    ...emptyRecord(node),
    token: {
      id: `aaa${String(Math.floor(index / USES)).padStart(3, '0')}`,
      pool: 'workers',
      key: hash(node),
      usedAt: now,
      seenAt: now,
    },
    certificates: [certificate(0), certificate(1)],
    serving: { notAfter: now + DAY_MS, issuer: ISSUER, addresses },
    addresses,
  };
}

/** The data of every ConfigMap, as the API server sends it. */
function allData(): Map<string, Record<string, string>> {
  const now = Math.floor(Date.now() / 1_000) * 1_000;
  const data = new Map<string, Record<string, string>>();
  const put = (map: string, key: string, value: string): void => {
    data.set(map, Object.assign(data.get(map) ?? {}, { [key]: value }));
  };
  for (let index = 0; index < NODES; index += 1) {
    const record = fullRecord(index, now);
    put(shardOf(record.node), record.node, formatRecord(record));
    put(
      claimsMapOf(record.token?.id ?? ''),
      record.node,
      formatClaim({ node: record.node, key: hash(record.node), at: now }),
    );
  }
  return data;
}

function heapBytes(): number {
  for (let round = 0; round < 4; round += 1) gc?.();
  return process.memoryUsage().heapUsed;
}

const texts = [...allData()].map(([name, data]) => [name, JSON.stringify(data)] as const);
const largest = Math.max(...texts.map(([, text]) => text.length));
const before = heapBytes();
const maps = new Map<string, StateMap>();
const stored = {
  get: (name: string): StateMap | undefined => maps.get(name),
  values: (): Iterable<StateMap> => maps.values(),
  size: texts.length,
  fresh: (): boolean => true,
};
const ignore = (): void => {};
const book = new RecordBook({
  stored,
  maps: {
    list: () => Promise.resolve([]),
    get: () => Promise.resolve(undefined),
    write: () => Promise.reject(new Error('read only')),
    remove: () => Promise.resolve(),
  },
  vouchedBy: () => undefined,
  foreground: { lull: () => Promise.resolve() },
  clock: systemClock,
  random: Math.random,
  log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
});
for (const [name, text] of texts) {
  const data = JSON.parse(text) as Record<string, string>;
  const isClaims = name.startsWith('token-claims');
  const map = {
    name,
    uid: name,
    resourceVersion: '1',
    createdAt: 0,
    records: isClaims ? new Map() : readShard(data),
    claims: isClaims ? readClaims(data) : new Map(),
  };
  maps.set(name, map);
  book.stored(map);
}
book.loaded();
const held = heapBytes() - before;
const records = [...maps.values()].reduce((sum, map) => sum + map.records.size, 0);
const claims = [...maps.values()].reduce((sum, map) => sum + map.claims.size, 0);
process.stdout.write(
  `${records} node records and ${claims} claims: ${(held / 2 ** 20).toFixed(1)} MiB of heap (goal: 20), ` +
    `largest of ${maps.size} ConfigMaps ${(largest / 1024).toFixed(0)} KiB (limit: 1024)\n`,
);
