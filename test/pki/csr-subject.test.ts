import { describe } from 'mocha';
import { der, sequence } from '../../src/pki/der-writer.ts';
import { OID } from '../../src/pki/oids.ts';
import { attribute, rdn } from '../support/csr-builder.ts';
import { refuses } from './refused-rows.ts';

const O = rdn(OID.organization, 'system:nodes');
const CN = rdn(OID.commonName, 'system:node:worker-1');

describe('pki/csr-subject', () => {
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
      'a CN in IA5String',
      'SubjectMalformed',
      { subjectDer: sequence(O, rdn(OID.commonName, der(0x16, Buffer.from('x')))) },
      /ia5String/,
    ],
    [
      'a CN in TeletexString',
      'SubjectMalformed',
      { subjectDer: sequence(O, rdn(OID.commonName, der(0x14, Buffer.from('x')))) },
      /teletexString/,
    ],
    [
      'a CN that is an INTEGER',
      'SubjectMalformed',
      { subjectDer: sequence(O, rdn(OID.commonName, der(0x02, Uint8Array.of(5)))) },
      /anyValue/,
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
    [
      'UTF8String that is no UTF-8',
      'DerMalformed',
      { subjectDer: sequence(O, rdn(OID.commonName, der(0x0c, Uint8Array.of(0xff, 0xfe)))) },
      /more than/,
    ],
  ]);
});
