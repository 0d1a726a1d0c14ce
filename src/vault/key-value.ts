import * as z from 'zod';
import { RemoteError, isRemote } from '../errors.ts';
import type { JsonObject, VaultReply, VaultRequest } from './client.ts';
import { segmentsOf } from './path.ts';
import { readAs } from './reply.ts';

/** Calls with somebody's token: a VaultSession. */
export interface VaultCaller {
  call(request: VaultRequest, signal: AbortSignal): Promise<VaultReply>;
}

/** What a read of the current version answers. */
export type KvEntry =
  | { readonly kind: 'live'; readonly version: number; readonly data: JsonObject }
  /** Expired, deleted or destroyed. */
  | { readonly kind: 'gone'; readonly version: number }
  /** Never written, or removed with its metadata. */
  | { readonly kind: 'absent' };

/** An answer of Vault that can be taken once, by whoever has the token. */
export interface Wrapped {
  readonly token: string;
  /** Lets an admin end it without having it. */
  readonly accessor: string;
  /** Where it was read, without the namespace: what its taker checks before it unwraps. */
  readonly creationPath: string;
}

export interface KvVersion {
  /** RFC 3339. */
  readonly createdTime: string;
  /** RFC 3339, or ''. Stands in the future on a version that is going to expire. */
  readonly deletionTime: string;
  readonly destroyed: boolean;
}

export interface KvMetadata {
  /** 0 when metadata was written and data never was. */
  readonly currentVersion: number;
  /** RFC 3339, of the last change of data or metadata. */
  readonly updatedTime: string;
  readonly custom: Readonly<Record<string, string>>;
  readonly versions: ReadonlyMap<number, KvVersion>;
}

export interface KvMetadataSettings {
  readonly maxVersions: number;
  /** Versions written afterwards expire so long after they are written. At least 1: Vault reads 0 as "never". */
  readonly deleteVersionAfterSeconds: number;
  /** Vault refuses empty values. */
  readonly custom: Readonly<Record<string, string>>;
}

const mountSchema = z.object({
  data: z.object({ type: z.string(), options: z.object({ version: z.string().optional() }).nullish() }),
});
const liveSchema = z.object({
  data: z.object({ data: z.record(z.string(), z.unknown()), metadata: z.object({ version: z.number() }) }),
});
const goneSchema = z.object({ data: z.object({ metadata: z.object({ version: z.number() }) }) });
const wrappedSchema = z.object({
  wrap_info: z.object({ token: z.string().min(1), accessor: z.string(), creation_path: z.string() }),
});
const writtenSchema = z.object({ data: z.object({ version: z.number() }) });
const listSchema = z.object({ data: z.object({ keys: z.array(z.string()) }) });
const metadataSchema = z.object({
  data: z.object({
    current_version: z.number(),
    updated_time: z.string(),
    custom_metadata: z.record(z.string(), z.string()).nullish(),
    versions: z.record(
      z.string(),
      z.object({ created_time: z.string(), deletion_time: z.string(), destroyed: z.boolean() }),
    ),
  }),
});

/**
 * One KV version 2 mount. Before its first call it makes sure that the mount is one: KV version 1 takes the same
 * writes without complaint, and would keep the token for ever at a path that nobody reads.
 */
export class KeyValue {
  readonly mount: string;
  readonly #caller: VaultCaller;
  #known = false;

  constructor(caller: VaultCaller, mount: string) {
    this.#caller = caller;
    this.mount = mount;
  }

  async readData(path: string, signal: AbortSignal): Promise<KvEntry> {
    const reply = await this.#call({ operation: 'kv-read', method: 'GET', absentIsAnswer: true }, 'data', path, signal);
    if (reply.found) {
      const { data } = readAs(liveSchema, reply.body, `data of ${path}`);
      return { kind: 'live', version: data.metadata.version, data: data.data };
    }
    if (reply.body['data'] === undefined) {
      return { kind: 'absent' };
    }
    return { kind: 'gone', version: readAs(goneSchema, reply.body, `data of ${path}`).data.metadata.version };
  }

  /** What a read answers, in a wrapping token that is good for so long. Throws `NotFound` where nothing was written. */
  async wrapData(path: string, seconds: number, signal: AbortSignal): Promise<Wrapped> {
    const reply = await this.#call({ operation: 'kv-read', method: 'GET', wrapSeconds: seconds }, 'data', path, signal);
    const { wrap_info: wrapped } = readAs(wrappedSchema, reply.body, `wrapped data of ${path}`);
    return { token: wrapped.token, accessor: wrapped.accessor, creationPath: wrapped.creation_path };
  }

  /** Writes if the current version is `checkAndSet` (0: there is none), else throws `Conflict`. Answers the version. */
  async writeData(path: string, data: JsonObject, checkAndSet: number, signal: AbortSignal): Promise<number> {
    const body = { options: { cas: checkAndSet }, data };
    const reply = await this.#call({ operation: 'kv-write', method: 'POST', body }, 'data', path, signal);
    return readAs(writtenSchema, reply.body, `write of ${path} (is ${this.mount}/ KV version 2?)`).data.version;
  }

  /** Undefined where there is none. */
  async readMetadata(path: string, signal: AbortSignal): Promise<KvMetadata | undefined> {
    const request = { operation: 'kv-read', method: 'GET', absentIsAnswer: true } as const;
    const reply = await this.#call(request, 'metadata', path, signal);
    if (!reply.found) {
      return undefined;
    }
    const { data } = readAs(metadataSchema, reply.body, `metadata of ${path}`);
    const versions = Object.entries(data.versions).map(([version, entry]): [number, KvVersion] => [
      Number(version),
      { createdTime: entry.created_time, deletionTime: entry.deletion_time, destroyed: entry.destroyed },
    ]);
    return {
      currentVersion: data.current_version,
      updatedTime: data.updated_time,
      custom: data.custom_metadata ?? {},
      versions: new Map(versions),
    };
  }

  async writeMetadata(path: string, settings: KvMetadataSettings, signal: AbortSignal): Promise<void> {
    const body = {
      max_versions: settings.maxVersions,
      delete_version_after: `${settings.deleteVersionAfterSeconds}s`,
      custom_metadata: settings.custom,
    };
    await this.#call({ operation: 'kv-write', method: 'POST', body }, 'metadata', path, signal);
  }

  /** Removes the content of these versions for good; the metadata stays. */
  async destroy(path: string, versions: readonly number[], signal: AbortSignal): Promise<void> {
    await this.#call({ operation: 'kv-delete', method: 'POST', body: { versions } }, 'destroy', path, signal);
  }

  /** Removes every version with all metadata. Gone is fine. */
  async removeMetadata(path: string, signal: AbortSignal): Promise<void> {
    await this.#call({ operation: 'kv-delete', method: 'DELETE' }, 'metadata', path, signal);
  }

  /** The names below `folder`; folders end in `/`. Empty when there is nothing. */
  async list(folder: string, signal: AbortSignal): Promise<string[]> {
    const request = { operation: 'kv-list', method: 'LIST', absentIsAnswer: true } as const;
    const reply = await this.#call(request, 'metadata', folder, signal);
    return reply.found ? readAs(listSchema, reply.body, `list of ${folder}`).data.keys : [];
  }

  async #call(
    request: Omit<VaultRequest, 'path'>,
    part: 'data' | 'metadata' | 'destroy',
    path: string,
    signal: AbortSignal,
  ): Promise<VaultReply> {
    const target = [...segmentsOf(this.mount), part, ...segmentsOf(path)];
    await this.#requireVersion2(signal);
    return this.#caller.call({ ...request, path: target }, signal);
  }

  async #requireVersion2(signal: AbortSignal): Promise<void> {
    if (this.#known) {
      return;
    }
    const path = ['sys', 'internal', 'ui', 'mounts', ...segmentsOf(this.mount)];
    let reply: VaultReply;
    try {
      reply = await this.#caller.call({ operation: 'mount', method: 'GET', path }, signal);
    } catch (error) {
      if (isRemote(error, 'Forbidden') && error.message.includes('preflight')) {
        const text = `Vault: nothing is mounted at ${this.mount}/, or no policy of this token reaches into it`;
        throw new RemoteError('vault', 'Forbidden', text, { status: error.status });
      }
      throw error;
    }
    const { data } = readAs(mountSchema, reply.body, `mount ${this.mount}/`);
    const version = data.options?.version ?? '1';
    if (data.type !== 'kv' || version !== '2') {
      const found = data.type === 'kv' ? `KV version ${version}` : JSON.stringify(data.type);
      throw new RemoteError('vault', 'Invalid', `Vault: the mount ${this.mount}/ is ${found}; KV version 2 is needed`);
    }
    this.#known = true;
  }
}
