import type { AttributeTypeAndValue, Name } from '@peculiar/asn1-x509';
import { PRINTABLE } from './der-writer.ts';
import { OID } from './oids.ts';
import type { KubeletCsr, Report } from './kubelet-csr.ts';
import { listed, quote } from './quote.ts';

type Names = Partial<Pick<KubeletCsr, 'organization' | 'commonName'>>;

/**
 * Reads a subject that must be exactly one O and then one CN, each in an RDN of its own, as UTF8String or
 * PrintableString. Where it is not, O and CN are still answered if there is exactly one of each to be seen.
 */
export function readSubject(subject: Name, report: Report): Names {
  const attributes = subject.flatMap((rdn) => [...rdn]);
  const organization = only(attributes, OID.organization);
  const commonName = only(attributes, OID.commonName);
  const shape = subject.map((rdn) => rdn.map((attribute) => attribute.type).join('+')).join(',');
  const values = [organization, commonName].map((attribute) => attribute && textOf(attribute));
  if (shape !== `${OID.organization},${OID.commonName}`) {
    report('SubjectMalformed', `the subject is ${describe(subject)}, not one O and then one CN`);
  } else if (values.some((value) => value === undefined || value === '')) {
    const message = 'not two texts that are not empty, as UTF8String or PrintableString';
    report('SubjectMalformed', `the subject is ${describe(subject)}, ${message}`);
  }
  const [o, cn] = values;
  return { ...(o === undefined ? {} : { organization: o }), ...(cn === undefined ? {} : { commonName: cn }) };
}

function only(attributes: readonly AttributeTypeAndValue[], type: string): AttributeTypeAndValue | undefined {
  const found = attributes.filter((attribute) => attribute.type === type);
  return found.length === 1 ? found[0] : undefined;
}

function textOf({ value }: AttributeTypeAndValue): string | undefined {
  if (value.utf8String !== undefined) return value.utf8String;
  return value.printableString !== undefined && PRINTABLE.test(value.printableString)
    ? value.printableString
    : undefined;
}

function describe(subject: Name): string {
  if (subject.length === 0) return 'empty';
  return listed(subject.map((rdn) => (rdn.length === 0 ? '(empty RDN)' : listed(rdn.map(describeAttribute)))));
}

function describeAttribute(attribute: AttributeTypeAndValue): string {
  const short = { [OID.organization]: 'O', [OID.commonName]: 'CN' }[attribute.type] ?? attribute.type;
  const { value } = attribute;
  const text = value.utf8String ?? value.printableString;
  return text === undefined ? `${short}=(${Object.keys(value).join()})` : `${short}=${quote(text)}`;
}
