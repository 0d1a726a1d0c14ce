/** Whose addresses are whose: what is read for it, and how often. */
import { readFile } from 'node:fs/promises';
import { AddressBook, type AddressBookOptions, type ClusterAddresses } from '../controllers/address-book.ts';
import type { AddressSources } from '../controllers/fact-gatherer.ts';
import { ConfigError, messageOf } from '../errors.ts';
import { apiServerAddresses, configMapKey, serviceCidrs } from '../kubernetes/cluster-addresses.ts';
import type { Transport } from '../kubernetes/transport.ts';
import { canonicalAddress, parseRanges } from '../policy/addresses.ts';
import type { Fact } from '../policy/facts.ts';
import { type Inventory, readInventory } from '../policy/inventory.ts';
import type { Part } from '../runtime/lifecycle.ts';
import { periodic } from '../runtime/periodic.ts';
import { hostOf, parseYaml } from '../config.ts';
import type { Context } from './context.ts';

export interface AddressSide {
  readonly sources: AddressSources;
  readonly parts: readonly Part[];
  /** Reads everything now; never rejects. */
  readonly load: (signal: AbortSignal) => Promise<void>;
  /** Resolves when everything was tried to be read once. */
  readonly tried: Promise<void>;
}

const CLUSTER_MS = 60_000;
const INVENTORY_MS = 10_000;

type Wanted = Pick<Context, 'config' | 'clock' | 'log'>;

/** Wires it; nothing is read before its parts are started. Throws ConfigError for a wrong inventory file. */
export async function addressSide(
  context: Wanted,
  transport: Transport,
  state: Pick<AddressBookOptions, 'records' | 'nodes' | 'given'>,
): Promise<AddressSide> {
  const { config, clock } = context;
  const inventory = new Remembered<Inventory | undefined>('the inventory', context, (signal) =>
    loadInventory(context, transport, signal),
  );
  const cluster = new Remembered<ClusterAddresses>("the cluster's own addresses", context, (signal) =>
    loadCluster(context, transport, signal),
  );
  // A file that is wrong from the start is the config's fault.
  if (config.serving.inventory?.file !== undefined) await loadInventory(context, transport);
  const sources = new AddressBook({
    cluster: () => cluster.fact,
    inventory: () => inventory.fact,
    ...state,
    clock,
  });
  const { promise: tried, resolve: triedOnce } = Promise.withResolvers<void>();
  const stopping = new AbortController();
  const load = async (signal: AbortSignal): Promise<void> => {
    await Promise.all([inventory.load(signal), cluster.load(signal)]);
  };
  const first: Part = {
    name: 'addresses',
    start: () => void load(stopping.signal).finally(triedOnce),
    stop: () => stopping.abort(),
  };
  return {
    sources,
    load,
    tried,
    parts: [
      first,
      periodic('inventory', INVENTORY_MS, clock, (signal) => inventory.load(signal)),
      periodic('cluster addresses', CLUSTER_MS, clock, (signal) => cluster.load(signal)),
    ],
  };
}

/** The last good value of something that is read now and then. */
class Remembered<T> {
  fact: Fact<T>;
  readonly #what: string;
  readonly #context: Wanted;
  readonly #read: (signal: AbortSignal) => Promise<T>;
  #said = '';

  constructor(what: string, context: Wanted, read: (signal: AbortSignal) => Promise<T>) {
    this.#what = what;
    this.#context = context;
    this.#read = read;
    this.fact = { known: false, why: `${what}: not read yet` };
  }

  /** Never rejects: what is wrong is said once in the log, and what was good before stays. */
  async load(signal: AbortSignal): Promise<void> {
    try {
      this.fact = { known: true, value: await this.#read(signal) };
      this.#said = '';
    } catch (error) {
      const why = `${this.#what}: ${messageOf(error)}`;
      if (!this.fact.known) this.fact = { known: false, why };
      if (why !== this.#said && !signal.aborted) this.#context.log.warn({ kept: this.fact.known }, why);
      this.#said = why;
    }
  }
}

async function loadCluster({ config }: Wanted, transport: Transport, signal: AbortSignal): Promise<ClusterAddresses> {
  const [cidrs, apiServer] = await Promise.all([
    serviceCidrs(transport, signal),
    apiServerAddresses(transport, signal),
  ]);
  const host = canonicalAddress(hostOf(config.cluster.server));
  return {
    serviceRanges: parseRanges([...config.serving.serviceRanges.texts, ...cidrs]).ranges,
    apiServer: host === undefined ? apiServer : [...apiServer, host],
  };
}

async function loadInventory(
  { config }: Wanted,
  transport: Transport,
  signal: AbortSignal = new AbortController().signal,
): Promise<Inventory | undefined> {
  const { inventory } = config.serving;
  if (inventory === undefined) return undefined;
  const { file, configMap = '' } = inventory;
  const source = file ?? `ConfigMap ${config.state.namespace}/${configMap}`;
  const text =
    file === undefined
      ? await configMapKey(transport, config.state.namespace, configMap, 'inventory', signal)
      : await readText(file);
  if (text === undefined) throw new ConfigError(source, [{ path: 'inventory', message: 'is not there' }]);
  const reading = readInventory(parseYaml(source, text));
  if (reading.inventory !== undefined) return reading.inventory;
  throw new ConfigError(
    source,
    reading.problems.map((message) => ({ path: '', message })),
  );
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError(file, [{ path: '', message: messageOf(error) }], { cause: error });
  }
}
