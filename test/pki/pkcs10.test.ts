import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { der, sequence, unsignedInteger } from '../../src/pki/der-writer.ts';
import { OID } from '../../src/pki/oids.ts';
import { formatPem } from '../../src/pki/pem.ts';
import type { CsrProblemCode } from '../../src/pki/kubelet-csr.ts';
import { LARGEST_REQUEST_BYTES } from '../../src/pki/pkcs10.ts';
import { derElements } from '../../src/pki/strict-der.ts';
import { addressBytes, buildCsrPem, type CsrParts, rdn, testKey, type TestKeyName } from '../support/csr-builder.ts';
import { read, refuses } from './refused-rows.ts';
import { skipWithout } from '../support/skip.ts';

const codes = (text: string): string[] => read(text).problems.map((problem) => problem.code);

const O = rdn(OID.organization, 'system:nodes');
const CN = rdn(OID.commonName, 'system:node:worker-1');
const utf8 = (text: string): Uint8Array => der(0x0c, Buffer.from(text));
/** CertificationRequestInfo and the signature's algorithm. */
function fieldsOf(request: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const [whole] = derElements(request) ?? [];
  const [info, algorithm] = derElements(whole?.content ?? request) ?? [];
  if (info === undefined || algorithm === undefined) throw new Error('no request');
  return [info.raw, algorithm.raw];
}
const nested = (depth: number): Uint8Array => (depth === 0 ? der(0x05) : sequence(nested(depth - 1)));
const addresses = (count: number): string[] => Array.from({ length: count }, (_, index) => `10.0.0.${index}`);

describe('pki/pkcs10: what a kubelet sends', () => {
  const GOOD: readonly [string, CsrParts, object][] = [
    ['a client request of a P-256 key', {}, { type: 'ec', curve: 'P-256' }],
    ['one of a P-384 key', { key: 'P-384' }, { type: 'ec', curve: 'P-384' }],
    ['one of a P-521 key', { key: 'P-521' }, { type: 'ec', curve: 'P-521' }],
    ['one of an Ed25519 key', { key: 'Ed25519' }, { type: 'ed25519' }],
    ['one of an RSA key of 2048 bits, the smallest', { key: 'RSA-2048' }, { type: 'rsa', bits: 2048 }],
    ['an RSA key with SHA-512', { key: 'RSA-2048', hash: 'sha512' }, { type: 'rsa', bits: 2048 }],
    ['a P-256 key with SHA-384', { hash: 'sha384' }, { type: 'ec', curve: 'P-256' }],
  ];
  for (const [name, parts, key] of GOOD) {
    it(`reads ${name}`, () => {
      const { csr, problems } = read(buildCsrPem(parts));
      expect(problems).to.deep.equal([]);
      expect(csr).to.include({ organization: 'system:nodes', commonName: 'system:node:worker-1' });
      expect(csr?.key).to.deep.equal(key);
      expect(csr?.dnsNames).to.deep.equal([]);
      expect(csr?.ipAddresses).to.deep.equal([]);
      expect(createPublicKey({ key: Buffer.from(csr?.publicKeyDer ?? []), format: 'der', type: 'spki' }).type).to.equal(
        'public',
      );
    });
  }

  it('reads a serving request: names and addresses each in the order of the request', () => {
    const { csr } = read(buildCsrPem({ dns: ['b.example', 'a'], ips: ['10.0.0.1', '2001:db8::1', '10.0.0.0'] }));
    expect(csr?.dnsNames).to.deep.equal(['b.example', 'a']);
    expect(csr?.ipAddresses.map((bytes) => Buffer.from(bytes).toString('hex'))).to.deep.equal([
      '0a000001',
      '20010db8000000000000000000000001',
      '0a000000',
    ]);
  });

  it('reads a subject in UTF8String', () => {
    const subjectDer = sequence(
      rdn(OID.organization, utf8('system:nodes')),
      rdn(OID.commonName, utf8('system:node:ü')),
    );
    expect(read(buildCsrPem({ subjectDer })).csr?.commonName).to.equal('system:node:ü');
  });

  it('leaves it to the policy whether O and CN are those of a node', () => {
    expect(codes(buildCsrPem({ organization: 'system:masters', commonName: 'admin' }))).to.deep.equal([]);
  });

  it('reads the request without its final newline', () => {
    expect(codes(buildCsrPem().trimEnd())).to.deep.equal([]);
  });

  it('reads 64 names and addresses', () => {
    expect(read(buildCsrPem({ ips: addresses(64) })).csr?.ipAddresses).to.have.length(64);
  });

  it('reads DNS names at their longest: labels of 63, 253 in all', () => {
    const label = 'a'.repeat(63);
    const name = `${label}.${label}.${label}.${'b'.repeat(61)}`;
    expect(read(buildCsrPem({ dns: [name] })).csr?.dnsNames).to.deep.equal([name]);
  });
});

describe('pki/pkcs10: what no kubelet sends', () => {
  refuses([
    ['version 1', 'DerMalformed', { versionDer: unsignedInteger(Uint8Array.of(1)) }, /version is not 0/],
    [
      'a value after the attributes',
      'DerMalformed',
      { trailingInfoDer: der(0x05) },
      /not version, subject, public key and attributes/,
    ],
    ['no attributes at all', 'DerMalformed', { attributesField: new Uint8Array() }, /not version, subject, public key/],
    [
      'attributes in primitive form',
      'DerMalformed',
      { attributesField: der(0x80) },
      /not version, subject, public key/,
    ],
    ['attributes of another tag', 'DerMalformed', { attributesField: der(0xa1) }, /not version, subject, public key/],
    ['version 256', 'DerMalformed', { versionDer: unsignedInteger(Uint8Array.of(1, 0)) }, /version is not 0/],
    ['a version that is no number', 'DerMalformed', { versionDer: utf8('0') }, /not version, subject, public key/],
    ['a subject that is a SET', 'DerMalformed', { subjectDer: der(0x31) }, /not version, subject, public key/],
    ['a key that is a SET', 'DerMalformed', { publicKeyDer: der(0x31) }, /not version, subject, public key/],
    ['an algorithm that is a SET', 'DerMalformed', { signatureAlgorithmDer: der(0x31) }, /not information, algorithm/],
    [
      'a signature that is not whole octets',
      'DerMalformed',
      {
        change: (request) => {
          const [info, algorithm] = fieldsOf(request);
          return sequence(info, algorithm, der(0x03, Uint8Array.of(1, 0x80)));
        },
      },
      /whole octets/,
    ],
    [
      'a signature in an OCTET STRING',
      'DerMalformed',
      {
        change: (request) => {
          const [info, algorithm] = fieldsOf(request);
          return sequence(info, algorithm, der(0x04, Uint8Array.of(0)));
        },
      },
      /not information, algorithm and signature/,
    ],
    [
      'a request without signature',
      'DerMalformed',
      {
        change: (request) => {
          const [info, algorithm] = fieldsOf(request);
          return sequence(info, algorithm);
        },
      },
      /not information, algorithm and signature/,
    ],
    ['values nested too deep', 'DerMalformed', { attributesDer: [nested(20)] }, /too deep/],
    ['too many values', 'DerMalformed', { attributesDer: Array(600).fill(der(0x05)) }, /too many/],
    [
      'bytes after the request',
      'DerMalformed',
      { change: (request) => Buffer.concat([request, Uint8Array.of(0)]) },
      /1 bytes follow/,
    ],
    [
      'a second request after the first',
      'DerMalformed',
      { change: (request) => Buffer.concat([request, request]) },
      /bytes follow/,
    ],
    [
      'a fourth value in the request',
      'DerMalformed',
      { change: (request) => sequence(request.subarray(request[1] === 0x81 ? 3 : 4), der(0x05)) },
      /not information, algorithm and signature/,
    ],
    [
      'a length that is not minimal',
      'DerMalformed',
      {
        change: (request) => Buffer.concat([Uint8Array.of(0x30, 0x83, 0), request.subarray(2)]),
      },
      /length/,
    ],
    ['a request cut off', 'DerMalformed', { change: (request) => request.subarray(0, -1) }, /longer than/],
  ]);

  const good = buildCsrPem();
  const TEXTS: readonly [string, CsrProblemCode, string][] = [
    ['garbage in the block', 'DerMalformed', formatPem('CERTIFICATE REQUEST', Buffer.from('garbage'))],
    ['a certificate in the block', 'DerMalformed', formatPem('CERTIFICATE REQUEST', sequence(sequence()))],
    ['one byte too many', 'RequestTooLarge', good.padEnd(LARGEST_REQUEST_BYTES + 1, '\n')],
    ['a megabyte', 'RequestTooLarge', good.padEnd(1_000_000, 'x')],
  ];
  for (const [name, code, text] of TEXTS) {
    it(`refuses ${name}: ${code}`, () => {
      expect(codes(text)).to.deep.equal([code]);
    });
  }

  it('takes a request of exactly the largest size to the next check', () => {
    expect(codes(good.padEnd(LARGEST_REQUEST_BYTES, '\n'))).to.deep.equal(['PemMalformed']);
  });

  it('collects every problem, and still tells people what it saw', () => {
    const subjectDer = sequence(O, CN, rdn('2.5.4.11', 'x'));
    const reading = read(buildCsrPem({ subjectDer, dns: ['A'], ips: ['10.0.0.1'], signer: testKey('P-256', 1) }));
    expect(reading.problems.map((problem) => problem.code)).to.have.members([
      'SubjectMalformed',
      'SanMalformed',
      'SignatureInvalid',
    ]);
    expect(reading.csr).to.equal(undefined);
    expect(reading.seen).to.include({ organization: 'system:nodes', commonName: 'system:node:worker-1' });
    expect(reading.seen.dnsNames).to.deep.equal(['A']);
  });

  it('does not say which CN it saw when there are two', () => {
    const reading = read(buildCsrPem({ subjectDer: sequence(O, CN, rdn(OID.commonName, 'system:node:b')) }));
    expect(reading.seen).to.not.have.property('commonName');
  });

  it('quotes hostile values short and in printable ASCII', () => {
    const dns = Array.from({ length: 60 }, () => `\x1b[31m${'é'.repeat(90)}`);
    const [problem] = read(buildCsrPem({ dns })).problems;
    expect(problem?.message).to.match(/^[ -~…]*$/);
    expect(problem?.message.length).to.be.lessThan(2000);
    expect(problem?.message).to.include('and 57 more');
  });
});

describe('pki/pkcs10 beside openssl', () => {
  let folder: string;

  before(function () {
    folder = mkdtempSync(join(tmpdir(), 'csr-'));
    skipWithout(this, 'openssl');
  });
  after(() => rmSync(folder, { recursive: true }));

  function opensslCsr(key: TestKeyName, extra = ''): string {
    const config = join(folder, 'config');
    const keyFile = join(folder, 'key');
    const names = 'subjectAltName=DNS:worker-1,IP:10.0.0.1,IP:2001:db8::1';
    const subject = '[dn]\nO=system:nodes\nCN=system:node:worker-1\n';
    writeFileSync(config, `[req]\ndistinguished_name=dn\nprompt=no\n${extra}\n${subject}[ext]\n${names}\n`);
    writeFileSync(keyFile, testKey(key).privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return execFileSync('openssl', ['req', '-new', '-key', keyFile, '-config', config], { encoding: 'utf8' });
  }

  for (const key of ['RSA-2048', 'P-384', 'Ed25519'] as const) {
    it(`reads a request that openssl made with a key of type ${key}`, () => {
      expect(read(opensslCsr(key)).problems).to.deep.equal([]);
    });
  }

  it('reads the names and addresses in it', () => {
    const { csr } = read(opensslCsr('P-256', 'req_extensions=ext'));
    expect(csr?.dnsNames).to.deep.equal(['worker-1']);
    expect(csr?.ipAddresses.map((bytes) => Buffer.from(bytes))).to.deep.equal(
      ['10.0.0.1', '2001:db8::1'].map((address) => Buffer.from(addressBytes(address))),
    );
  });

  it('makes requests in its tests that openssl verifies', () => {
    for (const parts of [{}, { key: 'RSA-2048' }, { key: 'Ed25519', dns: ['a'], ips: ['::1'] }] satisfies CsrParts[]) {
      execFileSync('openssl', ['req', '-verify', '-noout'], { input: buildCsrPem(parts), stdio: 'pipe' });
    }
  });
});
