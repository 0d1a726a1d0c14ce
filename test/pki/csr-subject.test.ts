import { describe } from 'mocha';
import { der, objectIdentifier, sequence } from '../../src/pki/der-writer.ts';
import { OID } from '../../src/pki/oids.ts';
import { attribute, rdn } from '../support/csr-builder.ts';
import { accepts, type RefusedRow, refuses } from './refused-rows.ts';

const O = rdn(OID.organization, 'system:nodes');
const CN = rdn(OID.commonName, 'system:node:worker-1');
const utf8 = (text: string): Uint8Array => der(0x0c, Buffer.from(text));
/** What RFC 5280 admits besides PrintableString and UTF8String, and IA5String. */
const STRING_TYPES: readonly (readonly [string, number])[] = [
  ['NumericString', 0x12],
  ['TeletexString', 0x14],
  ['IA5String', 0x16],
  ['UniversalString', 0x1c],
  ['BMPString', 0x1e],
];

describe('pki/csr-subject', () => {
  accepts([
    [
      'O and CN in UTF8String',
      { subjectDer: sequence(rdn(OID.organization, utf8('o')), rdn(OID.commonName, utf8('c'))) },
    ],
    ['a CN that starts with a byte order mark', { commonName: '\ufeffa' }],
    ['a CN of 240 characters', { commonName: `system:node:${'a'.repeat(228)}` }],
  ]);

  refuses([
    [
      'O and CN in one RDN',
      'SubjectMalformed',
      { subjectDer: sequence(der(0x31, attribute(OID.commonName, 'x'), attribute(OID.organization, 'o'))) },
      /CN="x", O="o"/,
    ],
    ['CN before O', 'SubjectMalformed', { subjectDer: sequence(CN, O) }, /CN="system:node:worker-1", O=/],
    [
      'two O',
      'SubjectMalformed',
      { subjectDer: sequence(O, rdn(OID.organization, 'system:masters'), CN) },
      /O="system:masters"/,
    ],
    [
      'two CN',
      'SubjectMalformed',
      { subjectDer: sequence(O, CN, rdn(OID.commonName, 'system:node:b')) },
      /CN="system:node:b"/,
    ],
    ['an OU besides', 'SubjectMalformed', { subjectDer: sequence(O, rdn('2.5.4.11', 'x'), CN) }, /2\.5\.4\.11="x"/],
    ['no O', 'SubjectMalformed', { subjectDer: sequence(CN) }, /is CN=/],
    ['no CN', 'SubjectMalformed', { subjectDer: sequence(O) }, /is O=/],
    ['an empty subject', 'SubjectMalformed', { subjectDer: sequence() }, /subject is empty/],
    ['an empty RDN', 'SubjectMalformed', { subjectDer: sequence(O, der(0x31), CN) }, /empty RDN/],
    ['an empty CN', 'SubjectMalformed', { commonName: '' }, /CN=""/],
    [
      'a CN that is an INTEGER',
      'SubjectMalformed',
      { subjectDer: sequence(O, rdn(OID.commonName, der(0x02, Uint8Array.of(5)))) },
      /CN=\(tag 2\)/,
    ],
    [
      'a PrintableString with NUL',
      'SubjectMalformed',
      { subjectDer: sequence(O, rdn(OID.commonName, der(0x13, Buffer.from('x\0y')))) },
      /CN="x\\u0000y"/,
    ],
    [
      'a PrintableString with an underscore',
      'SubjectMalformed',
      { subjectDer: sequence(O, rdn(OID.commonName, der(0x13, Buffer.from('x_y')))) },
      /"x_y"/,
    ],
    ...STRING_TYPES.map(([type, tag]): RefusedRow => [
      `a CN in ${type}`,
      'SubjectMalformed',
      { subjectDer: sequence(O, rdn(OID.commonName, der(tag, Buffer.from('12345678')))) },
      new RegExp(`CN=\\(${type}\\)`),
    ]),
    [
      'an O in IA5String',
      'SubjectMalformed',
      { subjectDer: sequence(rdn(OID.organization, der(0x16, Buffer.from('system:nodes'))), CN) },
      /O=\(IA5String\)/,
    ],
    ['an empty O', 'SubjectMalformed', { organization: '' }, /O=""/],
    ['the same CN twice', 'SubjectMalformed', { subjectDer: sequence(O, CN, CN) }, /not one O and then one CN/],
    ['the same O twice', 'SubjectMalformed', { subjectDer: sequence(O, O, CN) }, /not one O and then one CN/],
    [
      'the same CN twice in one RDN',
      'SubjectMalformed',
      { subjectDer: sequence(O, der(0x31, attribute(OID.commonName, 'x'), attribute(OID.commonName, 'x'))) },
      /CN="x", CN="x"/,
    ],
    ['a serialNumber besides', 'SubjectMalformed', { subjectDer: sequence(O, CN, rdn('2.5.4.5', '1')) }, /2\.5\.4\.5/],
    [
      'the identifier of a user besides',
      'SubjectMalformed',
      { subjectDer: sequence(O, CN, rdn('1.3.6.1.4.1.57683.2', 'x')) },
      /57683\.2="x"/,
    ],
    [
      'an RDN that is a SEQUENCE',
      'SubjectMalformed',
      { subjectDer: sequence(O, sequence(attribute(OID.commonName, 'x'))) },
      /O="system:nodes", \(no attribute\)/,
    ],
    [
      'an attribute without a value',
      'SubjectMalformed',
      { subjectDer: sequence(O, der(0x31, sequence(objectIdentifier(OID.commonName)))) },
      /\(no attribute\)/,
    ],
    [
      'an attribute with two values',
      'SubjectMalformed',
      { subjectDer: sequence(O, der(0x31, sequence(objectIdentifier(OID.commonName), utf8('x'), utf8('y')))) },
      /\(no attribute\)/,
    ],
    [
      'an attribute whose type is a text',
      'SubjectMalformed',
      { subjectDer: sequence(O, der(0x31, sequence(utf8('CN'), utf8('x')))) },
      /\(no attribute\)/,
    ],
    ['an attribute that is a SET', 'SubjectMalformed', { subjectDer: sequence(O, der(0x31, der(0x31))) }, /no attr/],
    [
      'a UTF8String in more octets than it takes',
      'SubjectMalformed',
      { subjectDer: sequence(O, rdn(OID.commonName, der(0x0c, Uint8Array.of(0xc1, 0x81)))) },
      /not UTF-8/,
    ],
    [
      'half of a surrogate pair',
      'SubjectMalformed',
      { subjectDer: sequence(O, rdn(OID.commonName, der(0x0c, Uint8Array.of(0xed, 0xa0, 0x80)))) },
      /not UTF-8/,
    ],
    [
      'UTF8String that is no UTF-8',
      'SubjectMalformed',
      { subjectDer: sequence(O, rdn(OID.commonName, der(0x0c, Uint8Array.of(0xff, 0xfe)))) },
      /not UTF-8/,
    ],
  ]);
});
