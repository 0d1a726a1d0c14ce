/** One table for each way a request comes: a sentence, what it changes in a good request, the exact reason codes. */
import type { ReasonCode } from '../../src/policy/reasons.ts';
import { CLIENT_SIGNER, SERVING_SIGNER } from '../../src/ports.ts';
import { der, sequence } from '../../src/pki/der-writer.ts';
import { OID } from '../../src/pki/oids.ts';
import { csrAttribute, csrExtension, extensionRequest, generalName, rdn, testKey } from '../support/csr-builder.ts';
import { type Change, NODE, servingPolicy } from './good-request.ts';

export type Row = readonly [sentence: string, change: Change, codes: readonly ReasonCode[]];

const CN = `system:node:${NODE}`;
const O_RDN = rdn(OID.organization, 'system:nodes');
const CN_RDN = rdn(OID.commonName, CN);
export const asked = (...usages: readonly string[]): Change => ({ csr: { usages } });
export const unknownToken = { known: false, why: 'the watch is behind' } as const;
export const unknownAccess = { known: false, why: 'time-out' } as const;
export const noAccess = { known: true, value: { allowed: false, reason: '' } } as const;
const bytes = (text: string): Change => ({ request: Buffer.from(text) });

/** What holds for both client certificates and, but for the SANs, for serving ones. */
function subjectRows(purpose: 'client auth' | 'server auth'): Row[] {
  const other = purpose === 'client auth' ? 'server auth' : 'client auth';
  return [
    ['approves the usages in another order', asked(purpose, 'digital signature'), []],
    ['approves key encipherment besides', asked('digital signature', 'key encipherment', purpose), []],
    ['refuses one usage too few: no digital signature', asked(purpose), ['UsagesNotExact']],
    ['refuses one usage too few: no purpose', asked('digital signature', 'key encipherment'), ['UsagesNotExact']],
    ['refuses one usage too many', asked('digital signature', purpose, 'cert sign'), ['UsagesNotExact']],
    ['refuses the other purpose besides', asked('digital signature', purpose, other), ['UsagesNotExact']],
    ['refuses the other purpose instead', asked('digital signature', other), ['UsagesNotExact']],
    ['refuses a usage twice', asked('digital signature', purpose, purpose), ['UsagesNotExact']],
    ['refuses usages in upper case', asked('Digital Signature', purpose), ['UsagesNotExact']],
    ['refuses no usages at all', asked(), ['UsagesNotExact']],
    ['approves the longest lifetime that may be asked for', { csr: { expirationSeconds: 86_400 } }, []],
    ['refuses a second more', { csr: { expirationSeconds: 86_401 } }, ['DurationTooLong']],
    [
      'refuses organization system:masters',
      { parts: { organization: 'system:masters' } },
      ['OrganizationNotSystemNodes'],
    ],
    ['refuses organization System:Nodes', { parts: { organization: 'System:Nodes' } }, ['OrganizationNotSystemNodes']],
    ['refuses a subject without organization', { parts: { subjectDer: sequence(CN_RDN) } }, ['SubjectMalformed']],
    ['refuses a subject without common name', { parts: { subjectDer: sequence(O_RDN) } }, ['SubjectMalformed']],
    [
      'refuses a second organization',
      { parts: { subjectDer: sequence(O_RDN, rdn(OID.organization, 'system:masters'), CN_RDN) } },
      ['SubjectMalformed'],
    ],
    [
      'refuses a second common name',
      { parts: { subjectDer: sequence(O_RDN, CN_RDN, rdn(OID.commonName, 'system:node:other')) } },
      ['SubjectMalformed'],
    ],
    ['refuses an empty request', bytes(''), ['PemMalformed']],
    ['refuses garbage', bytes('\u0000\u0001 garbage \uFFFF'), ['PemMalformed']],
    ['refuses a PEM block of zeros', bytes(pemOf(Buffer.alloc(40))), ['DerMalformed']],
    ['refuses a megabyte', { request: Buffer.alloc(2 ** 20, 'A') }, ['RequestTooLarge']],
    ['waits with more metadata than a write could echo', { csr: { hasLargeMetadata: true } }, ['MetadataTooLarge']],
    [
      'waits with it although more is wrong',
      { ...bytes('garbage'), csr: { hasLargeMetadata: true } },
      ['MetadataTooLarge', 'PemMalformed'],
    ],
    ['refuses a signature by another key', { parts: { signer: testKey('P-256', 1) } }, ['SignatureInvalid']],
    ['refuses a key of a curve that is not listed', { parts: { key: 'secp256k1' } }, ['KeyNotAllowed']],
    ['refuses a signature with SHA-1', { parts: { hash: 'sha1' } }, ['SignatureAlgorithmNotAllowed']],
    ['waits beside a newer request of the same requester', { facts: { supersededBy: 'csr-newer' } }, ['Superseded']],
  ];
}

function pemOf(content: Buffer): string {
  return `-----BEGIN CERTIFICATE REQUEST-----\n${content.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
}

/** A certificate for API clients. */
export const CLIENT_ROWS: readonly Row[] = [
  ...subjectRows('client auth'),
  ['refuses a DNS name', { parts: { dns: [NODE] } }, ['SanNotAllowed']],
  ['refuses an address', { parts: { ips: ['10.0.0.1'] } }, ['SanNotAllowed']],
  [
    'refuses an attribute besides extensions',
    { parts: { attributesDer: [csrAttribute('1.2.840.113549.1.9.7', der(0x0c, Buffer.from('x')))] } },
    ['AttributeNotAllowed'],
  ],
  [
    'refuses an extension besides SANs',
    { parts: { extensionsDer: [csrExtension(OID.basicConstraints, sequence(der(0x01, Uint8Array.of(0xff))))] } },
    ['ExtensionNotAllowed'],
  ],
  ['refuses an e-mail address', { parts: { moreNamesDer: [generalName(1, 'a@b')] } }, ['SanKindNotAllowed']],
];

const asNode = (name: string): Change => ({ requester: { username: `system:node:${name}` } });

/** Renewals and serving certificates: a node asks for itself. */
const NODE_ROWS: readonly Row[] = [
  ['refuses node A that asks for node B', asNode('worker-2.example.org'), ['CommonNameNotRequester']],
  ['refuses a requester that the name only begins with', asNode('worker-1'), ['CommonNameNotRequester']],
  ['refuses a requester that only begins with the name', asNode(`${NODE}0`), ['CommonNameNotRequester']],
  [
    'refuses a node without a name even if it asks for itself',
    { ...asNode(''), parts: { commonName: 'system:node:' } },
    ['CommonNameNotNode'],
  ],
  [
    'refuses a requester outside system:nodes',
    { requester: { groups: ['system:authenticated', 'system:nodes:x'] } },
    ['RequesterGroupMissing'],
  ],
  ['approves whatever credential the node has', { requester: { uid: '1', extra: {} } }, []],
];

export const RENEWAL_ROWS: readonly Row[] = [
  ['approves a node that asks for itself', {}, []],
  ...CLIENT_ROWS,
  ...NODE_ROWS,
  ['asks nothing of a token', { facts: { token: unknownToken } }, []],
  ['waits without the right selfnodeclient', { facts: { access: noAccess } }, ['AccessNotGranted']],
  ['waits for an access review that could not be made', { facts: { access: unknownAccess } }, ['FactUnavailable']],
  [
    'waits for an unknown fact beside what can never be right',
    { ...asked('any'), facts: { access: unknownAccess } },
    ['UsagesNotExact', 'FactUnavailable'],
  ],
];

const sans = (dns: readonly string[], ips: readonly (string | Uint8Array)[] = []): Change => ({ parts: { dns, ips } });
const ips = (...list: readonly (string | Uint8Array)[]): Change => sans([], list);
const within = (range: string, ...list: readonly string[]): Change => ({
  ...ips(...list),
  policy: servingPolicy(range),
});
const MAPPED = Buffer.from('00000000000000000000ffff0a010203', 'hex');

export const SERVING_ROWS: readonly Row[] = [
  ['approves the names and addresses of the node', {}, []],
  ['approves a name alone', sans([NODE]), []],
  ['approves an address alone', ips('10.1.2.3'), []],
  ...subjectRows('server auth'),
  ...NODE_ROWS.map(([sentence, change, codes]): Row => [
    sentence,
    { ...change, parts: { ips: ['10.1.2.3'], dns: [], ...change.parts } },
    codes,
  ]),
  ['asks nothing of tokens and access reviews', { facts: { token: unknownToken, access: unknownAccess } }, []],
  ['refuses no name and no address', sans([]), ['SanMissing']],
  ['refuses a wildcard', sans([`*.${NODE}`]), ['SanMalformed', 'DnsNameNotOfNode']],
  ['refuses the name with a final dot', sans([`${NODE}.`]), ['SanMalformed', 'DnsNameNotOfNode']],
  ['refuses the name in upper case', sans([NODE.toUpperCase()]), ['SanMalformed', 'DnsNameNotOfNode']],
  ['refuses a suffix that is not configured', sans([`${NODE}.example.com`]), ['DnsNameNotOfNode']],
  ['refuses a suffix glued on without a dot', sans([`${NODE}ec2.internal`]), ['DnsNameNotOfNode']],
  ['refuses a label between name and suffix', sans([`${NODE}.x.ec2.internal`]), ['DnsNameNotOfNode']],
  ['refuses more after the suffix', sans([`${NODE}.ec2.internal.example.com`]), ['DnsNameNotOfNode']],
  ['refuses the suffix alone', sans(['ec2.internal']), ['DnsNameNotOfNode']],
  ['refuses a label before the name', sans([`x.${NODE}`]), ['DnsNameNotOfNode']],
  ['refuses the first label of the name alone', sans(['worker-1']), ['DnsNameNotOfNode']],
  ['refuses the name of another node', sans(['worker-10.example.org']), ['DnsNameNotOfNode']],
  ['refuses the name of the API server', sans([NODE, 'kubernetes.default.svc']), ['DnsNameNotOfNode']],
  ['names every foreign name', sans(['a', NODE, 'b']), ['DnsNameNotOfNode', 'DnsNameNotOfNode']],
  ['approves both ends of an IPv4 range', within('10.1.2.0/30', '10.1.2.0', '10.1.2.3'), []],
  ['refuses the address before it', within('10.1.2.0/30', '10.1.1.255'), ['IpAddressOutOfRange']],
  ['refuses the address after it', within('10.1.2.0/30', '10.1.2.4'), ['IpAddressOutOfRange']],
  [
    'approves both ends of an IPv6 range',
    within('fd00:0:0:8::/61', 'fd00:0:0:8::', 'fd00:0:0:f:ffff:ffff:ffff:ffff'),
    [],
  ],
  [
    'refuses the IPv6 address before it',
    within('fd00:0:0:8::/61', 'fd00:0:0:7:ffff:ffff:ffff:ffff'),
    ['IpAddressOutOfRange'],
  ],
  ['refuses the IPv6 address after it', within('fd00:0:0:8::/61', 'fd00:0:0:10::'), ['IpAddressOutOfRange']],
  [
    'names every address out of range',
    ips('10.1.2.3', '192.168.0.1', '11.0.0.0'),
    ['IpAddressOutOfRange', 'IpAddressOutOfRange'],
  ],
  ['refuses loopback', ips('127.0.0.1'), ['AddressReserved']],
  ['refuses an IPv4 address in an IPv6 range of everything', within('::/0', '10.1.2.3'), ['IpAddressOutOfRange']],
  ['refuses an IPv4 address written as IPv6, even one in range', ips(MAPPED), ['SanMalformed', 'AddressReserved']],
  ['refuses an address of five bytes', ips(Uint8Array.of(10, 0, 0, 0, 1)), ['SanMalformed', 'IpAddressOutOfRange']],
  [
    'refuses everything while serving is not configured',
    { policy: { serving: undefined } },
    ['DnsNameNotOfNode', 'IpAddressOutOfRange', 'IpAddressOutOfRange'],
  ],
  ['refuses one name too many', ips(...Array.from({ length: 65 }, (_, index) => `10.0.0.${index}`)), ['TooManySans']],
  ['approves 64 addresses', ips(...Array.from({ length: 64 }, (_, index) => `10.0.0.${index}`)), []],
  [
    'refuses a URI besides',
    { parts: { ips: ['10.1.2.3'], moreNamesDer: [generalName(6, 'a:b')] } },
    ['SanKindNotAllowed'],
  ],
  [
    'refuses an extension besides the SANs',
    {
      parts: {
        attributesDer: [
          extensionRequest(
            csrExtension(OID.subjectAltName, sequence(generalName(7, Uint8Array.of(10, 1, 2, 3)))),
            csrExtension(OID.keyUsage, der(0x03, Uint8Array.of(7, 0x80))),
          ),
        ],
      },
    },
    ['ExtensionNotAllowed'],
  ],
];

export const OTHER_ROWS: readonly Row[] = [
  ['leaves a person alone', {}, ['RequesterNotRecognised']],
  [
    'leaves a service account alone',
    { requester: { username: 'system:serviceaccount:a:b' } },
    ['RequesterNotRecognised'],
  ],
  [
    'leaves a token that asks for a serving certificate alone',
    { requester: { username: 'system:bootstrap:abcdef' }, csr: { signerName: SERVING_SIGNER } },
    ['RequesterNotRecognised'],
  ],
  [
    'leaves a node that asks for another signer alone',
    { requester: { username: CN }, csr: { signerName: 'kubernetes.io/kube-apiserver-client' } },
    ['RequesterNotRecognised'],
  ],
  [
    'leaves a signer whose name only begins like ours alone',
    { requester: { username: CN }, csr: { signerName: `${CLIENT_SIGNER}x` } },
    ['RequesterNotRecognised'],
  ],
  ['leaves a user in front of the prefix alone', { requester: { username: `x${CN}` } }, ['RequesterNotRecognised']],
  ['leaves garbage of a person alone', { ...bytes('x') }, ['RequesterNotRecognised']],
];
