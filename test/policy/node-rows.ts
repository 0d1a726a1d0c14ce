/** What is known of the node and of its token: bans, life, uses, the certificates on record (DESIGN D8, D9, D16). */
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import type { ClaimStanding, Facts, NodePresence } from '../../src/policy/facts.ts';
import type { PoolPolicy } from '../../src/policy/policy-config.ts';
import { type Change, CREATED, HELD, NODE, nodeNames, NOW, pool, POOL_GROUP, recorded } from './good-request.ts';
import type { Row } from './review-rows.ts';

const STALE = 900_000;
const HOUR = 3_600_000;
const OTHER = 'a'.repeat(64);
const unknown = { known: false, why: 'the watch is behind' } as const;

/** The fact that this is on record, besides what a node with a certificate has. */
export function onRecord(change: Partial<NodeRecord> = {}): Pick<Facts, 'record'> {
  return { record: { known: true, value: recorded(change) } };
}

const present = (change: Partial<NodePresence> = {}): Pick<Facts, 'presence'> => ({
  presence: { known: true, value: { exists: true, renewedAt: undefined, wasLive: false, ...change } },
});
const claimed = (change: Partial<ClaimStanding>): Pick<Facts, 'claims'> => ({
  claims: { known: true, value: { uses: undefined, usedByOthers: 0, othersInPool: 0, ...change } },
});
const certified = (notAfter: number, issuedAt = 0): Pick<Facts, 'record'> =>
  onRecord({ certificates: [{ fingerprint: HELD, notAfter, issuedAt, issuer: '' }] });
const none = { record: { known: true, value: undefined } } as const;
const usedBy = (id: string, seenAt: number | undefined, released?: true): Pick<Facts, 'record'> =>
  onRecord({ certificates: [], token: { id, pool: undefined, key: OTHER, usedAt: NOW - HOUR, seenAt, released } });
/** It was there, and is stale by now. */
const renewed = (renewedAt: number): Pick<Facts, 'presence'> => present({ renewedAt });
const banned = { facts: onRecord({ ban: { since: NOW - HOUR, reason: 'stolen' } }) };
const released = (until: number): Partial<NodeRecord> => ({ release: { until } });

/** With a token of the pool `workers`, which has these rules. */
function ofPool(facts: Partial<Facts>, rules: Partial<PoolPolicy> = {}): Change {
  return {
    requester: { groups: ['system:bootstrappers', POOL_GROUP] },
    policy: { pools: new Map([['workers', pool('workers', 'worker-[0-9]+\\.example\\.org', rules)]]) },
    facts,
  };
}
const controlPlane = { controlPlane: nodeNames('worker-1\\..*') };

export const FIRST_CERTIFICATE_ROWS: readonly Row[] = [
  ['waits for a node that is banned', banned, ['NodeBanned']],
  [
    'waits while the record of the node is unknown',
    { facts: { record: unknown } },
    ['FactUnavailable', 'FactUnavailable'],
  ],

  ['approves a token that the node has used and was not seen with', { facts: usedBy('abcdef', undefined) }, []],
  ['waits for a token that the node was seen with', { facts: usedBy('abcdef', NOW - 1) }, ['TokenSpent']],
  [
    'waits for a token whose node has renewed its Lease since',
    { facts: { ...usedBy('abcdef', undefined), ...renewed(CREATED - STALE) } },
    ['TokenSpent'],
  ],
  [
    'approves it where the Lease was last renewed when the token was used',
    { facts: { ...usedBy('abcdef', undefined), ...renewed(NOW - HOUR) } },
    [],
  ],
  [
    'approves it where the node was released: the Lease may be that of the machine before',
    { facts: { ...usedBy('abcdef', undefined, true), ...renewed(CREATED - STALE) } },
    [],
  ],
  [
    'approves it where the token was issued to replace a live node',
    { facts: { ...usedBy('abcdef', undefined), ...renewed(CREATED - STALE) }, token: { replacesLive: true } },
    [],
  ],
  ["approves a pool's token that the node was seen with", ofPool(usedBy('abcdef', NOW - 1)), []],
  ['waits for one of a number of uses', { ...ofPool(usedBy('abcdef', NOW - 1)), token: { uses: 50 } }, ['TokenSpent']],
  ['approves a token of a node that was seen with another', { facts: usedBy('zzzzzz', NOW - 1) }, []],

  ['approves the last use of a token', ofPool(claimed({ uses: 50, usedByOthers: 49 })), []],
  ['waits for a token without a use left', ofPool(claimed({ uses: 50, usedByOthers: 50 })), ['TokenUsedUp']],
  ['waits for a token whose number of uses was edited', ofPool(claimed({ uses: 0 })), ['TokenUsedUp']],
  ['waits while claims are unknown', ofPool({ claims: unknown }), ['FactUnavailable']],
  ['approves the last node of a pool', ofPool(claimed({ othersInPool: 9 }), { maxNodes: 10 }), []],
  ['waits for a node beyond the last of a pool', ofPool(claimed({ othersInPool: 10 }), { maxNodes: 10 }), ['PoolFull']],
  [
    'approves the longest lifetime of the pool',
    { ...ofPool({}, { longestRequestSeconds: 60 }), csr: { expirationSeconds: 60 } },
    [],
  ],
  [
    'refuses a second more than the pool has, although the policy has more',
    { ...ofPool({}, { longestRequestSeconds: 60 }), csr: { expirationSeconds: 61 } },
    ['DurationTooLong'],
  ],

  ['approves a control-plane name with a token for the node', { policy: controlPlane }, []],
  [
    'approves a name outside the class with a token of a pool',
    { ...ofPool({}), policy: { ...ofPool({}).policy, controlPlane: nodeNames('cp-.*') } },
    [],
  ],
  [
    'refuses a control-plane name to an ordinary pool that matches it',
    { ...ofPool({}), policy: { ...ofPool({}).policy, ...controlPlane } },
    ['ControlPlaneName'],
  ],
  [
    'approves it for a control-plane pool',
    { ...ofPool({}), policy: { ...ofPool({}, { controlPlane: true }).policy, ...controlPlane } },
    [],
  ],
  [
    'refuses it to a token without a binding',
    { requester: { groups: ['system:bootstrappers'] }, policy: { unboundTokensUntil: NOW + 1, ...controlPlane } },
    ['ControlPlaneName'],
  ],

  ['approves a Node without a Lease', { facts: present() }, []],
  [
    'approves a Node whose Lease was stale when this was asked for',
    { facts: present({ renewedAt: CREATED - STALE }) },
    [],
  ],
  [
    'waits for a Node whose Lease was fresh by a millisecond',
    { facts: present({ renewedAt: CREATED - STALE + 1 }) },
    ['NodeIsLive'],
  ],
  ['waits for a Node whose Lease is of the future', { facts: present({ renewedAt: NOW + HOUR }) }, ['NodeIsLive']],
  ['waits for a request that was made while the node was alive', { facts: present({ wasLive: true }) }, ['NodeIsLive']],
  [
    'waits for such a request also when the Node is gone',
    { facts: present({ wasLive: true, exists: false }) },
    ['NodeIsLive'],
  ],
  [
    'approves a live node that is released',
    { facts: { ...present({ renewedAt: NOW }), ...onRecord(released(NOW + 1)) } },
    [],
  ],
  [
    'waits for a live node whose release is over',
    { facts: { ...present({ renewedAt: NOW }), ...onRecord(released(NOW)) } },
    ['NodeIsLive'],
  ],
  [
    'approves a live node with a token issued to replace it',
    { token: { replacesLive: true }, facts: present({ renewedAt: NOW }) },
    [],
  ],
  [
    'waits for a released node that is banned',
    { facts: onRecord({ ...released(NOW + 1), ban: { since: 0, reason: '' } }) },
    ['NodeBanned'],
  ],
  ['waits while it is unknown whether the node is there', { facts: { presence: unknown } }, ['FactUnavailable']],

  [
    'approves a stale node with a token for it, whatever certificate it has',
    { facts: { ...present(), ...certified(NOW + HOUR) } },
    [],
  ],
  [
    'waits with a token of a pool for a stale node with a valid certificate',
    ofPool({ ...present(), ...certified(NOW + 1) }),
    ['NodeCertificateValid'],
  ],
  ['approves it when the certificate is over', ofPool({ ...present(), ...certified(NOW) }), []],
  ['approves it when nothing is on record', ofPool({ ...present(), ...none }), []],
  ['approves it when the node is released', ofPool({ ...present(), ...onRecord(released(NOW + 1)) }), []],
  ['approves it when there is no Node', ofPool({ ...present({ exists: false }), ...certified(NOW + HOUR) }), []],
  [
    'approves it in a pool that rejoins when stale',
    ofPool({ ...present(), ...certified(NOW + 1) }, { rejoin: 'whenStale' }),
    [],
  ],
  [
    'waits in that pool, too, for a live node',
    ofPool(present({ renewedAt: NOW }), { rejoin: 'whenStale' }),
    ['NodeIsLive'],
  ],
  ['waits in a pool that never rejoins', ofPool(present(), { rejoin: 'never' }), ['RejoinNotAllowed']],
  ['approves a new node of that pool', ofPool({}, { rejoin: 'never' }), []],
  [
    'waits with a token without a binding as with one of a pool',
    {
      requester: { groups: ['system:bootstrappers'] },
      policy: { unboundTokensUntil: NOW + 1 },
      facts: { ...present(), ...certified(NOW + 1) },
    },
    ['NodeCertificateValid'],
  ],
];

const strict = { policy: { credentials: 'strict' } } as const;
const presenting = (...ids: readonly string[]): Change => ({
  requester: { extra: { 'authentication.kubernetes.io/credential-id': ids } },
});

export const RENEWAL_NODE_ROWS: readonly Row[] = [
  ['waits for a node that is banned', banned, ['NodeBanned']],
  ['waits while the record of the node is unknown', { facts: { record: unknown } }, ['FactUnavailable']],
  ['approves the certificate on record, strictly', strict, []],
  [
    'approves the certificate before the newest, strictly',
    { ...strict, facts: onRecord({ certificates: [certificate(OTHER), certificate(HELD)] }) },
    [],
  ],
  ['adopts a certificate where nothing is on record', { facts: none }, []],
  ['waits for it where adoption is over', { ...strict, facts: none }, ['CredentialUnknown']],
  ['adopts a certificate where what is on record is over', { facts: certified(NOW) }, []],
  ['waits for that where adoption is over', { ...strict, facts: certified(NOW, NOW) }, ['CredentialUnknown']],
  ['approves another certificate than that on record, with a remark', presenting(`X509SHA256=${OTHER}`), []],
  [
    'waits for that other one where adoption is over',
    { ...strict, ...presenting(`X509SHA256=${OTHER}`) },
    ['CredentialConflict'],
  ],
  ['waits for no credential where adoption is over', { ...strict, ...presenting() }, ['CredentialUnknown']],
  [
    'waits for two credentials where adoption is over',
    { ...strict, ...presenting(`X509SHA256=${HELD}`, `X509SHA256=${OTHER}`) },
    ['CredentialUnknown'],
  ],
  [
    'waits for a fingerprint in upper case where adoption is over',
    { ...strict, ...presenting(`X509SHA256=${HELD.toUpperCase()}`) },
    ['CredentialUnknown'],
  ],

  [
    'approves without a Node within an hour of the certificate',
    { facts: { ...present({ exists: false }), ...certified(NOW + HOUR, NOW - HOUR + 1) } },
    [],
  ],
  [
    'waits without a Node after that',
    { facts: { ...present({ exists: false }), ...certified(NOW + HOUR, NOW - HOUR) } },
    ['NodeObjectMissing'],
  ],
  [
    'waits without a Node and without a record',
    { facts: { ...present({ exists: false }), ...none } },
    ['NodeObjectMissing'],
  ],
  ['waits while it is unknown whether the node is there', { facts: { presence: unknown } }, ['FactUnavailable']],
  [
    'approves the longest lifetime of the pool that it joined by',
    { ...joined(60), csr: { expirationSeconds: 60 } },
    [],
  ],
  ['refuses a second more than that', { ...joined(60), csr: { expirationSeconds: 61 } }, ['DurationTooLong']],
];

export const SERVING_NODE_ROWS: readonly Row[] = [
  ['waits for a node that is banned', banned, ['NodeBanned']],
  ['waits while the record of the node is unknown', { facts: { record: unknown } }, ['FactUnavailable']],
  ['approves a node of which nothing is on record', { facts: none }, []],
];

function certificate(fingerprint: string): NodeRecord['certificates'][number] {
  return { fingerprint, notAfter: NOW + HOUR, issuedAt: NOW, issuer: '' };
}

function joined(longestRequestSeconds: number): Change {
  const token = { id: 'abcdef', pool: 'workers', key: OTHER, usedAt: 0, seenAt: 1 };
  return { ...ofPool({}, { longestRequestSeconds }), requester: {}, facts: onRecord({ token }) };
}

/** Approvals that are worth a remark. */
export const REMARK_ROWS: readonly (readonly [string, 'bootstrap' | 'renewal', Change, readonly string[]])[] = [
  ['none for a first certificate', 'bootstrap', {}, []],
  ['none for a renewal with what is on record', 'renewal', {}, []],
  [
    'tells of a token that the node used with another key',
    'bootstrap',
    { facts: usedBy('abcdef', undefined) },
    ['TokenReusedOtherKey'],
  ],
  ['none for another token', 'bootstrap', { facts: usedBy('zzzzzz', undefined) }, []],
  ['tells of an adoption', 'renewal', { facts: none }, ['CredentialAdopted']],
  ['tells of an adoption without a credential', 'renewal', presenting(), ['CredentialAdopted']],
  ['tells of a conflict', 'renewal', presenting(`X509SHA256=${OTHER}`), ['CredentialConflict']],
  [
    'none for what is remembered without a certificate',
    'bootstrap',
    { facts: { record: { known: true, value: emptyRecord(NODE) } } },
    [],
  ],
];
