import { describe } from 'mocha';
import { booleanTrue, der, objectIdentifier, octetString, sequence, set } from '../../src/pki/der-writer.ts';
import { OID } from '../../src/pki/oids.ts';
import { csrAttribute, csrExtension, extensionRequest, generalName, rdn } from '../support/csr-builder.ts';
import { accepts, refuses } from './refused-rows.ts';

const O = rdn(OID.organization, 'system:nodes');
const longest = 'a'.repeat(63);
const utf8 = (text: string): Uint8Array => der(0x0c, Buffer.from(text));
const san = (...names: Uint8Array[]): Uint8Array => csrExtension(OID.subjectAltName, sequence(...names));
const addresses = (count: number): string[] => Array.from({ length: count }, (_, index) => `10.0.0.${index}`);

describe('pki/csr-names', () => {
  accepts([
    ['a DNS name in punycode', { dns: ['xn--wrker-jua.example'] }],
    ['a DNS name of digits', { dns: ['17', '10.0.0.1.example', '1.2.3'] }],
    ['a name of one letter', { dns: ['a'] }],
    ['an address that holds an IPv4 address, but is none', { ips: ['64:ff9b::a00:1', '::a00:1'] }],
  ]);

  refuses([
    [
      'a challenge password',
      'AttributeNotAllowed',
      { attributesDer: [csrAttribute('1.2.840.113549.1.9.7', utf8('x'))] },
      /1\.9\.7 with 1/,
    ],
    [
      'an attribute beside the extensionRequest',
      'AttributeNotAllowed',
      { attributesDer: [csrAttribute('1.2.840.113549.1.9.7', utf8('x')), extensionRequest(san(generalName(2, 'a')))] },
      /1\.9\.7/,
    ],
    [
      'two extensionRequests',
      'AttributeNotAllowed',
      { attributesDer: [extensionRequest(san(generalName(2, 'a'))), extensionRequest(san(generalName(2, 'b')))] },
      /9\.14 with 1 value\(s\), 1\.2/,
    ],
    [
      'an extensionRequest with two values',
      'AttributeNotAllowed',
      {
        attributesDer: [
          csrAttribute(OID.extensionRequest, sequence(san(generalName(2, 'a'))), sequence(san(generalName(2, 'b')))),
        ],
      },
      /with 2 value/,
    ],
    [
      'an extensionRequest without a value',
      'AttributeNotAllowed',
      { attributesDer: [csrAttribute(OID.extensionRequest)] },
      /with 0 value/,
    ],
    [
      'an extensionRequest that is no list',
      'AttributeNotAllowed',
      { attributesDer: [csrAttribute(OID.extensionRequest, utf8('x'))] },
      /list of extensions/,
    ],
    [
      'an attribute that is a SET',
      'AttributeNotAllowed',
      { attributesDer: [set(objectIdentifier(OID.extensionRequest))] },
      /are \(no attribute\) with 0/,
    ],
    [
      'an attribute without values',
      'AttributeNotAllowed',
      { attributesDer: [sequence(objectIdentifier(OID.extensionRequest))] },
      /are \(no attribute\) with 0/,
    ],
    [
      'an attribute with a third field',
      'AttributeNotAllowed',
      { attributesDer: [sequence(objectIdentifier(OID.extensionRequest), der(0x31), der(0x05))] },
      /are \(no attribute\) with 0/,
    ],
    [
      'an attribute whose values are no SET',
      'AttributeNotAllowed',
      {
        attributesDer: [sequence(objectIdentifier(OID.extensionRequest), sequence(sequence(san(generalName(2, 'a')))))],
      },
      /are \(no attribute\) with 0/,
    ],
    ['an extension that is a SET', 'AttributeNotAllowed', { extensionsDer: [der(0x31)] }, /list of extensions/],
    [
      'an extension without a value',
      'AttributeNotAllowed',
      { extensionsDer: [sequence(objectIdentifier(OID.subjectAltName))] },
      /list of extensions/,
    ],
    [
      'an extension with a fourth field',
      'AttributeNotAllowed',
      {
        extensionsDer: [
          sequence(objectIdentifier(OID.subjectAltName), booleanTrue, booleanTrue, octetString(new Uint8Array())),
        ],
      },
      /list of extensions/,
    ],
    [
      'an extension that is critical by NULL',
      'AttributeNotAllowed',
      { extensionsDer: [sequence(objectIdentifier(OID.subjectAltName), der(0x05), octetString(new Uint8Array()))] },
      /list of extensions/,
    ],
    [
      'an extension whose value is a UTF8String',
      'AttributeNotAllowed',
      { extensionsDer: [sequence(objectIdentifier(OID.subjectAltName), utf8('a'))] },
      /list of extensions/,
    ],
    [
      'an extension with an identifier of 13,000 digits',
      'ExtensionNotAllowed',
      {
        extensionsDer: [sequence(der(0x06, Buffer.alloc(6000, 0xff), Uint8Array.of(0)), octetString(new Uint8Array()))],
      },
      /identifier of 6001 octets/,
    ],
    [
      "Microsoft's extension attribute",
      'AttributeNotAllowed',
      { attributesDer: [csrAttribute('1.3.6.1.4.1.311.2.1.14', sequence(san(generalName(2, 'a'))))] },
      /311\.2\.1\.14/,
    ],
    [
      'BasicConstraints CA:TRUE',
      'ExtensionNotAllowed',
      { extensionsDer: [csrExtension(OID.basicConstraints, sequence(der(0x01, Uint8Array.of(0xff))))] },
      /2\.5\.29\.19/,
    ],
    [
      'a SAN and an ExtKeyUsage',
      'ExtensionNotAllowed',
      {
        extensionsDer: [
          san(generalName(2, 'a')),
          csrExtension(OID.extKeyUsage, sequence(objectIdentifier(OID.serverAuth))),
        ],
      },
      /29\.17, 2\.5\.29\.37/,
    ],
    [
      'two SANs',
      'ExtensionNotAllowed',
      { extensionsDer: [san(generalName(2, 'a')), san(generalName(2, 'b'))] },
      /29\.17, 2\.5\.29\.17/,
    ],
    ['an empty list of extensions', 'ExtensionNotAllowed', { extensionsDer: [] }, /are none/],
    [
      'otherName',
      'SanKindNotAllowed',
      { moreNamesDer: [der(0xa0, objectIdentifier('1.2.3'), der(0xa0, utf8('x')))] },
      /otherName/,
    ],
    ['an e-mail address', 'SanKindNotAllowed', { moreNamesDer: [generalName(1, 'a@b')] }, /e-mail "a@b"/],
    ['an x400Address', 'SanKindNotAllowed', { moreNamesDer: [der(0xa3)] }, /x400Address ""/],
    ['an ediPartyName', 'SanKindNotAllowed', { moreNamesDer: [der(0xa5, der(0xa1, utf8('x')))] }, /ediPartyName/],
    ['a URI', 'SanKindNotAllowed', { dns: ['a'], moreNamesDer: [generalName(6, 'spiffe://x')] }, /URI "spiffe:\/\/x"/],
    ['directoryName', 'SanKindNotAllowed', { moreNamesDer: [der(0xa4, sequence(O))] }, /directoryName/],
    ['registeredID', 'SanKindNotAllowed', { moreNamesDer: [generalName(8, Uint8Array.of(0x2a))] }, /registeredID/],
    ['a kind that does not exist', 'SanKindNotAllowed', { moreNamesDer: [generalName(9, 'x')] }, /tag 137/],
    [
      'a DNS name in constructed form',
      'SanKindNotAllowed',
      { moreNamesDer: [der(0xa2, der(0x16, Buffer.from('a')))] },
      /DNS/,
    ],
    [
      'a plain OCTET STRING among the names',
      'SanKindNotAllowed',
      { moreNamesDer: [octetString(Buffer.from('x'))] },
      /tag 4/,
    ],
    ['an empty SAN', 'SanMalformed', { extensionsDer: [san()] }, /it is empty/],
    [
      'a SAN that is a SET',
      'SanMalformed',
      { extensionsDer: [csrExtension(OID.subjectAltName, set(generalName(2, 'a')))] },
      /not a SEQUENCE/,
    ],
    [
      'bytes after the SAN',
      'SanMalformed',
      {
        extensionsDer: [
          csrExtension(OID.subjectAltName, Buffer.concat([sequence(generalName(2, 'a')), Uint8Array.of(5, 0)])),
        ],
      },
      /2 bytes follow/,
    ],
    ['an upper-case DNS name', 'SanMalformed', { dns: ['Worker-1'] }, /"Worker-1"/],
    ['a wildcard', 'SanMalformed', { dns: ['*.example.com'] }, /"\*\.example/],
    ['a final dot', 'SanMalformed', { dns: ['worker-1.'] }, /"worker-1\."/],
    ['a dot in front', 'SanMalformed', { dns: ['.worker-1'] }, /"\.worker-1"/],
    ['two dots', 'SanMalformed', { dns: ['worker-1..example'] }, /"worker-1\.\.example"/],
    ['a dot alone', 'SanMalformed', { dns: ['.'] }, /"\."/],
    ['a blank', 'SanMalformed', { dns: ['worker-1 '] }, /"worker-1 "/],
    ['a newline', 'SanMalformed', { dns: ['worker-1\n'] }, /"worker-1\\u000a"/],
    ['a port', 'SanMalformed', { dns: ['worker-1:443'] }, /"worker-1:443"/],
    ['an IPv4 address as DNS name', 'SanMalformed', { dns: ['10.0.0.1'] }, /"10\.0\.0\.1"/],
    ['an IPv6 address as DNS name', 'SanMalformed', { dns: ['fd00::1'] }, /"fd00::1"/],
    ['an upper-case letter in an IDN', 'SanMalformed', { dns: ['XN--WRKER-JUA'] }, /"XN--/],
    ['an empty DNS name', 'SanMalformed', { dns: [''] }, /""/],
    ['an underscore', 'SanMalformed', { dns: ['a_b'] }, /"a_b"/],
    ['a label that starts with a hyphen', 'SanMalformed', { dns: ['-a.b'] }, /"-a\.b"/],
    ['a label that ends with a hyphen', 'SanMalformed', { dns: ['a-.b'] }, /"a-\.b"/],
    ['a NUL in a DNS name', 'SanMalformed', { dns: ['a\0.b'] }, /"a\\u0000\.b"/],
    ['an IDN in UTF-8', 'SanMalformed', { dns: ['wörker'] }, /not a lower-case DNS name/],
    ['a label of 64', 'SanMalformed', { dns: [`a${longest}`] }, /not a lower-case DNS name/],
    [
      'a DNS name of 254',
      'SanMalformed',
      { dns: [`${longest}.${longest}.${longest}.${'b'.repeat(62)}`] },
      /254 characters/,
    ],
    ['an address of no bytes', 'SanMalformed', { ips: [new Uint8Array()] }, /\(empty\)/],
    ['an address of 3 bytes', 'SanMalformed', { ips: [Uint8Array.of(1, 2, 3)] }, /010203/],
    ['an address of 5 bytes', 'SanMalformed', { ips: [Uint8Array.of(1, 2, 3, 4, 5)] }, /0102030405/],
    [
      'an address with its mask, 8 bytes',
      'SanMalformed',
      { ips: [Uint8Array.of(10, 0, 0, 0, 255, 0, 0, 0)] },
      /0a000000ff000000/,
    ],
    ['an address of 17 bytes', 'SanMalformed', { ips: [new Uint8Array(17)] }, /0{34}/],
    [
      'an IPv4-mapped IPv6 address',
      'SanMalformed',
      { ips: [Buffer.concat([new Uint8Array(10), Uint8Array.of(255, 255, 10, 0, 0, 1)])] },
      /ffff0a000001/,
    ],
    ['65 names and addresses', 'TooManySans', { ips: addresses(64), dns: ['a'] }, /65 names/],
    [
      'a SAN that is critical',
      'ExtensionNotAllowed',
      {
        extensionsDer: [
          sequence(objectIdentifier(OID.subjectAltName), booleanTrue, octetString(sequence(generalName(2, 'a')))),
        ],
      },
      /whether it is critical/,
    ],
    [
      'critical FALSE spelled out',
      'ExtensionNotAllowed',
      {
        extensionsDer: [
          sequence(
            objectIdentifier(OID.subjectAltName),
            der(0x01, Uint8Array.of(0)),
            octetString(sequence(generalName(2, 'a'))),
          ),
        ],
      },
      /whether it is critical/,
    ],
  ]);
});
