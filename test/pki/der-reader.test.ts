import { expect } from 'chai';
import { describe, it } from 'mocha';
import { derFields, dotted, readAlgorithm, TAG, wholeOctets } from '../../src/pki/der-reader.ts';
import { der, objectIdentifier } from '../../src/pki/der-writer.ts';

const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('pki/der-reader', () => {
  const IDENTIFIERS: readonly (readonly [string, string])[] = [
    ['00', '0.0'],
    ['27', '0.39'],
    ['28', '1.0'],
    ['4f', '1.39'],
    ['50', '2.0'],
    ['55 04 03', '2.5.4.3'],
    ['88 37 03', '2.999.3'],
    ['2a 86 48 86 f7 0d', '1.2.840.113549'],
    ['69 83 ff ff ff ff ff ff ff ff 7f', '2.25.36893488147419103231'],
  ];
  for (const [content, text] of IDENTIFIERS) {
    it(`reads ${text}`, () => {
      expect(dotted(bytes(content))).to.equal(text);
    });
  }

  it('prints an identifier of 32 octets and only measures one of 33', () => {
    expect(dotted(Buffer.alloc(32, 1))).to.match(/^0\.1(\.1){31}$/);
    expect(dotted(Buffer.alloc(33, 1))).to.equal('(identifier of 33 octets)');
  });

  it('gives the fields when there are as many, with these tags', () => {
    const content = bytes('02 01 07 05 00');
    expect(derFields(content, [TAG.integer, 0x05])?.map((field) => [...field.content])).to.deep.equal([[7], []]);
    expect(derFields(content, [TAG.integer])).to.equal(undefined);
    expect(derFields(content, [TAG.integer, 0x05, 0x05])).to.equal(undefined);
    expect(derFields(content, [TAG.integer, TAG.boolean])).to.equal(undefined);
    expect(derFields(bytes('02 05 07'), [TAG.integer])).to.equal(undefined);
    expect(derFields(bytes(''), [])).to.deep.equal([]);
  });

  it('gives the octets of a BIT STRING of whole ones', () => {
    expect([...(wholeOctets(bytes('00 01 02')) ?? [])]).to.deep.equal([1, 2]);
    expect(wholeOctets(bytes('01 80'))).to.equal(undefined);
    expect(wholeOctets(bytes(''))).to.equal(undefined);
  });

  it('reads an algorithm with at most one value of parameters', () => {
    const id = objectIdentifier('1.2.3');
    const nothing = der(0x05);
    expect(readAlgorithm(id)).to.deep.equal({ id: '1.2.3', parameters: '' });
    expect(readAlgorithm(Buffer.concat([id, nothing]))).to.deep.equal({ id: '1.2.3', parameters: '0500' });
    expect(readAlgorithm(Buffer.concat([id, nothing, nothing]))).to.equal(undefined);
    expect(readAlgorithm(nothing)).to.equal(undefined);
  });
});
