import type { Attributes } from '@peculiar/asn1-csr';
import { type Extension, Extensions } from '@peculiar/asn1-x509';
import { OID } from './oids.ts';
import { parseExactly } from './parse-exactly.ts';
import type { KubeletCsr, Report } from './kubelet-csr.ts';
import { listed, quote } from './quote.ts';
import { checkStrictDer, type DerElement, derElements } from './strict-der.ts';

/** More addresses than any node has. */
export const MOST_SANS = 64;

/** A request of 16 KiB cannot hold more values than this; they are only counted. */
const NAME_LIMITS = { maxDepth: 8, maxNodes: 8192 };

type Names = Pick<KubeletCsr, 'dnsNames' | 'ipAddresses'>;
const NONE: Names = { dnsNames: [], ipAddresses: [] };

const DNS_TAG = 0x82;
const IP_TAG = 0x87;
/** GeneralName (RFC 5280 §4.2.1.6) by context tag. */
const KINDS = [
  'otherName',
  'e-mail',
  'DNS',
  'x400Address',
  'directoryName',
  'ediPartyName',
  'URI',
  'IP',
  'registeredID',
];

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Reads the attributes of a request: none, or one extensionRequest for one SAN. */
export function readNames(attributes: Attributes, report: Report): Names {
  const [attribute] = attributes;
  if (attribute === undefined) return NONE;
  const [value] = attribute.values;
  if (attributes.length > 1 || attribute.type !== OID.extensionRequest || attribute.values.length !== 1) {
    const found = attributes.map((each) => `${each.type} with ${each.values.length} value(s)`);
    report('AttributeNotAllowed', `the attributes are ${listed(found)}; only one extensionRequest is allowed`);
  }
  if (attribute.type !== OID.extensionRequest || value === undefined) return NONE;
  const parsed = parseExactly(new Uint8Array(value), Extensions);
  if ('problem' in parsed) {
    report('AttributeNotAllowed', `the extensionRequest does not hold a list of extensions: ${parsed.problem}`);
    return NONE;
  }
  return readExtensions(parsed.value, report);
}

function readExtensions(extensions: readonly Extension[], report: Report): Names {
  const sans = extensions.filter((extension) => extension.extnID === OID.subjectAltName);
  const [san] = sans;
  if (san === undefined || extensions.length !== 1) {
    const found = extensions.length === 0 ? 'none' : listed(extensions.map((extension) => extension.extnID));
    report('ExtensionNotAllowed', `the extensions asked for are ${found}; only one subjectAltName is allowed`);
  }
  return san === undefined || sans.length > 1 ? NONE : readSan(new Uint8Array(san.extnValue.buffer), report);
}

function readSan(der: Uint8Array, report: Report): Names {
  const problem = checkStrictDer(der, NAME_LIMITS) ?? (der[0] === 0x30 ? undefined : 'it is not a SEQUENCE');
  const [list] = problem === undefined ? (derElements(der) ?? []) : [];
  const names = list === undefined ? undefined : derElements(list.content);
  if (names === undefined || names.length === 0) {
    report('SanMalformed', `the subjectAltName cannot be read: ${problem ?? 'it is empty'}`);
    return NONE;
  }
  if (names.length > MOST_SANS) {
    report('TooManySans', `there are ${names.length} names and addresses, ${MOST_SANS} are the limit`);
    return NONE;
  }
  const others = names.filter((name) => name.tag !== DNS_TAG && name.tag !== IP_TAG);
  if (others.length > 0) {
    report(
      'SanKindNotAllowed',
      `the subjectAltName holds ${listed(others.map(describe))}; only DNS and IP are allowed`,
    );
  }
  return readNamesAndAddresses(names, report);
}

function readNamesAndAddresses(names: readonly DerElement[], report: Report): Names {
  const dnsNames = names.filter((name) => name.tag === DNS_TAG).map((name) => textOf(name.content));
  const ipAddresses = names.filter((name) => name.tag === IP_TAG).map((name) => name.content);
  const badDns = dnsNames.filter((name) => !isCanonicalDnsName(name));
  if (badDns.length > 0) {
    report('SanMalformed', `not a lower-case DNS name: ${listed(badDns.map(quote))}`);
  }
  const badIp = ipAddresses.filter((bytes) => !isCanonicalAddress(bytes));
  if (badIp.length > 0) {
    const found = badIp.map((bytes) => (bytes.length === 0 ? '(empty)' : hex(bytes)));
    report('SanMalformed', `not an IPv4 or IPv6 address in its own form: ${listed(found)}`);
  }
  return { dnsNames, ipAddresses };
}

function isCanonicalDnsName(name: string): boolean {
  return name.length <= 253 && name.split('.').every((label) => LABEL.test(label));
}

/** 4 or 16 bytes; an IPv4 address written as IPv6 (`::ffff:0:0/96`) would be compared as another address. */
function isCanonicalAddress(bytes: Uint8Array): boolean {
  if (bytes.length === 4) return true;
  return (
    bytes.length === 16 &&
    !(bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff)
  );
}

function describe(name: DerElement): string {
  const kind = (name.tag & 0xc0) === 0x80 ? KINDS[name.tag & 0x1f] : undefined;
  return `${kind ?? `tag ${name.tag}`} ${quote(textOf(name.content))}`;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 20)).toString('hex');
}
