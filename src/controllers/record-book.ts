import { messageOf } from '../errors.ts';
import { emptyRecord, type NodeRecord } from '../nodes/node-record.ts';
import { isOwnRequest, withClientCertificate, withServingCertificate, withSight } from '../nodes/record-changes.ts';
import { formatRecord, releaseChange, type StoredRecord } from '../nodes/record-format.ts';
import { presentedCertificate } from '../policy/credential-rules.ts';
import type { Fact } from '../policy/facts.ts';
import { nodeNameOfUser } from '../policy/request.ts';
import {
  CLIENT_SIGNER,
  type Csr,
  type Log,
  SERVING_SIGNER,
  type StateMap,
  type StateMaps,
  type Store,
} from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Foreground } from '../runtime/foreground.ts';
import { AddressIndex, hasAddress } from './address-index.ts';
import type { NodeRecords } from './fact-gatherer.ts';
import { Releases } from './releases.ts';
import { ShardWriter } from './shard-writer.ts';

export interface RecordBookOptions {
  /** What is stored, as the watch shows it. */
  readonly stored: Store<StateMap>;
  readonly maps: StateMaps;
  /** Addresses that a token vouched for when it was issued; undefined when it is gone. */
  readonly vouchedBy: (tokenId: string) => readonly string[] | undefined;
  readonly foreground: Pick<Foreground, 'lull'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

/** An approval that brought no certificate by then brings none. */
const RESERVED_MS = 3_600_000;
/** Somebody may want to know when it was here. */
const FORGOTTEN_MS = 30 * 24 * 3_600_000;

interface Reservation {
  readonly pool: string;
  readonly until: number;
}

/**
 * What is remembered of nodes: what is stored, and over it what is not written yet (DESIGN D16). It is told of every
 * issued CSR and writes records in groups; until then the CSR itself is the journal.
 */
export class RecordBook implements NodeRecords {
  readonly releases: Releases;
  readonly #options: RecordBookOptions;
  /** Records that differ from what the watch has shown. */
  readonly #ahead = new Map<string, NodeRecord>();
  readonly #addresses = new AddressIndex((node, address, now) => this.#has(node, address, now));
  readonly #reserved = new Map<string, Reservation>();
  /** Told before the stored records were read. */
  #early: Csr[] | undefined = [];
  readonly #writer: ShardWriter;

  constructor(options: RecordBookOptions) {
    this.#options = options;
    this.releases = new Releases(options.clock);
    const { foreground, clock, random } = options;
    this.#writer = new ShardWriter({ write: this.#write.bind(this), foreground, clock, random });
  }

  /** To be called when the stored records were read completely for the first time. */
  loaded(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const csr of early) this.saw(csr);
  }

  fresh(): boolean {
    return this.#early === undefined && this.#options.stored.fresh();
  }

  get(node: string): Fact<NodeRecord | undefined> {
    const stored = this.#storedOf(node);
    const ahead = this.#ahead.get(node);
    if (stored?.known === false) return stored;
    const release = this.releases.isUsed(node, stored?.value.release) ? undefined : stored?.value.release;
    // Bans and releases are others' to write.
    if (ahead !== undefined) return { known: true, value: { ...ahead, ban: stored?.value.ban, release } };
    return stored === undefined || release === stored.value.release
      ? { known: true, value: stored?.value }
      : { known: true, value: { ...stored.value, release } };
  }

  /** What outlives this process: the record as it is stored, without what is not written yet. */
  asStored(node: string): NodeRecord | undefined {
    const stored = this.#storedOf(node);
    return stored?.known === true ? stored.value : undefined;
  }

  /** Every record that can be read. */
  *values(): Iterable<NodeRecord> {
    for (const { records } of this.#options.stored.values()) {
      for (const [node, record] of records) if (record.known && !this.#ahead.has(node)) yield record.value;
    }
    yield* this.#ahead.values();
  }

  othersInPool(pool: string, node: string, now: number): number {
    const members = new Set<string>();
    for (const record of this.values()) {
      const valid = record.certificates.some(({ notAfter }) => now < notAfter);
      if (valid && record.token?.pool === pool) members.add(record.node);
    }
    for (const [reserved, { pool: of, until }] of this.#reserved) {
      if (until <= this.#options.clock.monotonic()) this.#reserved.delete(reserved);
      else if (of === pool) members.add(reserved);
    }
    members.delete(node);
    return members.size;
  }

  /** Counts the node as one of the pool until its certificate is on record, for an hour at most. */
  reserve(node: string, pool: string): void {
    this.#reserved.set(node, { pool, until: this.#options.clock.monotonic() + RESERVED_MS });
  }

  /** Nodes that have this address, as `formatAddress` writes it: in a serving certificate, or given with their token. */
  ownersOf(address: string, now: number): string[] {
    return this.#addresses.ownersOf(address, now);
  }

  #has(node: string, address: string, now: number): boolean {
    const record = this.get(node);
    return record.known && record.value !== undefined && hasAddress(record.value, address, now);
  }

  /** To be told of every new or changed CSR, and of a certificate right after it was written. Never throws. */
  saw(csr: Csr): void {
    if (this.#early !== undefined) {
      this.#early.push(csr);
      return;
    }
    this.#sight(csr);
    const { certificate } = csr;
    const node = nodeNameOfUser(certificate?.commonName ?? '');
    if (certificate === undefined || node === undefined) return;
    const { createdAt, requester, signerName } = csr;
    if (!isOwnRequest(node, requester)) return;
    const id = requester.username.startsWith('system:bootstrap:') ? requester.username.slice(17) : '';
    const presented = presentedCertificate({ csr });
    const issued = { createdAt, requester, certificate, presented, vouched: this.#options.vouchedBy(id) };
    if (signerName === CLIENT_SIGNER) this.#change(node, (record) => withClientCertificate(record, issued));
    if (signerName === SERVING_SIGNER) this.#change(node, (record) => withServingCertificate(record, issued));
  }

  /** The record of this certificate is stored, or there is nothing to store: the CSR is needed as a journal no more. */
  isRecorded({ certificate, signerName, createdAt, requester }: Csr): boolean {
    const node = nodeNameOfUser(certificate?.commonName ?? '');
    const kept = signerName === CLIENT_SIGNER || signerName === SERVING_SIGNER;
    if (!kept || certificate === undefined || node === undefined || !isOwnRequest(node, requester)) return true;
    const stored = this.#storedOf(node);
    if (stored?.known !== true) return stored !== undefined;
    const { certificates, serving } = stored.value;
    if (signerName === SERVING_SIGNER) return serving !== undefined && serving.notAfter >= certificate.notAfter;
    return (
      certificates.some(({ fingerprint }) => fingerprint === certificate.fingerprint) ||
      (certificates.length > 1 && certificates.every(({ issuedAt }) => issuedAt >= createdAt))
    );
  }

  /** To be told of every stored map that is new or changed: what it has caught up with is not ahead any more. */
  stored({ records }: StateMap): void {
    for (const [node, record] of records) {
      if (record.known) {
        this.#addresses.add(record.value);
        this.releases.stored(node, record.value.release);
      }
      const ahead = this.#ahead.get(node);
      if (ahead === undefined || !record.known || !this.#writer.isWritten(node)) continue;
      if (formatRecord(ahead) === formatRecord(record.value)) this.#ahead.delete(node);
    }
  }

  /**
   * Forgets nodes whose last certificate ended long ago, unless they are banned or still there: names that an autoscaler
   * never gives again. Failures are left to the next time.
   */
  async forget(isThere: (node: string) => boolean, signal: AbortSignal): Promise<void> {
    const { stored, maps, clock, log } = this.#options;
    this.#addresses.tidy(clock.now());
    const before = clock.now() - FORGOTTEN_MS;
    for (const { name, records } of stored.values()) {
      const over = [...records].flatMap(([node, record]) => {
        if (!record.known || this.#ahead.has(node) || record.value.ban !== undefined || isThere(node)) return [];
        const { certificates, serving, release } = record.value;
        const ends = [...certificates.map(({ notAfter }) => notAfter), serving?.notAfter ?? 0, release?.until ?? 0];
        return Math.max(...ends) < before ? [node] : [];
      });
      if (over.length === 0 || signal.aborted) continue;
      const changes = Object.assign({}, ...over.map((node) => ({ [node]: null, ...releaseChange(node, undefined) })));
      await maps.write(name, changes, undefined, signal).then(
        () => log.info({ shard: name, nodes: over.length }, 'records of nodes that are gone for long removed'),
        (error: unknown) => log.warn({ shard: name, error: messageOf(error) }, 'old node records are left'),
      );
    }
  }

  /** Writes at once what is not written yet, and nothing any more. Lets go with `signal`; never rejects. */
  stop(signal: AbortSignal): Promise<void> {
    return this.#writer.stop(signal);
  }

  #sight(csr: Csr): void {
    const presented = presentedCertificate({ csr });
    const node = nodeNameOfUser(csr.requester.username);
    if (presented === undefined || node === undefined) return;
    this.#change(node, (record) => withSight(record, presented, this.#options.clock.now()));
  }

  #change(node: string, change: (record: NodeRecord) => NodeRecord): void {
    const known = this.get(node);
    // Nothing is written over what cannot be read.
    if (!known.known) return;
    const before = known.value ?? emptyRecord(node);
    const after = change(before);
    if (after === before) return;
    this.releases.changed(before, after);
    this.#ahead.set(node, after);
    this.#addresses.add(after);
    this.#reserved.delete(node);
    this.#writer.changed(node);
  }

  async #write(shard: string, nodes: readonly string[], signal: AbortSignal): Promise<boolean> {
    const { maps, log } = this.#options;
    const changes: Record<string, string | null> = {};
    const written = new Map<string, NodeRecord>();
    for (const node of nodes) {
      const record = this.#ahead.get(node);
      if (record === undefined) continue;
      const stored = this.#storedOf(node);
      if (stored?.known === false) {
        // Somebody has written it since: nothing is written over what cannot be read.
        this.#ahead.delete(node);
        this.#writer.written(node);
        continue;
      }
      changes[node] = formatRecord(record);
      if (stored?.known === true && this.releases.isUsed(node, stored.value.release)) {
        Object.assign(changes, releaseChange(node, undefined));
      }
      written.set(node, record);
    }
    if (written.size === 0) return true;
    try {
      signal.throwIfAborted();
      await maps.write(shard, changes, undefined, signal);
      for (const [node, record] of written) if (this.#ahead.get(node) === record) this.#writer.written(node);
      // The watch may have shown it already, and will not show it again.
      const shown = this.#options.stored.get(shard);
      if (shown !== undefined) this.stored(shown);
      return true;
    } catch (error) {
      log.warn({ shard, nodes: nodes.length, error: messageOf(error) }, 'node records are not written yet');
      return false;
    }
  }

  #storedOf(node: string): StoredRecord | undefined {
    return this.#options.stored.get(this.#writer.shardOf(node))?.records.get(node);
  }
}
