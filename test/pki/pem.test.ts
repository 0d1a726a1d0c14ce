import { expect } from 'chai';
import { describe, it } from 'mocha';
import { formatPem, readPemBlocks } from '../../src/pki/pem.ts';
import { buildCsrDer, buildCsrPem } from '../support/csr-builder.ts';
import { read } from './refused-rows.ts';

const good = buildCsrPem();
const inBase64 = (der: Uint8Array): string => formatPem('CERTIFICATE REQUEST', der);

describe('pki/pem: a request', () => {
  const TEXTS: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['text before the block', `x\n${good}`],
    ['text after the block', `${good}x`],
    ['an empty line after the block', `${good}\n`],
    ['a second block', good + good],
    ['another label', good.replaceAll('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')],
    ['a label in lower case', good.replaceAll('CERTIFICATE REQUEST', 'certificate request')],
    ['a certificate by its label', good.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE')],
    ['another label at the end', good.replace('END CERTIFICATE REQUEST', 'END CERTIFICATE')],
    ['a blank after the label', good.replace('REQUEST-----\n', 'REQUEST----- \n')],
    ['an empty line before the block', `\n${good}`],
    ['a byte order mark', `\xef\xbb\xbf${good}`],
    ['an empty line in the block', good.replace('REQUEST-----\n', 'REQUEST-----\n\n')],
    ['a blank in the base64', good.replace('REQUEST-----\nM', 'REQUEST-----\nM ')],
    ['base64 in the alphabet of URLs', inBase64(Buffer.alloc(3, 0xff)).replace('////', '____')],
    ['base64 without its padding', inBase64(Buffer.from('0500', 'hex')).replace('=', '')],
    ['base64 with bits that say nothing', inBase64(Buffer.from('0500', 'hex')).replace('A=', 'B=')],
    ['two blocks of base64 in one', inBase64(Buffer.from('0500', 'hex')).replace('=', '=BQA=')],
    ['a block in the block', good.replace('REQUEST-----\n', `REQUEST-----\n${good}`)],
    ['a header', good.replace('REQUEST-----\n', 'REQUEST-----\nProc-Type: 4\n\n')],
    ['carriage returns', good.replaceAll('\n', '\r\n')],
    ['base64 with a stray character', good.replace('M', '!')],
    ['no END line', good.slice(0, good.indexOf('-----END'))],
    ['DER without PEM', Buffer.from(buildCsrDer()).toString('latin1')],
    ['an empty block', formatPem('CERTIFICATE REQUEST', new Uint8Array())],
  ];
  for (const [name, text] of TEXTS) {
    it(`refuses ${name}: PemMalformed`, () => {
      expect(read(text).problems.map(({ code }) => code)).to.deep.equal(['PemMalformed']);
    });
  }

  for (const length of [4, 64, 76, 1000]) {
    it(`reads lines of ${length}`, () => {
      const base64 = Buffer.from(buildCsrDer()).toString('base64');
      const lines = base64.replaceAll(new RegExp(`.{1,${length}}`, 'g'), '$&\n');
      const text = `-----BEGIN CERTIFICATE REQUEST-----\n${lines}-----END CERTIFICATE REQUEST-----\n`;
      expect(read(text).problems).to.deep.equal([]);
    });
  }
});

describe('pki/pem: several blocks', () => {
  it('reads them in their order', () => {
    const ders = [Buffer.from('0500', 'hex'), Buffer.from('3000', 'hex')];
    expect(readPemBlocks(ders.map((der) => formatPem('X', der)).join(''), 'X')).to.deep.equal({ ders });
  });
});
