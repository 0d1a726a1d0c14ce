import 'reflect-metadata';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { localSigner } from '../../src/local-ca/signer.ts';
import { certificateBuilder } from '../../src/pki/certificate-builder.ts';
import type { CertificatePlan } from '../../src/pki/certificate-plan.ts';
import { objectIdentifier, time, unsignedInteger } from '../../src/pki/der-writer.ts';
import { checkStrictDer, derElements } from '../../src/pki/strict-der.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { addressBytes, testAuthority, type TestAuthority, testKey } from '../support/csr-builder.ts';
import { skipWithout } from '../support/skip.ts';

const START = Date.UTC(2026, 5, 1);
const client: CertificatePlan = {
  nodeName: 'worker-1',
  usage: 'client',
  publicKeyDer: testKey('P-256').publicKey.export({ type: 'spki', format: 'der' }),
  keyEncipherment: false,
  dnsNames: [],
  ipAddresses: [],
  notBefore: START,
  notAfter: START + 86_400_000,
};
const serving: CertificatePlan = {
  ...client,
  usage: 'serving',
  dnsNames: ['b.example', 'a'],
  ipAddresses: ['10.0.0.2', '2001:db8::1', '10.0.0.1'].map(addressBytes),
};

const hex = (bytes: Uint8Array | ArrayBuffer): string => Buffer.from(bytes as Uint8Array).toString('hex');

async function issue(authority: TestAuthority, plan: CertificatePlan): Promise<x509.X509Certificate> {
  return new x509.X509Certificate(await issuePem(authority, plan));
}

function issuePem(authority: TestAuthority, plan: CertificatePlan): Promise<string> {
  const source = { describe: () => 'a test', load: () => Promise.resolve(authority) };
  const signer = localSigner({ source, clock: systemClock, onProblem: (message) => expect.fail(message) });
  return signer.sign(plan, new Uint8Array(), new AbortController().signal);
}

/** The whole INTEGER in hex. */
function serialOf(certificate: Uint8Array): string {
  const [whole] = derElements(certificate) ?? [];
  const [tbs] = derElements(whole?.content ?? Buffer.of()) ?? [];
  const [, serial] = derElements(tbs?.content ?? Buffer.of()) ?? [];
  return hex(serial?.raw ?? Buffer.of());
}

/** identifier, critical, value in hex: what a reader sees, in order. */
function extensionsOf(certificate: x509.X509Certificate): [string, boolean, string][] {
  return certificate.extensions.map((extension) => [extension.type, extension.critical, hex(extension.value)]);
}

describe('pki/certificate-builder: as kube-controller-manager issues it', () => {
  let authority: TestAuthority;
  let keyId: string;
  before(async () => {
    authority = await testAuthority('P-256', { subject: [{ O: ['Exämple'] }, { CN: ['test-ca'] }] });
    keyId = authority.certificate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId ?? '';
  });

  it('makes a client certificate: KU, EKU, BasicConstraints, AKI, in this order, and no SKI', async () => {
    expect(extensionsOf(await issue(authority, client))).to.deep.equal([
      ['2.5.29.15', true, '03020780'],
      ['2.5.29.37', false, '300a06082b06010505070302'],
      ['2.5.29.19', true, '3000'],
      ['2.5.29.35', false, `30168014${keyId}`],
    ]);
  });

  it('makes a serving certificate: a SAN at the end, DNS first, each kind in the order of the request', async () => {
    const names = '300a06082b06010505070301';
    const san =
      '302c' +
      '8209622e6578616d706c65' +
      '820161' +
      '87040a000002' +
      '871020010db8000000000000000000000001' +
      '87040a000001';
    expect(extensionsOf(await issue(authority, serving))).to.deep.equal([
      ['2.5.29.15', true, '03020780'],
      ['2.5.29.37', false, names],
      ['2.5.29.19', true, '3000'],
      ['2.5.29.35', false, `30168014${keyId}`],
      ['2.5.29.17', false, san],
    ]);
  });

  it('adds key encipherment when the plan has it', async () => {
    const certificate = await issue(authority, { ...client, keyEncipherment: true });
    expect(extensionsOf(certificate)[0]).to.deep.equal(['2.5.29.15', true, '030205a0']);
  });

  it('leaves the AKI out when the CA has no SKI', async () => {
    const plain = await testAuthority('P-256', { withSubjectKeyId: false });
    const types = extensionsOf(await issue(plain, client)).map(([type]) => type);
    expect(types).to.deep.equal(['2.5.29.15', '2.5.29.37', '2.5.29.19']);
  });

  const subjectOf = (certificate: x509.X509Certificate): string => hex(certificate.subjectName.toArrayBuffer());
  it('writes O and then CN, each in its RDN, as PrintableString', async () => {
    const organization = `31153013060355040a130c${hex(Buffer.from('system:nodes'))}`;
    const commonName = `311d301b06035504031314${hex(Buffer.from('system:node:worker-1'))}`;
    expect(subjectOf(await issue(authority, client))).to.equal(`3036${organization}${commonName}`);
  });
  for (const name of ['worker_1', 'a@b', 'ü']) {
    it(`writes the CN of ${name} as UTF8String`, async () => {
      const text = hex(Buffer.from(`system:node:${name}`));
      const length = Buffer.of(text.length / 2).toString('hex');
      expect(subjectOf(await issue(authority, { ...client, nodeName: name }))).to.include(
        `06035504030c${length}${text}`,
      );
    });
  }

  it("writes the CA's subject as issuer, byte for byte", async () => {
    const certificate = await issue(authority, client);
    const issuer = certificate.issuerName.toArrayBuffer();
    expect(hex(issuer)).to.equal(hex(authority.certificate.subjectName.toArrayBuffer()));
    expect(certificate.issuer).to.include('Exämple');
  });

  it('takes the key and the validity of the plan', async () => {
    const certificate = await issue(authority, client);
    expect(hex(certificate.publicKey.rawData)).to.equal(hex(client.publicKeyDer));
    expect(certificate.notBefore.getTime()).to.equal(client.notBefore);
    expect(certificate.notAfter.getTime()).to.equal(client.notAfter);
  });

  it('draws serial numbers of 16 octets, 17 with the leading 00, none twice', async () => {
    const serials = new Set<string>();
    for (let count = 0; count < 100; count += 1) {
      const serial = serialOf(new X509Certificate(await issuePem(authority, client)).raw);
      expect(serial).to.match(/^0210(?!00)[0-7]|^021100[89a-f]/);
      serials.add(serial);
    }
    expect(serials.size).to.equal(100);
  });

  it('answers one PEM block with a newline at its end', async () => {
    expect(await issuePem(authority, client)).to.match(
      /^-----BEGIN CERTIFICATE-----\n[^-]+\n-----END CERTIFICATE-----\n$/,
    );
  });
});

describe('pki/certificate-builder: every kind of CA', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ca-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const ALGORITHMS = [
    ['P-256', '300a06082a8648ce3d040302'],
    ['P-384', '300a06082a8648ce3d040303'],
    ['RSA-2048', '300d06092a864886f70d01010b0500'],
  ] as const;
  for (const [kind, algorithm] of ALGORITHMS) {
    it(`signs with ${kind}: node:crypto, @peculiar/x509 and strict DER agree`, async () => {
      const authority = await testAuthority(kind);
      const pem = await issuePem(authority, serving);
      const leaf = new X509Certificate(pem);
      expect(checkStrictDer(leaf.raw)).to.equal(undefined);
      expect(hex(leaf.raw)).to.include(algorithm);
      expect(leaf.verify(new X509Certificate(authority.certPem).publicKey)).to.equal(true);
      expect(leaf.subjectAltName).to.equal(
        'DNS:b.example, DNS:a, IP Address:10.0.0.2, IP Address:2001:DB8:0:0:0:0:0:1, IP Address:10.0.0.1',
      );
      expect(
        await new x509.X509Certificate(pem).verify({ publicKey: authority.certificate, signatureOnly: true }),
      ).to.equal(true);
    });

    it(`makes a certificate with ${kind} that openssl verifies for its purpose`, async function () {
      skipWithout(this, 'openssl');
      const authority = await testAuthority(kind);
      const [ca, leaf] = [join(folder, 'ca.pem'), join(folder, 'leaf.pem')];
      writeFileSync(ca, authority.certPem);
      for (const [plan, purpose] of [
        [client, 'sslclient'],
        [serving, 'sslserver'],
      ] as const) {
        const now = Math.floor(Date.now() / 1000) * 1000;
        writeFileSync(leaf, await issuePem(authority, { ...plan, notBefore: now - 60_000, notAfter: now + 60_000 }));
        const said = execFileSync('openssl', ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', ca, leaf], {
          encoding: 'utf8',
        });
        expect(said).to.match(/: OK\n$/);
        expect(() =>
          execFileSync(
            'openssl',
            ['verify', '-purpose', purpose === 'sslclient' ? 'sslserver' : 'sslclient', '-CAfile', ca, leaf],
            {
              stdio: 'pipe',
            },
          ),
        ).to.throw(/unsuitable|purpose/);
      }
    });
  }
});

describe('pki/certificate-builder: encodings', () => {
  const issuer = {
    subjectDer: Buffer.from('3000', 'hex'),
    subjectKeyId: undefined,
    algorithm: 'ecdsa-with-SHA256',
  } as const;
  for (const [name, serial, octets] of [
    ['16 octets below 80', `7f${'00'.repeat(15)}`, `02107f${'00'.repeat(15)}`],
    ['16 octets from 80 on, with a leading 00', `80${'00'.repeat(15)}`, `02110080${'00'.repeat(15)}`],
    ['as few octets as it takes', `${'00'.repeat(15)}05`, '020105'],
  ] as const) {
    it(`writes a serial number of ${name}`, () => {
      const built = certificateBuilder(issuer);
      const toBeSigned = built.toBeSigned(client, Buffer.from(serial, 'hex'));
      expect(serialOf(built.certificate(toBeSigned, Buffer.of(0)))).to.equal(octets);
    });
  }
  it('writes UTCTime through 2049 and GeneralizedTime after it', () => {
    expect(hex(time(Date.UTC(2049, 11, 31, 23, 59, 59, 999)))).to.equal(`170d${hex(Buffer.from('491231235959Z'))}`);
    expect(hex(time(Date.UTC(2050, 0, 1)))).to.equal(`180f${hex(Buffer.from('20500101000000Z'))}`);
  });
  it('writes identifiers with sub-identifiers of one to five octets', () => {
    expect(hex(objectIdentifier('2.5.29.15'))).to.equal('0603551d0f');
    expect(hex(objectIdentifier('1.2.840.113549.1.1.11'))).to.equal('06092a864886f70d01010b');
    expect(hex(objectIdentifier('1.3.6.1.4.1.4294967295'))).to.equal('060a2b060104018fffffff7f');
  });
  it('writes 0 as one octet', () => {
    expect(hex(unsignedInteger(Buffer.of(0, 0)))).to.equal('020100');
  });
});
