import { NODE, NODE_GROUP, NOW, pool, POOL_GROUP, type Change } from './good-request.ts';
import { asked, CLIENT_ROWS, noAccess, type Row, unknownAccess, unknownToken } from './review-rows.ts';

const CN = `system:node:${NODE}`;
const BOOTSTRAPPERS = 'system:bootstrappers';
const EXTRA_GROUP = 'system:bootstrappers:nodes';
const groups = (...more: readonly string[]): Change => ({ requester: { groups: [BOOTSTRAPPERS, ...more] } });
const poolOf = (pattern: string): Change => ({
  ...groups(POOL_GROUP),
  policy: { pools: new Map([['workers', pool('workers', pattern)]]) },
});

/** First certificates, asked for with a bootstrap token. */
export const BOOTSTRAP_ROWS: readonly Row[] = [
  ['approves a token bound to the node', {}, []],
  ['approves a token of a pool that admits the name', groups(POOL_GROUP), []],
  [
    'approves a group that binds nothing besides',
    { ...groups(NODE_GROUP, EXTRA_GROUP), ...tokenOf(NODE_GROUP, EXTRA_GROUP) },
    [],
  ],
  ['waits for a group that the Secret does not have', groups(NODE_GROUP, EXTRA_GROUP), ['TokenBindingChanged']],
  ...CLIENT_ROWS,

  ['refuses an empty name', { parts: { commonName: 'system:node:' } }, ['CommonNameNotNode']],
  ['refuses a name without the prefix', { parts: { commonName: NODE } }, ['CommonNameNotNode']],
  ['refuses a name in upper case', { parts: { commonName: 'system:node:Worker-1' } }, ['CommonNameNotNode']],
  ['refuses a name with a colon', { parts: { commonName: 'system:node:a:b' } }, ['CommonNameNotNode']],
  ['refuses a name with a final dot', { parts: { commonName: `${CN}.` } }, ['CommonNameNotNode']],
  [
    'refuses a name of 252 characters',
    { parts: { commonName: `system:node:${'a'.repeat(252)}` } },
    ['CommonNameNotNode'],
  ],
  [
    'refuses node worker-1 to a token for worker-10',
    {
      ...groups('system:bootstrappers:node:worker-10'),
      parts: { commonName: 'system:node:worker-1' },
      ...tokenOf('system:bootstrappers:node:worker-10'),
    },
    ['TokenBoundToOtherNode'],
  ],
  [
    'refuses node worker-10 to a token for worker-1',
    {
      ...groups('system:bootstrappers:node:worker-1'),
      parts: { commonName: 'system:node:worker-10' },
      ...tokenOf('system:bootstrappers:node:worker-1'),
    },
    ['TokenBoundToOtherNode'],
  ],
  [
    'tells a node whose name has a hyphen from one with a dot',
    { parts: { commonName: 'system:node:worker-1-example.org' } },
    ['TokenBoundToOtherNode'],
  ],
  ['approves a pool pattern that matches the whole name', poolOf('worker-1\\.example\\.org'), []],
  ['refuses a pool pattern that matches the beginning only', poolOf('worker-1'), ['NodeNameNotInPool']],
  ['refuses a pool pattern that matches the end only', poolOf('example\\.org'), ['NodeNameNotInPool']],
  ['refuses a pool pattern that matches the middle only', poolOf('1\\.example'), ['NodeNameNotInPool']],
  [
    'refuses a pool that is not in the config',
    { ...groups(POOL_GROUP), policy: { pools: new Map() } },
    ['TokenPoolUnknown'],
  ],
  ['refuses no binding', groups(), ['TokenNotBound']],
  ['approves no binding until the date', { ...groups(), policy: { unboundTokensUntil: NOW + 1 } }, []],
  ['refuses no binding from that instant on', { ...groups(), policy: { unboundTokensUntil: NOW } }, ['TokenNotBound']],
  ['refuses two bindings even if one is right', groups(NODE_GROUP, POOL_GROUP), ['TokenBindingAmbiguous']],
  [
    'refuses two bindings even if the config admits none',
    { ...groups(NODE_GROUP, POOL_GROUP), policy: { unboundTokensUntil: NOW + 1 } },
    ['TokenBindingAmbiguous'],
  ],
  [
    'refuses a binding to the empty name',
    { ...groups('system:bootstrappers:node:'), ...tokenOf('system:bootstrappers:node:') },
    ['TokenBindingMalformed'],
  ],
  [
    'refuses a binding with dots, which no token can have',
    { ...groups(`system:bootstrappers:node:${NODE}`), ...tokenOf(`system:bootstrappers:node:${NODE}`) },
    ['TokenBindingMalformed'],
  ],
  [
    'refuses a binding to a pool with a colon in its name',
    { ...groups(`${POOL_GROUP}:x`), ...tokenOf(`${POOL_GROUP}:x`) },
    ['TokenBindingMalformed'],
  ],

  ['refuses a requester with a uid', { requester: { uid: '1' } }, ['RequesterNotToken']],
  [
    'refuses a client certificate with the user name and groups of a token',
    { requester: { extra: { 'authentication.kubernetes.io/credential-id': ['X509SHA256=00'] } } },
    ['RequesterNotToken'],
  ],
  [
    'refuses a token ID of five characters',
    { requester: { username: 'system:bootstrap:abcde' } },
    ['RequesterNotToken'],
  ],
  ['refuses a token ID in upper case', { requester: { username: 'system:bootstrap:ABCDEF' } }, ['RequesterNotToken']],
  [
    'refuses one group too few: system:bootstrappers',
    { requester: { groups: [NODE_GROUP] } },
    ['RequesterGroupMissing'],
  ],

  ['waits for a token without a Secret', { facts: { token: { known: true, value: undefined } } }, ['TokenNotFound']],
  [
    'looks for the very token that made the request',
    { requester: { username: 'system:bootstrap:zzzzzz' }, facts: { token: { known: true, value: undefined } } },
    ['TokenNotFound'],
  ],
  ['approves a token that never expires', { token: { expiresAt: undefined } }, []],
  ['waits for a token at the instant of its end', { token: { expiresAt: NOW } }, ['TokenExpired']],
  ['waits for a token with an unreadable end', { token: { expiresAt: 0 } }, ['TokenExpired']],
  ['waits for a token that is being deleted', { token: { beingDeleted: true } }, ['TokenBeingDeleted']],
  ['waits for a token that may not log in any more', { token: { authenticates: false } }, ['TokenDisabled']],
  ['waits for a token whose group was taken away', { token: { groups: [] } }, ['TokenBindingChanged']],
  ['waits without the right nodeclient', { facts: { access: noAccess } }, ['AccessNotGranted']],
  ['waits for a token that could not be read', { facts: { token: unknownToken } }, ['FactUnavailable']],
  ['waits for an access review that could not be made', { facts: { access: unknownAccess } }, ['FactUnavailable']],
  [
    'waits for unknown facts whatever else is wrong',
    {
      ...asked('any'),
      parts: { organization: 'system:masters' },
      facts: { token: unknownToken, access: unknownAccess },
    },
    ['OrganizationNotSystemNodes', 'FactUnavailable', 'UsagesNotExact', 'FactUnavailable'],
  ],
  [
    'collects everything that is wrong, in the order of the checks',
    {
      ...asked('any'),
      parts: { organization: 'x', commonName: 'y', dns: ['z'] },
      requester: { uid: '1', groups: [] },
      token: { expiresAt: NOW },
      csr: { usages: ['any'], expirationSeconds: 86_401 },
      facts: { access: noAccess, supersededBy: 'csr-newer' },
    },
    [
      'RequesterNotToken',
      'RequesterGroupMissing',
      'OrganizationNotSystemNodes',
      'CommonNameNotNode',
      'TokenExpired',
      'TokenNotBound',
      'SanNotAllowed',
      'UsagesNotExact',
      'DurationTooLong',
      'AccessNotGranted',
      'Superseded',
    ],
  ],
];

/** The Secret has the groups that the request came with. */
function tokenOf(...groups: readonly string[]): Change {
  return { token: { groups } };
}
