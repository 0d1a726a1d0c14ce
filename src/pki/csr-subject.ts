import { dotted, TAG } from './der-reader.ts';
import { PRINTABLE } from './der-writer.ts';
import { OID } from './oids.ts';
import type { KubeletCsr, Report } from './kubelet-csr.ts';
import { listed, quote } from './quote.ts';
import { type DerElement, derElements } from './strict-der.ts';

type Names = Partial<Pick<KubeletCsr, 'organization' | 'commonName'>>;

interface Attribute {
  /** Dotted identifier, or what stands there instead of an attribute. */
  readonly type: string;
  /** Only of the two string types that every reader decodes alike, and only where it is valid. */
  readonly text: string | undefined;
  /** The value for people. */
  readonly shown: string;
}

const MALFORMED: Attribute = { type: '(no attribute)', text: undefined, shown: '' };

const OTHER_STRINGS: Readonly<Record<number, string>> = {
  0x12: 'NumericString',
  0x14: 'TeletexString',
  0x16: 'IA5String',
  0x1c: 'UniversalString',
  0x1e: 'BMPString',
};

/**
 * Reads a subject (the content of a Name) that must be exactly one O and then one CN, each in an RDN of its own, as
 * UTF8String or PrintableString. Where it is not, O and CN are still answered if there is exactly one of each to be seen.
 */
export function readSubject(name: Uint8Array, report: Report): Names {
  const subject = elementsOf(name).map((rdn) =>
    rdn.tag === TAG.set ? elementsOf(rdn.content).map(readAttribute) : [MALFORMED],
  );
  const attributes = subject.flat();
  const values = [only(attributes, OID.organization), only(attributes, OID.commonName)];
  const shape = subject.map((rdn) => rdn.map(({ type }) => type).join('+')).join(',');
  if (shape !== `${OID.organization},${OID.commonName}`) {
    report('SubjectMalformed', `the subject is ${describe(subject)}, not one O and then one CN`);
  } else if (values.some((value) => value === undefined || value === '')) {
    const message = 'not two texts that are not empty, as UTF8String or PrintableString';
    report('SubjectMalformed', `the subject is ${describe(subject)}, ${message}`);
  }
  const [o, cn] = values;
  return { ...(o === undefined ? {} : { organization: o }), ...(cn === undefined ? {} : { commonName: cn }) };
}

function readAttribute({ tag, content }: DerElement): Attribute {
  const [type, value, ...more] = tag === TAG.sequence ? elementsOf(content) : [];
  if (type?.tag !== TAG.objectIdentifier || value === undefined || more.length > 0) return MALFORMED;
  const decoded = decode(value);
  const valid = decoded !== undefined && (value.tag === TAG.utf8String || PRINTABLE.test(decoded));
  return {
    type: dotted(type.content),
    text: valid ? decoded : undefined,
    shown: decoded === undefined ? `(${nameOf(value.tag)})` : quote(decoded),
  };
}

/** The text of a UTF8String or PrintableString; undefined for other types, and for what is not UTF-8. */
function decode({ tag, content }: DerElement): string | undefined {
  if (tag === TAG.printableString) return Buffer.from(content).toString('latin1');
  if (tag !== TAG.utf8String) return undefined;
  const bytes = Buffer.from(content);
  const text = bytes.toString('utf8');
  // What is not UTF-8 is replaced when it is read, so it is written back as something else.
  return Buffer.compare(Buffer.from(text, 'utf8'), bytes) === 0 ? text : undefined;
}

function nameOf(tag: number): string {
  return tag === TAG.utf8String ? 'UTF8String that is not UTF-8' : (OTHER_STRINGS[tag] ?? `tag ${tag}`);
}

/** The text of the attribute, where there is only one of this type. */
function only(attributes: readonly Attribute[], type: string): string | undefined {
  const found = attributes.filter((attribute) => attribute.type === type);
  return found.length === 1 ? found[0]?.text : undefined;
}

/** Of what `checkStrictDer` has passed: what cannot be split has no values. */
function elementsOf(content: Uint8Array): readonly DerElement[] {
  return derElements(content) ?? [];
}

function describe(subject: readonly (readonly Attribute[])[]): string {
  if (subject.length === 0) return 'empty';
  return listed(subject.map((rdn) => (rdn.length === 0 ? '(empty RDN)' : listed(rdn.map(describeAttribute)))));
}

function describeAttribute({ type, shown }: Attribute): string {
  const short = { [OID.organization]: 'O', [OID.commonName]: 'CN' }[type] ?? type;
  return shown === '' ? short : `${short}=${shown}`;
}
