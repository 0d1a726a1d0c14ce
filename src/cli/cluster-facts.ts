/** What the service keeps in memory, read once from the cluster for a command. */
import type { Config } from '../config.ts';
import { AccessByClass } from '../controllers/access.ts';
import { ClaimDesk } from '../controllers/claim-desk.ts';
import { GivenAddresses } from '../controllers/given-addresses.ts';
import { FactGatherer } from '../controllers/fact-gatherer.ts';
import { RecordBook } from '../controllers/record-book.ts';
import { accessReviews } from '../kubernetes/access-reviews.ts';
import { nodeLeases } from '../kubernetes/leases.ts';
import { allPages } from '../kubernetes/list-watch.ts';
import { nodeListWatch } from '../kubernetes/nodes.ts';
import { stateMaps } from '../kubernetes/state-maps.ts';
import { tokenSecrets } from '../kubernetes/token-secrets.ts';
import type { Transport } from '../kubernetes/transport.ts';
import type { Store } from '../ports.ts';
import { addressSide } from '../wiring/addresses.ts';
import { systemClock } from '../runtime/clock.ts';
import { Foreground } from '../runtime/foreground.ts';
import { SILENT } from './servers.ts';

/** The facts as they are now; nothing is written. Throws RemoteError for what cannot be read. */
export async function clusterFacts(config: Config, transport: Transport, signal: AbortSignal): Promise<FactGatherer> {
  const maps = stateMaps(transport, config.state.namespace);
  const [tokens, stored, nodes] = await Promise.all([
    tokenSecrets(transport).list(signal),
    maps.list(signal),
    allPages(nodeListWatch(transport), signal),
  ]);
  const tokenStore = storeOf(tokens, ({ id }) => id);
  const shared = { stored: storeOf(stored, ({ name }) => name), maps, clock: systemClock };
  const vouchedBy = (id: string): readonly string[] | undefined => tokenStore.get(id)?.addresses;
  const records = new RecordBook({
    ...shared,
    vouchedBy,
    foreground: new Foreground(systemClock),
    random: () => 0,
    log: SILENT,
  });
  records.loaded();
  const nodeStore = storeOf(nodes, ({ name }) => name);
  const context = { config, clock: systemClock, log: SILENT };
  const given = new GivenAddresses(tokenStore);
  for (const token of tokens) given.put(token);
  const addresses = await addressSide(context, transport, { records, nodes: nodeStore, given });
  await addresses.load(signal);
  return new FactGatherer({
    addresses: addresses.sources,
    tokens: tokenStore,
    records,
    releases: records.releases,
    claims: new ClaimDesk(shared),
    nodes: nodeStore,
    leases: nodeLeases(transport),
    access: new AccessByClass({
      reviewer: accessReviews(transport),
      clock: systemClock,
      mode: config.approver.accessReview,
    }),
    clock: systemClock,
  });
}

/** A store that stays as it is. */
export function storeOf<T>(items: readonly T[], keyOf: (item: T) => string): Store<T> {
  const held = new Map(items.map((item) => [keyOf(item), item]));
  return { get: (key) => held.get(key), values: () => held.values(), size: held.size, fresh: () => true };
}
