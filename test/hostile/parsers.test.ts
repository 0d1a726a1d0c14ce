import { CertificationRequest } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { readOnePem } from '../../src/pki/pem.ts';
import { readKubeletCsr } from '../../src/pki/pkcs10.ts';
import { kubeletCsrs } from '../support/kubelet-csrs.ts';
import { skipWithout } from '../support/skip.ts';
import { seenByGoOf } from './go-reader.ts';
import { goodRequest, type HostileCase, hostileRequests, inPem, seeds } from './corpus.ts';
import { type Seen, seenByOpenssl, seenByPeculiar, seenByUs } from './parsers.ts';

const PAIRS = 3000;

/** A request that our reader accepts, and what it read. */
interface Accepted extends HostileCase {
  readonly seen: Seen;
}

describe('hostile DER beside other parsers', function () {
  this.timeout(300_000);
  const all = seeds();
  const good: HostileCase[] = [
    ...all.map((seed) => ({ name: seed.name, request: inPem(goodRequest(seed)) })),
    ...kubeletCsrs().map(({ name, csr }) => ({ name, request: Buffer.from(csr.request) })),
  ];
  const accepted: Accepted[] = [];
  let cases = 0;

  const holds = (found: Seen | string, { name, request, seen }: Accepted): void => {
    expect(found, `${name}\n${Buffer.from(request).toString('latin1')}`).to.deep.equal(seen);
  };

  before('read the corpus', () => {
    const distinct = new Map<string, Accepted>();
    for (const { name, request } of [...good, ...hostileRequests(all, PAIRS)]) {
      cases += 1;
      const { csr } = readKubeletCsr(request);
      const text = Buffer.from(request).toString('latin1');
      if (csr !== undefined && !distinct.has(text)) distinct.set(text, { name, request, seen: seenByUs(csr) });
    }
    accepted.push(...distinct.values());
  });

  it('has more than twenty thousand cases, and some hundred of them are harmless', () => {
    process.stdout.write(`      ${cases} cases, of which ${accepted.length} are harmless\n`);
    expect(cases).to.be.greaterThan(20_000);
    expect(accepted.length).to.be.within(300, 1000);
  });

  it('is made from requests that we accept, as we do those of kubelets', () => {
    expect(accepted.map(({ name }) => name)).to.include.members(good.map(({ name }) => name));
  });

  it('what we accept, Go accepts, with the same names and key', async function () {
    const requests = accepted.map(({ request }) => request);
    for (const [index, found] of (await seenByGoOf(this, requests)).entries()) {
      holds(found, accepted[index] as Accepted);
    }
  });

  it('what we accept, OpenSSL accepts, with the same names and key', async function () {
    skipWithout(this, 'openssl');
    for (const each of accepted) holds(await seenByOpenssl(each.request), each);
  });

  it('what we accept, @peculiar/asn1-csr reads, and writes back to the same bytes', () => {
    for (const { name, request, seen } of accepted) {
      const pem = readOnePem(Buffer.from(request).toString('latin1'), 'CERTIFICATE REQUEST');
      if ('problem' in pem) throw new Error(`${name}: ${pem.problem}`);
      const parsed = AsnConvert.parse(pem.der, CertificationRequest);
      const { subjectPKInfo } = parsed.certificationRequestInfo;
      expect(Buffer.from(AsnConvert.serialize(subjectPKInfo)).toString('hex'), name).to.equal(seen.publicKey);
      expect(Buffer.from(AsnConvert.serialize(parsed)).equals(pem.der), name).to.equal(true);
    }
  });

  it('what we accept, @peculiar/x509 accepts, with the same names and key', async () => {
    for (const each of accepted) holds(await seenByPeculiar(each.request), each);
  });
});
