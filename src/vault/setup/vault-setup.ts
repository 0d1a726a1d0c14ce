/** Compares Vault with what is wanted of it, and makes it so. */
import * as z from 'zod';
import { isRemote, RefusedError } from '../../errors.ts';
import type { JsonObject, VaultReply } from '../client.ts';
import type { VaultCaller } from '../key-value.ts';
import { segmentsOf } from '../path.ts';
import { readAs } from '../reply.ts';
import { AS_WANTED, describeItem, type ItemState, MISSING, type SetupItem } from './items.ts';
import { lookAtIssuer, putEngine, putIssuer, standingOfEngine } from './pki-engine.ts';
import { formatPolicy, parsePolicy, policyDifferences } from './policies.ts';

const mountsSchema = z.object({
  data: z.record(
    z.string(),
    z.object({
      type: z.string(),
      options: z.record(z.string(), z.string()).nullish(),
      config: z.object({ max_lease_ttl: z.number() }).nullish(),
    }),
  ),
});
const authsSchema = z.object({ data: z.record(z.string(), z.object({ type: z.string(), accessor: z.string() })) });
const policySchema = z.object({ data: z.object({ policy: z.string() }) });
const settingsSchema = z.object({ data: z.record(z.string(), z.unknown()) });

export class VaultSetup {
  readonly #caller: VaultCaller;

  constructor(caller: VaultCaller) {
    this.#caller = caller;
  }

  /** What is there in its place. Throws RemoteError. */
  async look(item: SetupItem, signal: AbortSignal): Promise<ItemState> {
    switch (item.kind) {
      case 'kv': {
        const found = await this.#engine(item.mount, signal);
        if (found === undefined) return MISSING;
        if (found.type !== 'kv') return { kind: 'blocked', details: [`is an engine of type ${found.type}`] };
        return found.options?.['version'] === '2'
          ? AS_WANTED
          : { kind: 'blocked', details: ['is a KV engine of version 1: choose another mount, or upgrade it'] };
      }
      case 'pki': {
        const found = await this.#engine(item.mount, signal);
        if (found === undefined) return MISSING;
        return found.type === 'pki'
          ? standingOfEngine(item, found.config?.max_lease_ttl ?? 0)
          : { kind: 'blocked', details: [`is an engine of type ${found.type}`] };
      }
      case 'issuer':
        return lookAtIssuer(this.#caller, item, signal);
      case 'auth': {
        const found = (await this.#auths(signal))[`${item.mount}/`];
        if (found === undefined) return MISSING;
        return found.type === item.type
          ? AS_WANTED
          : { kind: 'blocked', details: [`is a method of type ${found.type}, not ${item.type}`] };
      }
      case 'policy':
        return this.#lookAtPolicy(item, signal);
      case 'settings':
        return this.#lookAtSettings(item, signal);
    }
  }

  /** Makes it as wanted. Safe to repeat. Throws RemoteError, and RefusedError for what `look` calls blocked. */
  async put(item: SetupItem, signal: AbortSignal): Promise<void> {
    switch (item.kind) {
      case 'kv':
        return this.#post(
          ['sys', 'mounts', ...segmentsOf(item.mount)],
          { type: 'kv', options: { version: '2' } },
          signal,
        );
      case 'pki': {
        const isThere = (await this.#engine(item.mount, signal)) !== undefined;
        return putEngine(this.#caller, item, isThere, signal);
      }
      case 'issuer':
        return putIssuer(this.#caller, item, signal);
      case 'auth':
        return this.#post(['sys', 'auth', ...segmentsOf(item.mount)], { type: item.type }, signal);
      case 'policy': {
        const accessor = item.aliasOf === undefined ? '' : await this.#accessorOf(item.aliasOf, signal);
        if (accessor === undefined)
          throw new RefusedError('NotFound', `${describeItem(item)}: auth/${item.aliasOf}/ is not there`);
        return this.#post(
          ['sys', 'policies', 'acl', item.name],
          { policy: formatPolicy(item.rules(accessor)) },
          signal,
        );
      }
      case 'settings':
        return this.#post(item.path, item.settings, signal);
    }
  }

  async #lookAtPolicy(item: Extract<SetupItem, { kind: 'policy' }>, signal: AbortSignal): Promise<ItemState> {
    const accessor = item.aliasOf === undefined ? '' : await this.#accessorOf(item.aliasOf, signal);
    const reply = await this.#get(['sys', 'policies', 'acl', item.name], signal);
    if (!reply.found || accessor === undefined) return MISSING;
    const { policy } = readAs(policySchema, reply.body, describeItem(item)).data;
    const actual = parsePolicy(policy);
    if (actual === undefined) return { kind: 'differs', details: ['holds more than paths with capabilities'] };
    const details = policyDifferences(item.rules(accessor), actual);
    return details.length === 0 ? AS_WANTED : { kind: 'differs', details };
  }

  async #lookAtSettings(item: Extract<SetupItem, { kind: 'settings' }>, signal: AbortSignal): Promise<ItemState> {
    let reply: VaultReply;
    try {
      reply = await this.#get(item.path, signal);
    } catch (error) {
      // So it is below an auth method that is not there.
      if (isRemote(error, 'NotFound')) return MISSING;
      throw error;
    }
    if (!reply.found) return MISSING;
    const { data } = readAs(settingsSchema, reply.body, describeItem(item));
    const details = Object.entries(item.settings).flatMap(([key, wanted]) =>
      textOf(wanted) === textOf(data[key]) ? [] : [`${key} is ${textOf(data[key])}, wanted ${textOf(wanted)}`],
    );
    return details.length === 0 ? AS_WANTED : { kind: 'differs', details };
  }

  async #engine(mount: string, signal: AbortSignal): Promise<z.infer<typeof mountsSchema>['data'][string] | undefined> {
    return readAs(mountsSchema, (await this.#get(['sys', 'mounts'], signal)).body, 'mounts').data[`${mount}/`];
  }

  async #accessorOf(mount: string, signal: AbortSignal): Promise<string | undefined> {
    return (await this.#auths(signal))[`${mount}/`]?.accessor;
  }

  async #auths(signal: AbortSignal): Promise<z.infer<typeof authsSchema>['data']> {
    return readAs(authsSchema, (await this.#get(['sys', 'auth'], signal)).body, 'auth methods').data;
  }

  #get(path: readonly string[], signal: AbortSignal): Promise<VaultReply> {
    return this.#caller.call({ operation: 'setup', method: 'GET', path, absentIsAnswer: true }, signal);
  }

  async #post(path: readonly string[], body: JsonObject, signal: AbortSignal): Promise<void> {
    await this.#caller.call({ operation: 'setup', method: 'POST', path, body }, signal);
  }
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(String).toSorted().join(',') || 'empty';
  if (value === undefined || value === null) return 'nothing';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
