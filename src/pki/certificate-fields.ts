import {
  type Algorithm,
  derFields,
  dotted,
  elementsWith,
  readAlgorithm,
  readTime,
  TAG,
  wholeOctets,
} from './der-reader.ts';
import { checkStrictDer, type DerElement, derElements } from './strict-der.ts';

export interface CertificateExtension {
  readonly id: string;
  readonly critical: boolean;
  /** What its OCTET STRING holds. */
  readonly value: Uint8Array;
}

/** Every field of an X.509 certificate (RFC 5280 §4.1), as it stands there. */
export interface CertificateFields {
  /** What is signed, byte for byte. */
  readonly toBeSigned: Uint8Array;
  /** 1, 2 or 3. */
  readonly version: number;
  readonly serial: Uint8Array;
  /** AlgorithmIdentifiers inside and outside of what is signed. */
  readonly algorithms: readonly [inside: Uint8Array, outside: Uint8Array];
  readonly algorithm: Algorithm;
  readonly issuer: Uint8Array;
  /** ms since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Identifier and text of each attribute, by RDN; undefined for a text of another kind. */
  readonly subject: readonly (readonly (readonly [id: string, text: string | undefined])[])[];
  readonly publicKey: Uint8Array;
  readonly hasUniqueIdentifier: boolean;
  readonly extensions: readonly CertificateExtension[];
  readonly signature: Uint8Array;
}

const ISSUER_UNIQUE_ID = 0x81;
const SUBJECT_UNIQUE_ID = 0x82;
const EXTENSIONS = 0xa3;

/** Reads a certificate to its last byte, or says why it is none. Never throws. */
export function readCertificate(der: Uint8Array): CertificateFields | { readonly problem: string } {
  const problem = checkStrictDer(der);
  if (problem !== undefined) return { problem };
  const { sequence, bitString, context0, integer } = TAG;
  const [whole] = derFields(der, [sequence]) ?? [];
  const parts = derFields(whole ?? NOTHING, [sequence, sequence, bitString]);
  if (parts === undefined) return { problem: 'it is not built as a Certificate' };
  const [tbs, outside, signed] = parts;
  const all = derElements(tbs) ?? [];
  const unique = all.filter(({ tag }) => tag === ISSUER_UNIQUE_ID || tag === SUBJECT_UNIQUE_ID);
  const order = [context0, integer, sequence, sequence, sequence, sequence, sequence, EXTENSIONS] as const;
  const fields = elementsWith(
    all.filter((element) => !unique.includes(element)),
    order,
  );
  if (fields === undefined) return { problem: 'it holds less or more than a Certificate has' };
  const [versionField, serial, inside, issuer, validity, subjectField, publicKey, extensionsField] = fields;
  const version = derFields(versionField, [integer])?.[0].content;
  const times = (derElements(validity) ?? []).map(readTime);
  const subject = readSubject(subjectField);
  const extensions = readExtensions(extensionsField);
  const algorithm = readAlgorithm(outside.content);
  const signature = wholeOctets(signed.content);
  const [notBefore, notAfter] = times;
  if (version?.length !== 1 || algorithm === undefined || signature === undefined)
    return { problem: 'its frame is wrong' };
  if (times.length !== 2 || notBefore === undefined || notAfter === undefined)
    return { problem: 'its validity is wrong' };
  if (subject === undefined) return { problem: 'its subject is wrong' };
  if (extensions === undefined) return { problem: 'its extensions are wrong' };
  return {
    toBeSigned: tbs.raw,
    version: (version[0] ?? 0) + 1,
    serial: serial.content,
    algorithms: [inside.raw, outside.raw],
    algorithm,
    issuer: issuer.raw,
    notBefore,
    notAfter,
    subject,
    publicKey: publicKey.raw,
    hasUniqueIdentifier: unique.length > 0,
    extensions,
    signature,
  };
}

const NOTHING = new Uint8Array();

function readSubject(name: DerElement): CertificateFields['subject'] | undefined {
  const rdns: (readonly [string, string | undefined])[][] = [];
  for (const rdn of derElements(name) ?? []) {
    if (rdn.tag !== TAG.set) return undefined;
    const attributes: (readonly [string, string | undefined])[] = [];
    for (const attribute of derElements(rdn) ?? []) {
      const [id, value, ...more] = attribute.tag === TAG.sequence ? (derElements(attribute) ?? []) : [];
      if (id?.tag !== TAG.objectIdentifier || value === undefined || more.length > 0) return undefined;
      const isText = value.tag === TAG.utf8String || value.tag === TAG.printableString;
      attributes.push([dotted(id.content), isText ? Buffer.from(value.content).toString('utf8') : undefined]);
    }
    rdns.push(attributes);
  }
  return rdns;
}

function readExtensions(explicit: DerElement): readonly CertificateExtension[] | undefined {
  const [list] = derFields(explicit, [TAG.sequence]) ?? [];
  const extensions: CertificateExtension[] = [];
  for (const element of derElements(list ?? NOTHING) ?? []) {
    const parts = element.tag === TAG.sequence ? (derElements(element) ?? []) : [];
    const [id, value] = [parts[0], parts.at(-1)];
    const [, flag] = parts.length === 3 ? parts : [];
    // FALSE is the default, which DER leaves out.
    const fits = parts.length === 2 || (flag?.tag === TAG.boolean && flag.content[0] === 0xff);
    if (!fits || id?.tag !== TAG.objectIdentifier || value?.tag !== TAG.octetString) return undefined;
    extensions.push({ id: dotted(id.content), critical: flag !== undefined, value: value.content });
  }
  return list === undefined || extensions.length === 0 ? undefined : extensions;
}
