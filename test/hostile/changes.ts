import { der, nullValue, octetString, sequence, set } from '../../src/pki/der-writer.ts';
import type { Change, Written } from './der-tree.ts';

const bytes = (...octets: number[]): Uint8Array => Uint8Array.from(octets);
const plain = ({ tag, content }: Written): Uint8Array => der(tag, content);
/** The same tag and other content. */
const containing =
  (change: (content: Buffer) => Uint8Array): Change =>
  ({ tag, content }) =>
    der(tag, change(Buffer.from(content)));
const retagged =
  (tag: number): Change =>
  ({ content }) =>
    der(tag, content);
/** These octets for the length, whatever follows. */
const lengthOf =
  (octets: (length: number) => number[]): Change =>
  ({ tag, content }) =>
    Buffer.concat([bytes(tag, ...octets(content.length)), content]);
const bigEndian = (value: number, octets: number): number[] =>
  Array.from({ length: octets }, (_, index) => Math.floor(value / 256 ** (octets - 1 - index)) % 256);
const text = (change: (text: string) => string): Change =>
  containing((content) => Buffer.from(change(content.toString('latin1')), 'latin1'));
const halves = (content: Uint8Array): readonly [Uint8Array, Uint8Array] => [
  content.subarray(0, content.length >> 1),
  content.subarray(content.length >> 1),
];

/** Forms of the length that DER does not have, and lengths that are not true. */
const LENGTHS: Readonly<Record<string, Change>> = {
  'length of one octet more': lengthOf((length) => [
    0x81 + (length < 0x80 ? 0 : length < 0x100 ? 1 : 2),
    ...bigEndian(length, length < 0x80 ? 1 : length < 0x100 ? 2 : 3),
  ]),
  'length of four octets': lengthOf((length) => [0x84, ...bigEndian(length, 4)]),
  'length of five octets': lengthOf((length) => [0x85, ...bigEndian(length, 5)]),
  'length of 126 octets': lengthOf((length) => [0xfe, ...bigEndian(length, 126)]),
  'length ff': lengthOf(() => [0xff]),
  'length of 2 GB': lengthOf(() => [0x84, 0x7f, 0xff, 0xff, 0xff]),
  'length of 4 GB': lengthOf(() => [0x84, 0xff, 0xff, 0xff, 0xff]),
  'length one too long': lengthOf((length) => (length < 0x7f ? [length + 1] : [0x82, ...bigEndian(length + 1, 2)])),
  'length one too short': lengthOf((length) =>
    length <= 0x80 ? [Math.max(length - 1, 0)] : [0x82, ...bigEndian(length - 1, 2)],
  ),
  'length 0': lengthOf(() => [0]),
  'indefinite length': ({ tag, content }) => Buffer.concat([bytes(tag, 0x80), content, bytes(0, 0)]),
  'indefinite length without end': ({ tag, content }) => Buffer.concat([bytes(tag, 0x80), content]),
  'indefinite length, constructed': ({ tag, content }) =>
    Buffer.concat([bytes(tag | 0x20, 0x80), der(tag & 0xdf, content), bytes(0, 0)]),
  'length missing': ({ tag }) => bytes(tag),
};

const TAGS: Readonly<Record<string, Change>> = {
  ...Object.fromEntries(
    [
      0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x09, 0x0a, 0x0c, 0x10, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1a, 0x1b,
      0x1c, 0x1e, 0x30, 0x31, 0x80, 0x81, 0x82, 0x86, 0x87, 0x88, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa7,
    ].map((tag) => [`tag ${tag.toString(16).padStart(2, '0')}`, retagged(tag)]),
  ),
  'tag of another class': ({ tag, content }) => der(tag ^ 0x40, content),
  'tag primitive or constructed': ({ tag, content }) => der(tag ^ 0x20, content),
  'tag of two octets': ({ tag, content }) => Buffer.concat([bytes(tag | 0x1f), der(tag & 0x1f, content)]),
  'constructed of two pieces': ({ tag, content }) =>
    der(tag | 0x20, ...halves(content).map((half) => der(tag & 0xdf, half))),
  'constructed of two octet strings': ({ tag, content }) => der(tag | 0x20, ...halves(content).map(octetString)),
};

const STRUCTURE: Readonly<Record<string, Change>> = {
  'left out': () => bytes(),
  'there twice': (value) => Buffer.concat([plain(value), plain(value)]),
  'followed by NULL': (value) => Buffer.concat([plain(value), nullValue]),
  'after a NULL': (value) => Buffer.concat([nullValue, plain(value)]),
  'followed by zeros': (value) => Buffer.concat([plain(value), bytes(0, 0)]),
  'followed by one octet': (value) => Buffer.concat([plain(value), bytes(0x30)]),
  'in a SEQUENCE': (value) => sequence(plain(value)),
  'in a SET': (value) => set(plain(value)),
  'in an OCTET STRING': (value) => octetString(plain(value)),
  'behind 200 open brackets': (value) => Buffer.concat([Buffer.alloc(400, Buffer.from('3080', 'hex')), plain(value)]),
  'only its content': ({ content }) => content,
  'NULL instead': () => nullValue,
  'an empty SEQUENCE instead': () => sequence(),
  'a SEQUENCE of 600 NULL instead': () => sequence(Buffer.alloc(1200, nullValue)),
  'values in reverse': ({ tag, children }) => der(tag, ...children.toReversed()),
  'first value twice': ({ tag, children }) => der(tag, ...children.slice(0, 1), ...children),
  'last value at both ends': ({ tag, children }) => der(tag, ...children.slice(-1), ...children),
  'NULL among the values': ({ tag, children }) => der(tag, ...children.slice(0, 1), nullValue, ...children.slice(1)),
};

const CONTENT: Readonly<Record<string, Change>> = {
  'no content': containing(() => bytes()),
  'first octet cut off': containing((content) => content.subarray(1)),
  'last octet cut off': containing((content) => content.subarray(0, -1)),
  '00 in front': containing((content) => Buffer.concat([bytes(0), content])),
  'ff in front': containing((content) => Buffer.concat([bytes(0xff), content])),
  '80 in front': containing((content) => Buffer.concat([bytes(0x80), content])),
  '00 behind': containing((content) => Buffer.concat([content, bytes(0)])),
  'ff behind': containing((content) => Buffer.concat([content, bytes(0xff)])),
  'content twice': containing((content) => Buffer.concat([content, content])),
  'first octet 00': containing((content) => Buffer.concat([bytes(0), content.subarray(1)])),
  'first octet 01': containing((content) => Buffer.concat([bytes(1), content.subarray(1)])),
  'first octet 07': containing((content) => Buffer.concat([bytes(7), content.subarray(1)])),
  'first octet ff': containing((content) => Buffer.concat([bytes(0xff), content.subarray(1)])),
  'last octet 00': containing((content) => Buffer.concat([content.subarray(0, -1), bytes(0)])),
  'last octet 80': containing((content) => Buffer.concat([content.subarray(0, -1), bytes(0x80)])),
  'last bit turned': containing((content) =>
    content.map((octet, index) => (index === content.length - 1 ? octet ^ 1 : octet)),
  ),
  'first bit turned': containing((content) => content.map((octet, index) => (index === 0 ? octet ^ 0x80 : octet))),
  'all zeros': containing((content) => Buffer.alloc(content.length)),
  '4,000 zeros': containing(() => Buffer.alloc(4000)),
  'TRUE as 01': () => bytes(1, 1, 1),
  'IPv4 in IPv6': containing((content) => Buffer.concat([Buffer.alloc(10), bytes(0xff, 0xff), content.subarray(-4)])),
  'with a mask': containing((content) => Buffer.concat([content, content.map(() => 0xff)])),
  'upper case': text((value) => value.toUpperCase()),
  'a dot behind': text((value) => `${value}.`),
  'a dot in front': text((value) => `.${value}`),
  'a wildcard in front': text((value) => `*.${value}`),
  'a NUL inside': text((value) => `${value.slice(0, 3)}\0${value.slice(3)}`),
  'a newline behind': text((value) => `${value}\n`),
  'a blank behind': text((value) => `${value} `),
  'an underscore inside': text((value) => `${value.slice(0, 3)}_${value.slice(3)}`),
  'a letter of Latin-1 inside': text((value) => `${value.slice(0, 3)}\xfc${value.slice(3)}`),
  'a letter of UTF-8 inside': text((value) => `${value.slice(0, 3)}\xc3\xbc${value.slice(3)}`),
  'a letter in too many octets': text((value) => `${value}\xc1\x81`),
  'a comma and another name': text((value) => `${value},CN=system:node:b`),
  'another host': text((value) => `b.${value}`),
  '300 letters': text(() => 'a'.repeat(300)),
};

/** Everything that is done to every value of a good request, by name. */
export const CHANGES: ReadonlyMap<string, Change> = new Map(
  Object.entries({ ...LENGTHS, ...TAGS, ...STRUCTURE, ...CONTENT }),
);
