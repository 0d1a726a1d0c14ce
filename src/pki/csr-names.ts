import { isIPv4 } from 'node:net';
import { derFields, dotted, hex, TAG } from './der-reader.ts';
import { OID } from './oids.ts';
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

interface Attribute {
  /** Dotted identifier, or what stands there instead of an attribute. */
  readonly type: string;
  readonly values: readonly DerElement[];
}
const NO_ATTRIBUTE: Attribute = { type: '(no attribute)', values: [] };

/** Reads the attributes of a request (the content of `[0]`): none, or one extensionRequest for one SAN. */
export function readNames(content: Uint8Array, report: Report): Names {
  const attributes = derElements(content)?.map(readAttribute) ?? [NO_ATTRIBUTE];
  const [attribute] = attributes;
  if (attribute === undefined) return NONE;
  const [list] = attribute.values;
  if (attributes.length > 1 || attribute.type !== OID.extensionRequest || attribute.values.length !== 1) {
    const found = attributes.map(({ type, values }) => `${type} with ${values.length} value(s)`);
    report('AttributeNotAllowed', `the attributes are ${listed(found)}; only one extensionRequest is allowed`);
  }
  if (attribute.type !== OID.extensionRequest || list === undefined) return NONE;
  const extensions = list.tag === TAG.sequence ? derElements(list)?.map(readExtension) : undefined;
  if (extensions?.every((extension) => extension !== undefined) === true) return readExtensions(extensions, report);
  report('AttributeNotAllowed', 'the extensionRequest does not hold a list of extensions');
  return NONE;
}

/** Attribute (RFC 2986 §4.1). */
function readAttribute({ tag, content }: DerElement): Attribute {
  const fields = tag === TAG.sequence ? derFields(content, [TAG.objectIdentifier, TAG.set]) : undefined;
  if (fields === undefined) return NO_ATTRIBUTE;
  const [type, values] = fields;
  return { type: dotted(type.content), values: derElements(values) ?? [] };
}

interface Extension {
  readonly id: string;
  /** It says whether it is critical. */
  readonly criticality: boolean;
  readonly value: Uint8Array;
}

/** Extension (RFC 5280 §4.1); undefined for what is none. */
function readExtension({ tag, content }: DerElement): Extension | undefined {
  const [id, ...rest] = (tag === TAG.sequence ? derElements(content) : undefined) ?? [];
  const value = rest.pop();
  const [criticality, ...more] = rest;
  if (id?.tag !== TAG.objectIdentifier || value?.tag !== TAG.octetString || more.length > 0) return undefined;
  if (criticality !== undefined && criticality.tag !== TAG.boolean) return undefined;
  return { id: dotted(id.content), criticality: criticality !== undefined, value: value.content };
}

function readExtensions(extensions: readonly Extension[], report: Report): Names {
  const sans = extensions.filter(({ id }) => id === OID.subjectAltName);
  const [san] = sans;
  if (san === undefined || extensions.length !== 1) {
    const found = extensions.length === 0 ? 'none' : listed(extensions.map(({ id }) => id));
    report('ExtensionNotAllowed', `the extensions asked for are ${found}; only one subjectAltName is allowed`);
  } else if (san.criticality) {
    report('ExtensionNotAllowed', 'the subjectAltName says whether it is critical, which is not for the requester');
  }
  return san === undefined || sans.length > 1 ? NONE : readSan(san.value, report);
}

function readSan(der: Uint8Array, report: Report): Names {
  const problem = checkStrictDer(der, NAME_LIMITS) ?? (der[0] === TAG.sequence ? undefined : 'it is not a SEQUENCE');
  const [list] = problem === undefined ? (derElements(der) ?? []) : [];
  const names = list === undefined ? undefined : derElements(list);
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
  const ipAddresses = names.filter((name) => name.tag === IP_TAG).map((name) => Uint8Array.from(name.content));
  const badDns = dnsNames.filter((name) => !isCanonicalDnsName(name));
  if (badDns.length > 0) {
    report('SanMalformed', `not a lower-case DNS name: ${listed(badDns.map(quote))}`);
  }
  const badIp = ipAddresses.filter((bytes) => !isCanonicalAddress(bytes));
  if (badIp.length > 0) {
    const found = badIp.map((bytes) => (bytes.length === 0 ? '(empty)' : hex(bytes.subarray(0, 20))));
    report('SanMalformed', `not an IPv4 or IPv6 address in its own form: ${listed(found)}`);
  }
  return { dnsNames, ipAddresses };
}

/** An IPv4 address in text is no DNS name, but some verifiers take one that stands here as an address. */
function isCanonicalDnsName(name: string): boolean {
  return !isIPv4(name) && name.length <= 253 && name.split('.').every((label) => LABEL.test(label));
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
