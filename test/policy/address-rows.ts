/** Whose the addresses of a serving certificate are (DESIGN D10). */
import { parseRanges } from '../../src/policy/addresses.ts';
import type { AddressFacts } from '../../src/policy/facts.ts';
import type { PoolPolicy } from '../../src/policy/policy-config.ts';
import { type Change, NO_OWNERS, NODE, nodeNames, pool, recorded, servingPolicy } from './good-request.ts';
import type { Row } from './review-rows.ts';

const ADDRESS = '10.1.2.3';
const V6 = 'fd00:0:0:0:0:0:0:17';

function known(addresses: Partial<AddressFacts>, ips: readonly string[] = [ADDRESS], change: Change = {}): Change {
  const facts = { ...change.facts, addresses: { known: true, value: { ...NO_OWNERS, ...addresses } } as const };
  return { ...change, parts: { dns: [], ips, ...change.parts }, facts };
}
function ofPool(rules: Partial<PoolPolicy>, ip: string, dns: readonly string[] = []): Change {
  const token = { id: 'abcdef', pool: 'workers', key: '', usedAt: 0, seenAt: 0 };
  return {
    parts: { ips: [ip], dns },
    policy: { pools: new Map([['workers', pool('workers', '.*', rules)]]) },
    facts: { record: { known: true, value: recorded({ token }) } },
  };
}
/** A node of that name, which asks for it. */
function named(node: string, change: Change = {}): Change {
  const requester = { username: `system:node:${node}` };
  return { ...known({}, [], { parts: { commonName: `system:node:${node}`, dns: [node] } }), requester, ...change };
}
const controlPlane: Change = { policy: { controlPlane: nodeNames('worker-.*') } };
const ranges = (...texts: readonly string[]): Partial<PoolPolicy> => ({ ranges: parseRanges(texts).ranges });

export const SERVING_ADDRESS_ROWS: readonly Row[] = [
  [
    'waits while it is unknown whose the addresses are',
    { facts: { addresses: { known: false, why: 'no inventory' } } },
    ['FactUnavailable', 'FactUnavailable'],
  ],
  [
    'waits for a name alone while it is',
    { parts: { dns: [NODE], ips: [] }, facts: { addresses: { known: false, why: 'x' } } },
    ['FactUnavailable'],
  ],

  ['approves the address that is vouched for', known({ vouched: [ADDRESS] }), []],
  ['approves one of two that are', known({ vouched: ['10.9.9.9', ADDRESS] }), []],
  [
    'refuses one in range that is not, beside it',
    known({ vouched: [ADDRESS] }, [ADDRESS, '10.1.2.4']),
    ['IpAddressNotVouched'],
  ],
  ['approves an address out of range that is', known({ vouched: ['203.0.113.7'] }, ['203.0.113.7']), []],
  ['approves an IPv6 address that is written shorter', known({ vouched: ['fd00::17'] }, [V6]), []],
  ['goes by ranges where only names are vouched for', known({ vouched: ['w1.example.org'] }), []],
  [
    'approves a name that is vouched for',
    known({ vouched: ['w1.example.org'] }, [], { parts: { dns: ['w1.example.org'] } }),
    [],
  ],
  [
    'refuses a name below it',
    known({ vouched: ['example.org'] }, [], { parts: { dns: ['w1.example.org'] } }),
    ['DnsNameNotOfNode'],
  ],

  ...['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'web.shop.svc.cluster.local'].map((name): Row => [
    `refuses ${name} to a node that is called so: it is a Service`,
    named(name),
    ['DnsNameReserved'],
  ]),
  [
    'refuses a name of a Service that the inventory has',
    known({ vouched: ['db.shop.svc'] }, [], { parts: { dns: ['db.shop.svc'] } }),
    ['DnsNameReserved'],
  ],
  ['approves a node of a company that calls its domain svc', named('web-1.svc.example.org'), []],
  ["refuses the API server's name to a node that is called so", named('api.example.org'), ['DnsNameReserved']],
  [
    'approves it for a node of the control plane',
    named('api.example.org', { policy: { controlPlane: nodeNames('api.*') } }),
    [],
  ],
  [
    'refuses its own name where that is one of another node',
    known({ owners: new Map([[NODE, 'worker-1']]) }, [], { parts: { dns: [NODE] } }),
    ['DnsNameOfOtherNode'],
  ],

  ['refuses an address of another node', known({ owners: new Map([[ADDRESS, 'worker-2']]) }), ['AddressOfOtherNode']],
  [
    'refuses it although it is vouched for, too',
    known({ vouched: [ADDRESS], owners: new Map([[ADDRESS, 'worker-2']]) }),
    ['AddressOfOtherNode'],
  ],
  ['approves where another address is of another node', known({ owners: new Map([['10.1.2.4', 'worker-2']]) }), []],

  [
    'refuses an address of a Service',
    known({ serviceRanges: parseRanges(['10.1.0.0/16']).ranges }),
    ['AddressReserved'],
  ],
  [
    'refuses it although it is vouched for',
    known({ vouched: [ADDRESS], serviceRanges: parseRanges(['10.1.0.0/16']).ranges }),
    ['AddressReserved'],
  ],
  [
    'approves the address before the first of a Service',
    known({ serviceRanges: parseRanges(['10.1.2.4/30']).ranges }),
    [],
  ],
  ["refuses the API server's address", known({ apiServer: [ADDRESS] }), ['AddressReserved']],
  [
    'refuses it to an ordinary node that it is vouched for',
    known({ apiServer: [ADDRESS], vouched: [ADDRESS] }),
    ['AddressReserved'],
  ],
  [
    'refuses it to a node of the control plane that it is not',
    known({ apiServer: [ADDRESS] }, [ADDRESS], controlPlane),
    ['AddressReserved'],
  ],
  [
    'approves it for a node of the control plane that it is',
    known({ apiServer: [ADDRESS], vouched: [ADDRESS] }, [ADDRESS], controlPlane),
    [],
  ],

  ["approves an address in the pool's range that is in no other", ofPool(ranges('192.168.7.0/24'), '192.168.7.1'), []],
  [
    "refuses one in the config's range that is not in the pool's",
    ofPool(ranges('192.168.7.0/24'), ADDRESS),
    ['IpAddressOutOfRange'],
  ],
  ["goes by the config's ranges where the pool has none", ofPool({}, ADDRESS), []],
  [
    "approves a name with the pool's suffix",
    ofPool({ dnsSuffixes: ['pool.internal'] }, ADDRESS, [`${NODE}.pool.internal`]),
    [],
  ],
  [
    "refuses one with the config's, where the pool has its own",
    ofPool({ dnsSuffixes: [] }, ADDRESS, [`${NODE}.ec2.internal`]),
    ['DnsNameNotOfNode'],
  ],
  ...['0.0.0.0', '127.0.0.2', '169.254.169.254', '224.0.0.1', '255.255.255.255', '::', '::1', 'fe80::1', 'ff02::1'].map(
    (ip): Row => [
      `refuses ${ip}, which no host has, whatever range it lies in`,
      {
        parts: { dns: [], ips: [ip] },
        policy: servingPolicy('0.0.0.0/0', '::/0'),
      },
      ['AddressReserved'],
    ],
  ),
];
