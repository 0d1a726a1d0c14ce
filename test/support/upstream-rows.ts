/**
 * What kube-controller-manager approves, signs and fails (`pkg/controller/certificates/{approver,signer}`,
 * `pkg/apis/certificates/helpers.go`, v1.37), case by case, and what this service does with the same request.
 */
import { der, objectIdentifier, sequence } from '../../src/pki/der-writer.ts';
import { OID } from '../../src/pki/oids.ts';
import type { ReasonCode } from '../../src/policy/reasons.ts';
import { CLIENT_SIGNER, SERVING_SIGNER } from '../../src/ports.ts';
import { buildCsrPem, type CsrParts, csrExtension, generalName, rdn } from './csr-builder.ts';

export type Requester = 'token' | 'node' | 'admin' | 'stranger';

/** One request and what becomes of it. */
export interface UpstreamRow {
  readonly title: string;
  /** Token for `worker-1`, that node, a member of system:masters, or a user who may create CSRs and nothing else. */
  readonly by: Requester;
  readonly signer: typeof CLIENT_SIGNER | typeof SERVING_SIGNER;
  readonly usages: readonly string[];
  readonly expirationSeconds?: number;
  readonly request: string;
  /** What kube-controller-manager does by itself. */
  readonly approver: 'approves' | 'leaves';
  /** What it does once the request is approved, by whomever. */
  readonly signerDoes: 'signs' | 'fails';
  /** Our decision. */
  readonly ours: 'approve' | ReasonCode;
}

/** Whether one of the two approves it and the other one does not. */
export function differs({ approver, ours }: UpstreamRow): boolean {
  return (approver === 'approves') !== (ours === 'approve');
}

/** The README's table: where the outcome is another one, also once somebody has approved. */
export function differenceRows(): string[][] {
  return UPSTREAM_ROWS.filter((row) => differs(row) || (row.signerDoes === 'signs') !== (row.ours === 'approve')).map(
    ({ title, approver, ours }) => [
      title,
      approver === 'approves' ? 'approves and signs' : 'leaves it, and signs what anybody approved',
      ours === 'approve' ? 'approves and signs' : `\`${ours}\``,
    ],
  );
}

const CLIENT = ['digital signature', 'client auth'];
const SERVING = ['digital signature', 'server auth'];

type Extra = Partial<Pick<UpstreamRow, 'by' | 'usages' | 'expirationSeconds' | 'request'>>;
type Outcome = Pick<UpstreamRow, 'approver' | 'signerDoes' | 'ours'>;

const client = (title: string, parts: CsrParts, outcome: Outcome, extra: Extra = {}): UpstreamRow => ({
  title,
  by: 'token',
  signer: CLIENT_SIGNER,
  usages: CLIENT,
  request: buildCsrPem(parts),
  ...outcome,
  ...extra,
});
const serving = (title: string, parts: CsrParts, outcome: Outcome, extra: Extra = {}): UpstreamRow => ({
  title,
  by: 'node',
  signer: SERVING_SIGNER,
  usages: SERVING,
  request: buildCsrPem(parts),
  ...outcome,
  ...extra,
});

const BOTH: Outcome = { approver: 'approves', signerDoes: 'signs', ours: 'approve' };
const neither = (ours: ReasonCode): Outcome => ({ approver: 'leaves', signerDoes: 'fails', ours });
const onlyUpstream = (ours: ReasonCode): Outcome => ({ approver: 'approves', signerDoes: 'signs', ours });
const onlyApproved = (ours: Outcome['ours']): Outcome => ({ approver: 'leaves', signerDoes: 'signs', ours });

const NODE = 'system:node:worker-1';
const named = (...rdns: Uint8Array[]): CsrParts => ({ subjectDer: sequence(...rdns) });
const otherName = der(0xa0, objectIdentifier('1.3.6.1.4.1.311.20.2.3'), der(0xa0, der(0x0c, Buffer.from('x'))));

export const UPSTREAM_ROWS: readonly UpstreamRow[] = [
  client('the first certificate of a node, with a token', {}, BOTH),
  client('the same with key encipherment', {}, BOTH, { usages: ['key encipherment', ...CLIENT] }),
  client('the same with an RSA key', { key: 'RSA-2048' }, BOTH, { usages: ['key encipherment', ...CLIENT] }),
  client('the same for an hour', {}, BOTH, { expirationSeconds: 3_600 }),
  client('the renewal of a node by itself', {}, BOTH, { by: 'node' }),
  client(
    'two organizations',
    named(rdn(OID.organization, 'system:nodes'), rdn(OID.organization, 'x'), rdn(OID.commonName, NODE)),
    neither('SubjectMalformed'),
  ),
  client('another organization', { organization: 'system:masters' }, neither('OrganizationNotSystemNodes')),
  client('a common name that is no node', { commonName: 'worker-1' }, neither('CommonNameNotNode')),
  client('a DNS name in a client certificate', { dns: ['worker-1'] }, neither('SanNotAllowed')),
  client('an address in a client certificate', { ips: ['10.0.0.1'] }, neither('SanNotAllowed')),
  client('an e-mail address', { moreNamesDer: [generalName(1, 'a@example.com')] }, neither('SanKindNotAllowed')),
  client('a URI', { moreNamesDer: [generalName(6, 'spiffe://a/b')] }, neither('SanKindNotAllowed')),
  client('no digital signature', {}, neither('UsagesNotExact'), { usages: ['client auth'] }),
  client('server auth besides', {}, neither('UsagesNotExact'), { usages: [...CLIENT, 'server auth'] }),
  client('the usages of a serving certificate', {}, neither('UsagesNotExact'), { usages: SERVING }),
  client('a user who has no right to it', {}, onlyApproved('RequesterNotRecognised'), { by: 'stranger' }),
  client('an administrator, who may do anything', {}, onlyUpstream('RequesterNotRecognised'), { by: 'admin' }),
  client(
    'another node than the one of the token',
    { commonName: 'system:node:worker-2' },
    onlyUpstream('TokenBoundToOtherNode'),
  ),
  client('a node without a name', { commonName: 'system:node:' }, onlyUpstream('CommonNameNotNode')),
  client('a name that no Node can have', { commonName: 'system:node:Worker_1' }, onlyUpstream('CommonNameNotNode')),
  client(
    'two common names, of which the last counts',
    named(rdn(OID.organization, 'system:nodes'), rdn(OID.commonName, 'x'), rdn(OID.commonName, NODE)),
    onlyUpstream('SubjectMalformed'),
  ),
  client(
    'more in the subject',
    named(rdn('2.5.4.11', 'unit'), rdn(OID.organization, 'system:nodes'), rdn(OID.commonName, NODE)),
    onlyUpstream('SubjectMalformed'),
  ),
  client('a name of a kind that Go skips', { moreNamesDer: [otherName] }, onlyUpstream('SanKindNotAllowed')),
  client(
    'an extension that would make it a CA',
    { extensionsDer: [csrExtension('2.5.29.19', sequence(der(0x01, Uint8Array.of(0xff))))] },
    onlyUpstream('ExtensionNotAllowed'),
  ),
  client('text after the request', {}, onlyUpstream('PemMalformed'), { request: `${buildCsrPem()}more\n` }),
  client('a key of 1024 bits', { key: 'RSA-1024' }, onlyUpstream('KeyNotAllowed')),
  client('two years', {}, onlyUpstream('DurationTooLong'), { expirationSeconds: 63_072_000 }),
  serving(
    'a serving certificate with name and address',
    { dns: ['worker-1'], ips: ['10.60.0.1'] },
    onlyApproved('approve'),
  ),
  serving('the same with key encipherment', { dns: ['worker-1'], ips: ['10.60.0.1'] }, onlyApproved('approve'), {
    usages: ['key encipherment', ...SERVING],
  }),
  serving('a serving certificate for nothing', {}, neither('SanMissing')),
  serving(
    'an e-mail address for serving',
    { ips: ['10.60.0.1'], moreNamesDer: [generalName(1, 'a@example.com')] },
    neither('SanKindNotAllowed'),
  ),
  serving(
    'a URI for serving',
    { ips: ['10.60.0.1'], moreNamesDer: [generalName(6, 'spiffe://a/b')] },
    neither('SanKindNotAllowed'),
  ),
  serving('client auth for serving', { ips: ['10.60.0.1'] }, neither('UsagesNotExact'), { usages: CLIENT }),
  serving('a wildcard', { dns: ['*.example.com'], ips: ['10.60.0.1'] }, onlyApproved('SanMalformed')),
  serving(
    'the name of another host',
    { dns: ['vault.example.com'], ips: ['10.60.0.1'] },
    onlyApproved('DnsNameNotOfNode'),
  ),
  serving(
    'the address of another network',
    { dns: ['worker-1'], ips: ['192.0.2.1'] },
    onlyApproved('IpAddressOutOfRange'),
  ),
];
