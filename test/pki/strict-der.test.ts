import { Certificate } from '@peculiar/asn1-x509';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { describe, it } from 'mocha';
import { parseExactly } from '../support/parse-exactly.ts';
import { formatPem } from '../../src/pki/pem.ts';
import { readKubeletCsr } from '../../src/pki/pkcs10.ts';
import { checkStrictDer, derElements } from '../../src/pki/strict-der.ts';
import { buildCsrDer, testKey, type TestKeyName } from '../support/csr-builder.ts';

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('pki/strict-der', () => {
  const GOOD: readonly [string, string][] = [
    ['an empty SEQUENCE', '30 00'],
    ['the longest short length', `04 7f ${'00'.repeat(127)}`],
    ['the shortest length of two octets', `04 81 80 ${'00'.repeat(128)}`],
    ['the shortest length of three octets', `04 82 01 00 ${'00'.repeat(256)}`],
    ['INTEGER 0, 127, 128, -128', '30 0d 02 01 00 02 01 7f 02 02 00 80 02 01 80'],
    ['BOOLEAN both ways', '30 06 01 01 00 01 01 ff'],
    ['a BIT STRING of one bit', '03 02 07 80'],
    ['an empty BIT STRING', '03 01 00'],
    ['NULL', '05 00'],
    ['an OBJECT IDENTIFIER with a sub-identifier of two octets', '06 03 2a 81 00'],
    ['a SET in order', '31 06 02 01 01 02 01 02'],
    ['context tags, primitive and constructed', '30 07 80 01 00 a1 02 05 00'],
  ];
  for (const [name, bytes] of GOOD) {
    it(`passes ${name}`, () => {
      expect(checkStrictDer(hex(bytes))).to.equal(undefined);
    });
  }

  const BAD: readonly [string, string, RegExp][] = [
    ['nothing', '', /cut off/],
    ['a tag alone', '30', /cut off/],
    ['bytes behind the value', '30 00 00', /1 bytes follow/],
    ['a value that is cut off', '30 02 05', /longer than/],
    ['a child longer than its parent', '30 03 04 02 00', /longer than/],
    ['a child that is cut off', '30 01 04', /cut off/],
    ['indefinite length', '30 80 00 00', /indefinite/],
    ['a long length below 128', `04 81 7f ${'00'.repeat(127)}`, /not minimal/],
    ['a length with a leading zero', `04 82 00 80 ${'00'.repeat(128)}`, /not minimal/],
    ['a length of five octets', '04 85 01 00 00 00 00', /5 octets/],
    ['the reserved length ff', '04 ff', /127 octets/],
    ['a length of 4 GB', '04 84 ff ff ff ff', /longer than/],
    ['a length that is cut off', '04 82 01', /not minimal|longer than/],
    ['a tag of several octets', '1f 81 01 00', /several octets/],
    ['end-of-contents', '00 00', /universal type 0/],
    ['REAL', '09 01 40', /universal type 9/],
    ['a primitive SEQUENCE', '10 00', /not constructed/],
    ['a primitive SET', '11 00', /not constructed/],
    ['a constructed OCTET STRING', '24 03 04 01 00', /constructed form/],
    ['a constructed UTF8String', '2c 03 0c 01 61', /constructed form/],
    ['BOOLEAN 01', '01 01 01', /BOOLEAN/],
    ['BOOLEAN of two octets', '01 02 ff ff', /BOOLEAN/],
    ['an empty INTEGER', '02 00', /INTEGER/],
    ['INTEGER with a needless 00', '02 02 00 7f', /INTEGER not minimal/],
    ['INTEGER with a needless ff', '02 02 ff 80', /INTEGER not minimal/],
    ['ENUMERATED with a needless 00', '0a 02 00 01', /not minimal/],
    ['NULL with content', '05 01 00', /NULL/],
    ['an empty OBJECT IDENTIFIER', '06 00', /OBJECT IDENTIFIER/],
    ['a padded sub-identifier', '06 03 2a 80 03', /OBJECT IDENTIFIER not minimal/],
    ['a sub-identifier that is cut off', '06 02 2a 81', /OBJECT IDENTIFIER cut off/],
    ['a BIT STRING without content', '03 00', /BIT STRING/],
    ['a BIT STRING with 8 unused bits', '03 02 08 00', /BIT STRING/],
    ['unused bits of no octet', '03 01 03', /BIT STRING/],
    ['unused bits that are set', '03 02 07 c0', /BIT STRING/],
    ['a SET out of order', '31 06 02 01 02 02 01 01', /SET not in order/],
  ];
  for (const [name, bytes, problem] of BAD) {
    it(`refuses ${name}`, () => {
      expect(checkStrictDer(hex(bytes))).to.match(problem);
    });
  }

  const nested = (depth: number): Uint8Array => {
    let bytes: Uint8Array = new Uint8Array();
    for (let level = 0; level < depth; level += 1) bytes = Buffer.concat([Uint8Array.of(0x30, bytes.length), bytes]);
    return bytes;
  };
  const many = (nodes: number): Uint8Array =>
    Buffer.concat([hex('30 82 03 fe'), ...Array(nodes - 1).fill(hex('05 00'))]);

  it('passes 16 levels and refuses 17', () => {
    expect(checkStrictDer(nested(16))).to.equal(undefined);
    expect(checkStrictDer(nested(17))).to.match(/too deep/);
  });
  it('passes 512 values and refuses 513', () => {
    expect(checkStrictDer(many(512))).to.equal(undefined);
    expect(checkStrictDer(many(512), { maxDepth: 2, maxNodes: 511 })).to.match(/too many/);
  });
  it('is done at once with a megabyte of nesting', () => {
    expect(checkStrictDer(Buffer.alloc(1_000_000, 0x30))).to.be.a('string');
  });
  it('splits content into its values, and answers undefined where it cannot', () => {
    expect(derElements(hex('05 00 02 01 07'))?.map((element) => element.tag)).to.deep.equal([5, 2]);
    expect(derElements(hex('05 00 02 05 07'))).to.equal(undefined);
  });
});

describe('pki: hostile bytes', () => {
  const KEYS: readonly TestKeyName[] = ['P-256', 'P-384', 'P-521', 'RSA-2048', 'Ed25519'];
  const keys = fc.constantFrom(...KEYS);
  const requests = fc.constantFrom(
    ...KEYS.map((key) => buildCsrDer({ key, dns: ['worker-1'], ips: ['10.0.0.1', '2001:db8::1'] })),
  );
  const change = fc.record({ at: fc.nat(), octet: fc.nat(255) });
  const asRequest = (der: Uint8Array): Uint8Array => Buffer.from(formatPem('CERTIFICATE REQUEST', der));

  const publicKeyOf = (key: TestKeyName): Uint8Array => testKey(key).publicKey.export({ type: 'spki', format: 'der' });

  it('every single changed byte of a request is noticed, and nothing is thrown', function () {
    this.timeout(120_000);
    fc.assert(
      fc.property(requests, change, (request, { at, octet }) => {
        const bytes = Buffer.from(request);
        const offset = at % bytes.length;
        fc.pre(bytes[offset] !== octet);
        bytes.writeUInt8(octet, offset);
        const reading = readKubeletCsr(asRequest(bytes));
        expect(reading.csr).to.equal(undefined);
        expect(reading.problems).to.not.have.length(0);
      }),
      { numRuns: 2000 },
    );
  });

  it('many changes at once, cuts and additions never throw', () => {
    const edits = fc.array(change, { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(requests, edits, fc.nat(), fc.uint8Array({ maxLength: 8 }), (request, changes, cut, added) => {
        const bytes = Buffer.concat([request.subarray(0, request.length - (cut % 50)), added]);
        for (const { at, octet } of changes) bytes.writeUInt8(octet, at % bytes.length);
        fc.pre(Buffer.compare(bytes, request) !== 0);
        expect(readKubeletCsr(asRequest(bytes)).csr).to.equal(undefined);
      }),
      { numRuns: 1000 },
    );
  });

  it('bytes of any kind never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(readKubeletCsr(bytes).csr).to.equal(undefined);
        expect(readKubeletCsr(asRequest(bytes)).csr).to.equal(undefined);
        expect(parseExactly(bytes, Certificate)).to.have.property('problem');
      }),
      { numRuns: 1000 },
    );
  });

  it('what was written is what is read', () => {
    const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
    const dns = fc.array(
      fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.')),
      { maxLength: 10 },
    );
    const address = fc.oneof(...[4, 16].map((length) => fc.uint8Array({ minLength: length, maxLength: length })));
    const ips = fc.array(address, { maxLength: 10 });
    const text = fc.string({ minLength: 1, unit: 'grapheme' });
    fc.assert(
      fc.property(dns, ips, text, text, keys, (dns, ips, organization, commonName, key) => {
        const { csr } = readKubeletCsr(asRequest(buildCsrDer({ dns, ips, organization, commonName, key })));
        expect(csr).to.include({ organization, commonName });
        expect(csr?.dnsNames).to.deep.equal(dns);
        expect(csr?.ipAddresses.map((ip) => [...ip])).to.deep.equal(ips.map((ip) => [...ip]));
        expect([...(csr?.publicKeyDer ?? [])]).to.deep.equal([...publicKeyOf(key)]);
      }),
      { numRuns: 300 },
    );
  });
});
