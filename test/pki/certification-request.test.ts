import { sign } from 'node:crypto';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { requestToBeSigned, signedRequest } from '../../src/pki/certification-request.ts';
import { formatPem } from '../../src/pki/pem.ts';
import { readKubeletCsr } from '../../src/pki/pkcs10.ts';
import { addressBytes, testKey } from '../support/csr-builder.ts';

describe('pki/certification-request', () => {
  const { publicKey, privateKey } = testKey('P-256');
  const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
  for (const [what, dnsNames, ipAddresses] of [
    ['without names', [], []],
    ['with names', ['worker-1', 'worker-1.example.internal'], [addressBytes('10.0.0.7'), addressBytes('fd00::7')]],
  ] as const) {
    it(`makes a request ${what} that the strict reader takes for a kubelet's`, () => {
      const toBeSigned = requestToBeSigned({ nodeName: 'worker-1', publicKeyDer, dnsNames, ipAddresses });
      const request = signedRequest(toBeSigned, sign('sha256', toBeSigned, privateKey));
      const { csr, problems } = readKubeletCsr(Buffer.from(formatPem('CERTIFICATE REQUEST', request)));
      expect(problems).to.deep.equal([]);
      expect(csr?.commonName).to.equal('system:node:worker-1');
      expect(csr?.dnsNames).to.deep.equal(dnsNames);
      expect(csr?.ipAddresses.map((address) => Buffer.from(address))).to.deep.equal(
        ipAddresses.map((each) => Buffer.from(each)),
      );
      expect(Buffer.from(csr?.publicKeyDer ?? [])).to.deep.equal(publicKeyDer);
    });
  }
});
