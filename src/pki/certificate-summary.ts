import { hash } from 'node:crypto';
import { formatAddress } from '../policy/addresses.ts';
import { readTime } from './der-reader.ts';
import { objectIdentifier } from './der-writer.ts';
import { OID } from './oids.ts';
import { type DerElement, derElements, hasContent } from './strict-der.ts';

/** What is read of a certificate in the status of a CSR, whoever signed it. */
export interface IssuedCertificate {
  /** SHA-256 of its DER, 64 lower-case hex digits: what the API server puts into `credential-id`. */
  readonly fingerprint: string;
  /** SHA-256 of its SubjectPublicKeyInfo, hex. */
  readonly key: string;
  readonly commonName: string;
  /** Hex in upper case, as OpenSSL writes it. */
  readonly serial: string;
  /** ms since the epoch, as is `notAfter`. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Key identifier of the CA (authorityKeyIdentifier), hex; '' where it names none. */
  readonly issuer: string;
  /** IP addresses of its subjectAltName, as `formatAddress` writes them. */
  readonly addresses: readonly string[];
}

const SEQUENCE = 0x30;
const SET = 0x31;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const KEY_IDENTIFIER = 0x80;
const IP_ADDRESS = 0x87;
/** UTF8String, PrintableString, IA5String. */
const TEXTS: ReadonlySet<number> = new Set([0x0c, 0x13, 0x16]);

/** What stands around the blocks is nobody's concern (certificates.k8s.io, `status.certificate`). */
const FIRST_PEM = /^-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/m;

const COMMON_NAME = identifier(OID.commonName);
const AUTHORITY_KEY_IDENTIFIER = identifier(OID.authorityKeyIdentifier);
const SUBJECT_ALT_NAME = identifier(OID.subjectAltName);

/**
 * Reads the first certificate of a PEM text; undefined when it is unreadable. Never throws. Nothing is verified, and no
 * more is read than is answered: every CSR that a list or watch brings comes through here, and OpenSSL takes 80 us.
 */
export function summariseCertificate(pem: Uint8Array | string): IssuedCertificate | undefined {
  const text = typeof pem === 'string' ? pem : Buffer.from(pem.buffer, pem.byteOffset, pem.length).toString('latin1');
  const buffer = Buffer.from(FIRST_PEM.exec(text)?.[1] ?? '', 'base64');
  // Parts of a Buffer are Buffers, which take three times as long to make.
  const der = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const fields = fieldsOf(der);
  if (fields === undefined) return undefined;
  const [serial, , , validity, subject, key, ...others] = fields;
  const [notBefore, notAfter] = (inner(validity, SEQUENCE) ?? []).map(readTime);
  const extensions = others.find(({ tag }) => tag === EXTENSIONS);
  const names = commonNames(subject);
  const known = extensions === undefined ? { issuer: '', addresses: [] } : readExtensions(extensions);
  if (notBefore === undefined || notAfter === undefined || names === undefined) return undefined;
  if (key?.tag !== SEQUENCE || known === undefined) return undefined;
  return {
    fingerprint: hash('sha256', der, 'hex'),
    key: hash('sha256', key.raw, 'hex'),
    // Of several the last, as the API server has it.
    commonName: names.at(-1) ?? '',
    serial: Buffer.from(serial?.content ?? [])
      .toString('hex')
      .toUpperCase()
      .replace(/^00(?=.)/, ''),
    notBefore,
    notAfter,
    ...known,
  };
}

/** From the serial number on. */
function fieldsOf(der: Uint8Array): readonly DerElement[] | undefined {
  const [certificate, ...more] = derElements(der) ?? [];
  if (more.length > 0) return undefined;
  const fields = inner(inner(certificate, SEQUENCE)?.[0], SEQUENCE);
  return fields?.[0]?.tag === VERSION ? fields.slice(1) : fields;
}

/** What stands in an element of that tag; undefined for any other. */
function inner(element: DerElement | undefined, tag: number): readonly DerElement[] | undefined {
  return element?.tag === tag ? derElements(element) : undefined;
}

/** Content of an OBJECT IDENTIFIER. */
function identifier(dotted: string): Uint8Array {
  return derElements(objectIdentifier(dotted))?.[0]?.content ?? new Uint8Array();
}

function isNamed(element: DerElement, id: Uint8Array): boolean {
  return element.tag === OBJECT_IDENTIFIER && hasContent(element, id);
}

function commonNames(subject: DerElement | undefined): string[] | undefined {
  const found: string[] = [];
  const rdns = inner(subject, SEQUENCE);
  for (const rdn of rdns ?? []) {
    for (const attribute of inner(rdn, SET) ?? []) {
      const [type, value] = inner(attribute, SEQUENCE) ?? [];
      if (type === undefined || value === undefined || !isNamed(type, COMMON_NAME)) continue;
      found.push(TEXTS.has(value.tag) ? Buffer.from(value.content).toString('utf8') : '');
    }
  }
  return rdns === undefined ? undefined : found;
}

function readExtensions(explicit: DerElement): Pick<IssuedCertificate, 'issuer' | 'addresses'> | undefined {
  let issuer = '';
  let addresses: string[] = [];
  const extensions = inner(derElements(explicit)?.[0], SEQUENCE);
  for (const extension of extensions ?? []) {
    const parts = inner(extension, SEQUENCE) ?? [];
    const [id, value] = [parts[0], parts.at(-1)];
    if (id === undefined || value?.tag !== OCTET_STRING) return undefined;
    if (isNamed(id, AUTHORITY_KEY_IDENTIFIER)) {
      const identifier = extensionFields(value)?.find(({ tag }) => tag === KEY_IDENTIFIER);
      issuer = Buffer.from(identifier?.content ?? []).toString('hex');
    } else if (isNamed(id, SUBJECT_ALT_NAME)) {
      const names = extensionFields(value);
      if (names === undefined) return undefined;
      addresses = names.filter(isAddress).map(({ content }) => formatAddress(content));
    }
  }
  return extensions === undefined ? undefined : { issuer, addresses };
}

function extensionFields(value: DerElement): readonly DerElement[] | undefined {
  return inner(derElements(value)?.[0], SEQUENCE);
}

function isAddress({ tag, content }: DerElement): boolean {
  return tag === IP_ADDRESS && (content.length === 4 || content.length === 16);
}
