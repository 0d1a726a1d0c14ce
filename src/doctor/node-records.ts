import { listed } from '../pki/quote.ts';
import { type Finding, finding } from './finding.ts';
import type { NodeStanding } from './observations.ts';

const WHAT = 'node records';

/** Whether a node that renews is known by its record: what `strict` needs (DESIGN D16). */
export function checkNodeRecords(standing: NodeStanding, credentials: 'adopt' | 'strict'): readonly Finding[] {
  const { nodes, known, adopted, unreadable } = standing;
  if (known === undefined) return [];
  const bad = unreadable.map((node) =>
    finding(
      'RecordUnreadable',
      `record of ${node}`,
      'cannot be read',
      'Mend or remove its key in the ConfigMaps node-records-* of `state.namespace`.',
    ),
  );
  const missing = nodes.filter((node) => !known.has(node) && !unreadable.includes(node));
  const found = `${missing.length} of ${nodes.length} Nodes have no certificate on record: ${listed(missing)}`;
  if (missing.length > 0 && credentials === 'strict') {
    const mend = 'Set `approver.credentials: adopt` until each has renewed, or bootstrap them anew.';
    return [...bad, finding('StrictTooSoon', WHAT, found, mend)];
  }
  if (missing.length > 0) {
    const mend = 'Nothing: each is adopted at its next renewal. Then `approver.credentials` can become `strict`.';
    return [...bad, finding('NodesNotOnRecord', WHAT, found, mend)];
  }
  if (credentials === 'strict' || nodes.length === 0 || bad.length > 0) return bad;
  const some = nodes.filter((node) => adopted.has(node));
  const all = `all ${nodes.length} Nodes have a certificate on record, ${some.length} of them adopted`;
  return [finding('EveryNodeOnRecord', WHAT, all, '`approver.credentials: strict` stops whoever is not on record.')];
}
