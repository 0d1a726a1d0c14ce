import * as fc from 'fast-check';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { review } from '../../src/policy/review.ts';
import { nodeNameOfUser, viewRequest } from '../../src/policy/request.ts';
import { CLIENT_SIGNER, type Csr, SERVING_SIGNER } from '../../src/ports.ts';
import { buildCsrPem } from '../support/csr-builder.ts';
import { goodCsr, NODE, ruleInput } from './good-request.ts';

const codesOfBytes = (request: Uint8Array): string[] =>
  viewRequest(goodCsr('renewal', { request }))
    .reading()
    .problems.map(({ code }) => code);

describe('policy/request: viewRequest', () => {
  it('reads a good request: path, node and token', () => {
    expect(viewRequest(goodCsr('bootstrap'))).to.include({ path: 'bootstrap', nodeName: NODE, tokenId: 'abcdef' });
    expect(viewRequest(goodCsr('renewal'))).to.include({ path: 'renewal', nodeName: NODE, tokenId: undefined });
    expect(viewRequest(goodCsr('serving'))).to.include({ path: 'serving', nodeName: NODE, tokenId: undefined });
  });

  const PATHS: readonly (readonly [username: string, signerName: string, path: string])[] = [
    ['system:bootstrap:abcdef', CLIENT_SIGNER, 'bootstrap'],
    ['system:bootstrap:', CLIENT_SIGNER, 'bootstrap'],
    ['system:bootstrap:abcdef', SERVING_SIGNER, 'other'],
    ['system:bootstrapabcdef', CLIENT_SIGNER, 'other'],
    ['system:node:a', CLIENT_SIGNER, 'renewal'],
    ['system:node:', CLIENT_SIGNER, 'renewal'],
    ['system:node:a', SERVING_SIGNER, 'serving'],
    ['system:node', SERVING_SIGNER, 'other'],
    ['system:node:a', 'kubernetes.io/kube-apiserver-client', 'other'],
    ['system:node:a', '', 'other'],
    ['', CLIENT_SIGNER, 'other'],
    [' system:node:a', CLIENT_SIGNER, 'other'],
  ];
  for (const [username, signerName, path] of PATHS) {
    it(`takes ${JSON.stringify(username)} for ${JSON.stringify(signerName)} as ${path}`, () => {
      const csr = goodCsr('renewal', { requester: { username }, csr: { signerName } });
      expect(viewRequest(csr).path).to.equal(path);
    });
  }

  const pem = Buffer.from(buildCsrPem());
  const BYTES: readonly (readonly [string, Uint8Array, string])[] = [
    ['nothing', new Uint8Array(), 'PemMalformed'],
    ['a megabyte of zeros', new Uint8Array(2 ** 20), 'RequestTooLarge'],
    ['a good request and a megabyte of blanks', Buffer.concat([pem, Buffer.alloc(2 ** 20, ' ')]), 'RequestTooLarge'],
    ['half a request', pem.subarray(0, pem.length / 2), 'PemMalformed'],
    ['two requests', Buffer.concat([pem, pem]), 'PemMalformed'],
    ['a certificate', Buffer.from(pem.toString().replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE')), 'PemMalformed'],
    ['bytes above 127', new Uint8Array(100).fill(0xff), 'PemMalformed'],
  ];
  for (const [what, bytes, code] of BYTES) {
    it(`says ${code} of ${what}, and knows no node`, () => {
      expect(codesOfBytes(bytes)).to.deep.equal([code]);
      expect(viewRequest(goodCsr('renewal', { request: bytes })).nodeName).to.equal(undefined);
    });
  }

  it('reads the whole of a request when it is asked for, and once', () => {
    const request = Buffer.from(pem);
    const { commonName, reading } = viewRequest(goodCsr('renewal', { request }));
    expect(commonName).to.equal('system:node:worker-1');
    request.fill(0);
    expect(reading().problems.map(({ code }) => code)).to.deep.equal(['PemMalformed']);
    request.set(pem);
    expect(reading().problems).to.have.length(1);
  });

  it('throws for no bytes at all, and none of them is approved', () => {
    const inside = fc.tuple(fc.nat(pem.length - 1), fc.nat(255)).map(([at, value]) => {
      const changed = Buffer.from(pem);
      changed[at] = value;
      return changed;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 2000 }), inside), (request) => {
        const input = ruleInput('renewal', { request });
        // The common name in `pem` is another node's: no change of a byte makes it that of the requester.
        expect(review(input).kind).to.equal('wait');
      }),
    );
  });

  it('throws for no field of a CSR that the API server stores', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('__proto__', 'constructor', 'system:node:'));
    const extra = fc.dictionary(text, fc.array(text));
    const fields = fc.record({
      signerName: fc.oneof(fc.constantFrom(CLIENT_SIGNER, SERVING_SIGNER), text),
      usages: fc.array(text),
      expirationSeconds: fc.oneof(fc.constant(undefined), fc.integer()),
      requester: fc.record({ username: text, uid: text, groups: fc.array(text), extra }),
    });
    fc.assert(
      fc.property(fields, (csr: Partial<Csr>) => {
        expect(review(ruleInput('renewal', { csr })).kind).to.equal('wait');
      }),
    );
  });
});

describe('policy/request: nodeNameOfUser', () => {
  const NAMES: readonly (readonly [string, string | undefined])[] = [
    ['system:node:worker-1', 'worker-1'],
    ['system:node:ip-10-0-0-1.ec2.internal', 'ip-10-0-0-1.ec2.internal'],
    [`system:node:${'a'.repeat(251)}`, 'a'.repeat(251)],
    [`system:node:${'a'.repeat(252)}`, undefined],
    ['system:node:', undefined],
    ['system:node:-a', undefined],
    ['system:node:a-', undefined],
    ['system:node:a..b', undefined],
    ['system:node:.a', undefined],
    ['system:node:a.', undefined],
    ['system:node:A', undefined],
    ['system:node:a_b', undefined],
    ['system:node:a:b', undefined],
    ['system:node:a\n', undefined],
    ['system:node:é', undefined],
    ['System:node:a', undefined],
    ['worker-1', undefined],
  ];
  for (const [username, name] of NAMES) {
    it(`of ${JSON.stringify(username.slice(0, 40))} is ${String(name?.slice(0, 40))}`, () => {
      expect(nodeNameOfUser(username)).to.equal(name);
    });
  }
});
