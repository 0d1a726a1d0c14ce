/** What is remembered of nodes and tokens: the watches behind it, the books over them, and when they are written. */
import { ClaimDesk } from '../controllers/claim-desk.ts';
import type { FactSources } from '../controllers/fact-gatherer.ts';
import { RecordBook } from '../controllers/record-book.ts';
import { lateNodes } from '../controllers/reentry.ts';
import { messageOf } from '../errors.ts';
import type { StoredRecord } from '../nodes/record-format.ts';
import { nodeLeases } from '../kubernetes/leases.ts';
import { nodeListWatch } from '../kubernetes/nodes.ts';
import { stateMapListWatch, stateMaps } from '../kubernetes/state-maps.ts';
import type { Transport } from '../kubernetes/transport.ts';
import type { NodeObject, StateMap } from '../ports.ts';
import type { Informer } from '../runtime/informer.ts';
import type { Part } from '../runtime/lifecycle.ts';
import { periodic } from '../runtime/periodic.ts';
import type { TokenRecord } from '../tokens/token-secret.ts';
import { type Context, informerOf } from './context.ts';

export interface NodeState {
  readonly records: RecordBook;
  readonly claims: ClaimDesk;
  /** Of the ConfigMaps. */
  readonly informer: Informer<StateMap>;
  readonly nodes: Informer<NodeObject>;
  readonly facts: Pick<FactSources, 'records' | 'releases' | 'claims' | 'nodes' | 'leases'>;
  readonly parts: readonly Part[];
  /** How many nodes are there whose client certificate ends or ended unrenewed. */
  late(): number;
  /** Has `changed` told of every node that was banned, released, registered or removed. */
  subscribe(changed: (node: string) => void): void;
}

const SWEEP_MS = 10 * 60_000;

/** Wires it; nothing runs before its informers and parts are started. */
export function nodeState(context: Context, transport: Transport, tokens: Informer<TokenRecord>): NodeState {
  const { config, foreground, clock, random, log } = context;
  const { namespace } = config.state;
  const informer = informerOf(context, 'state', stateMapListWatch(transport, namespace));
  const nodes = informerOf(context, 'nodes', nodeListWatch(transport));
  const maps = stateMaps(transport, namespace);
  const vouchedBy = (id: string): readonly string[] | undefined => tokens.get(id)?.addresses;
  const records = new RecordBook({ stored: informer, maps, vouchedBy, foreground, clock, random, log });
  const claims = new ClaimDesk({ stored: informer, maps, clock });
  informer.subscribe({ put: (map) => records.stored(map), gone: () => {} });
  const load: Part = {
    name: 'node records',
    start: () => void Promise.all([informer.synced, tokens.synced]).then(() => records.loaded()),
    stop: (signal) => records.stop(signal),
  };
  const sweep = periodic('node state', SWEEP_MS, clock, async (signal) => {
    if (!tokens.fresh() || !informer.fresh()) return;
    await records.forget((node) => !nodes.fresh() || nodes.get(node) !== undefined, signal);
    await claims
      .sweep((id) => tokens.get(id) !== undefined, signal)
      .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'claims of tokens that are gone are left'));
  });
  return {
    records,
    claims,
    informer,
    nodes,
    facts: { records, releases: records.releases, claims, nodes, leases: nodeLeases(transport) },
    parts: [
      load,
      ...(config.controllers.includes('cleaner') && !config.cleaner.dryRun && config.mode !== 'observe' ? [sweep] : []),
    ],
    late: () => [...lateNodes({ records, nodes }, clock.now(), config.minter.reentry.within)].length,
    subscribe: (changed) => {
      nodes.subscribe({ put: ({ name }, before) => before ?? changed(name), gone: ({ name }) => changed(name) });
      informer.subscribe({
        put: (map, before) => {
          for (const node of changedByAdmins(map, before)) changed(node);
        },
        gone: () => {},
      });
    },
  };
}

/** Nodes whose ban or release is another one than before. */
function changedByAdmins({ records }: StateMap, before: StateMap | undefined): string[] {
  const names = new Set([...records.keys(), ...(before?.records.keys() ?? [])]);
  return [...names].filter((node) => marksOf(records.get(node)) !== marksOf(before?.records.get(node)));
}

function marksOf(record: StoredRecord | undefined): string {
  if (record === undefined) return '[null,null]';
  return record.known ? JSON.stringify([record.value.ban ?? null, record.value.release ?? null]) : record.why;
}
