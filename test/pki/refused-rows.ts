import { expect } from 'chai';
import { it } from 'mocha';
import type { CsrProblemCode, CsrReading } from '../../src/pki/kubelet-csr.ts';
import { readCommonName, readKubeletCsr } from '../../src/pki/pkcs10.ts';
import { buildCsrPem, type CsrParts } from '../support/csr-builder.ts';

/** What is asked for, the one code it gets, how the request differs from a good one, what the message quotes. */
export type RefusedRow = readonly [string, CsrProblemCode, CsrParts, RegExp];

/** The whole reading, and that the name alone is the same. */
export function read(text: string): CsrReading {
  const request = Buffer.from(text, 'latin1');
  const reading = readKubeletCsr(request);
  expect(readCommonName(request)).to.equal(reading.seen.commonName);
  return reading;
}

/** A test per row: no problem with it. */
export function accepts(rows: readonly (readonly [string, CsrParts])[]): void {
  for (const [name, parts] of rows) {
    it(`reads ${name}`, () => {
      expect(read(buildCsrPem(parts)).problems).to.deep.equal([]);
    });
  }
}

/** A test per row: exactly this code, its message, and no `csr` to sign from. */
export function refuses(rows: readonly RefusedRow[]): void {
  for (const [name, code, parts, message] of rows) {
    it(`refuses ${name}: ${code}`, () => {
      const reading = read(buildCsrPem(parts));
      expect(reading.problems.map((problem) => problem.code)).to.deep.equal([code]);
      expect(reading.problems[0]?.message).to.match(message);
      expect(reading.csr).to.equal(undefined);
    });
  }
}
