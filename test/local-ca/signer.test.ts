import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, beforeEach, describe, it } from 'mocha';
import { RefusedError, RemoteError } from '../../src/errors.ts';
import { pairFromFiles } from '../../src/local-ca/files.ts';
import type { PairTexts } from '../../src/local-ca/pair.ts';
import { localAuthorities, serialNumbers, type SourceTexts } from '../../src/local-ca/signer.ts';
import { checkAgainstPlan } from '../../src/pki/certificate-check.ts';
import type { CertificatePlan } from '../../src/pki/certificate-plan.ts';
import type { Authorities } from '../../src/ports/ca.ts';
import type { CertificateSigner } from '../../src/ports.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { testAuthority, type TestAuthority, testKey } from '../support/csr-builder.ts';

const START = Math.floor(Date.now() / 1000) * 1000;
const never = new AbortController().signal;
const NO_REQUEST = new Uint8Array();

const plan: CertificatePlan = {
  nodeName: 'worker-1',
  usage: 'client',
  publicKeyDer: testKey('P-256').publicKey.export({ type: 'spki', format: 'der' }),
  keyEncipherment: false,
  dnsNames: [],
  ipAddresses: [],
  notBefore: START,
  notAfter: START + 3_600_000,
};

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail('it succeeded'),
    (error: unknown) => error,
  );
}

describe('local-ca/signer', () => {
  let first: TestAuthority;
  let second: TestAuthority;
  let expiring: TestAuthority;
  before(async () => {
    [first, second, expiring] = await Promise.all([
      testAuthority(),
      testAuthority('RSA-2048'),
      testAuthority('P-256', { notAfter: new Date(START + 90_000) }),
    ]);
  });

  let elapsed: number;
  let loads: number;
  let answer: () => Promise<SourceTexts>;
  let problems: string[];
  let authorities: Authorities;
  let signer: CertificateSigner;
  beforeEach(() => {
    elapsed = 0;
    loads = 0;
    problems = [];
    answer = () => Promise.resolve(first);
    const clock: Clock = { ...systemClock, now: () => START + elapsed, monotonic: () => elapsed };
    const source = {
      describe: () => 'the test',
      load: () => {
        loads += 1;
        return answer();
      },
    };
    authorities = localAuthorities({ source, clock, onProblem: (message) => problems.push(message) });
    signer = authorities.current;
  });

  const inForce = async (): Promise<string> => (await signer.authority(never)).certificatePem;

  it('signs as planned with every kind of CA', async () => {
    for (const authority of [first, second, await testAuthority('P-384')]) {
      answer = () => Promise.resolve(authority);
      elapsed += 60_000;
      const pem = await signer.sign(plan, NO_REQUEST, never);
      expect(checkAgainstPlan(pem, plan, await inForce())).to.deep.equal([]);
    }
  });

  // As old CAs have them: string types and characters that nobody would choose today.
  const text = (tag: string, bytes: string): string => `#${tag}${Buffer.of(bytes.length / 2).toString('hex')}${bytes}`;
  const ODD_NAMES: readonly [string, string][] = [
    ['PrintableString with @ and _', `CN=${text('13', Buffer.from('ca_1@example').toString('hex'))}`],
    ['TeletexString', `CN=${text('14', 'e4f6fc')}`],
    ['BMPString', `CN=${text('1e', '00e400f6')}`],
    ['IA5String', 'E=ca@example.com, CN=ca'],
    ['two attributes in one RDN', 'OU=x+CN=ca'],
    ['UTF8String beyond Latin', 'CN=Ψ'],
  ];
  for (const [name, subject] of ODD_NAMES) {
    it(`signs as planned with a CA whose name has ${name}`, async () => {
      const authority = await testAuthority('P-256', { subject });
      answer = () => Promise.resolve(authority);
      expect(checkAgainstPlan(await signer.sign(plan, NO_REQUEST, never), plan, await inForce())).to.deep.equal([]);
    });
  }

  it('answers the leaf alone for a root, and the chain behind it for an intermediate', async () => {
    expect((await signer.sign(plan, NO_REQUEST, never)).match(/BEGIN/g)).to.have.length(1);
    const intermediate = await testAuthority('P-256', { subject: 'CN=intermediate', issuer: first });
    answer = () => Promise.resolve(intermediate);
    elapsed = 60_000;
    const pem = await signer.sign(plan, NO_REQUEST, never);
    expect(pem.endsWith(intermediate.certPem)).to.equal(true);
    expect(pem.match(/BEGIN/g)).to.have.length(2);
    expect(checkAgainstPlan(pem, plan, await inForce())).to.deep.equal([]);
    expect(new X509Certificate(pem).verify(new X509Certificate(intermediate.certPem).publicKey)).to.equal(true);
  });

  it('loads once for all who ask at the same time, and again only after the refresh interval', async () => {
    await Promise.all([inForce(), inForce(), signer.sign(plan, NO_REQUEST, never)]);
    elapsed = 59_999;
    await inForce();
    expect(loads).to.equal(1);
    elapsed = 60_000;
    await Promise.all([inForce(), inForce()]);
    expect(loads).to.equal(2);
  });

  it('takes over a new pair', async () => {
    await inForce();
    answer = () => Promise.resolve(second);
    elapsed = 60_000;
    expect(await inForce()).to.equal(second.certPem);
    expect(problems).to.deep.equal([]);
  });

  it('keeps the old pair when key and certificate of the new one do not fit, and says so', async () => {
    await inForce();
    answer = () => Promise.resolve({ certPem: second.certPem, keyPem: first.keyPem });
    elapsed = 60_000;
    expect(await inForce()).to.equal(first.certPem);
    expect(problems).to.deep.equal(['the CA in force stays: the test: the key does not fit the certificate']);
    await inForce();
    expect(loads).to.equal(2);
    answer = () => Promise.resolve(second);
    elapsed = 120_000;
    expect(await inForce()).to.equal(second.certPem);
  });

  it('keeps the old pair while the source cannot be reached', async () => {
    await inForce();
    answer = () => Promise.reject(new RemoteError('vault', 'Sealed', 'Vault is sealed'));
    elapsed = 60_000;
    expect(await inForce()).to.equal(first.certPem);
    expect(problems).to.deep.equal(['the CA in force stays: Vault is sealed']);
  });

  it('asks at once for another pair when the one in force expires, and refuses to sign until there is one', async () => {
    answer = () => Promise.resolve(expiring);
    await inForce();
    elapsed = 60_000;
    await inForce();
    elapsed = 90_000;
    expect(await failure(inForce()))
      .to.be.instanceOf(RefusedError)
      .with.property('code', 'AuthorityUnusable');
    answer = () => Promise.reject(new RemoteError('vault', 'Unavailable', 'no answer'));
    expect(await failure(signer.sign(plan, NO_REQUEST, never)))
      .to.be.instanceOf(RemoteError)
      .with.property('code', 'Unavailable');
    answer = () => Promise.resolve(first);
    expect(await inForce()).to.equal(first.certPem);
  });

  it('lets the failure of the first load through, and loads again when asked again', async () => {
    answer = () => Promise.reject(new RemoteError('vault', 'NotFound', 'nothing at ca/kubelet'));
    expect(await failure(inForce()))
      .to.be.instanceOf(RemoteError)
      .with.property('code', 'NotFound');
    answer = () => Promise.resolve({ ...first, keyPem: '' });
    const error = await failure(inForce());
    expect(error).to.be.instanceOf(RefusedError).with.property('code', 'AuthorityUnusable');
    expect((error as Error).message).to.match(/^the test: the key cannot be read/);
    answer = () => Promise.resolve(first);
    expect(await inForce()).to.equal(first.certPem);
    expect(problems).to.deep.equal([]);
  });

  it('lets one who gives up go, and serves the others from the same load', async () => {
    const { promise, resolve } = Promise.withResolvers<SourceTexts>();
    answer = () => promise;
    const hasty = new AbortController();
    const left = failure(signer.authority(hasty.signal));
    const patient = inForce();
    hasty.abort(new Error('shutting down'));
    expect(await left).to.have.property('message', 'shutting down');
    resolve(first);
    expect(await patient).to.equal(first.certPem);
    expect(loads).to.equal(1);
    expect(await failure(signer.authority(hasty.signal))).to.have.property('message', 'shutting down');
  });

  describe('with a next pair', () => {
    const nextAuthority = async (): Promise<string> =>
      (await (await authorities.next(never))?.backend.authority(never))?.certificatePem ?? 'none';
    const withNext = (next: PairTexts, from?: number, current: PairTexts = first): void => {
      answer = () => Promise.resolve({ ...current, next: { ...next, from } });
    };

    it('has both from one read', async () => {
      withNext(second, START + 5);
      expect([await inForce(), await nextAuthority()]).to.deep.equal([first.certPem, second.certPem]);
      expect((await authorities.next(never))?.from).to.equal(START + 5);
      expect(loads).to.equal(1);
    });

    it('signs on when the next one cannot be used, and says why to whoever asks for it', async () => {
      withNext({ certPem: second.certPem, keyPem: first.keyPem }, START + 60_000);
      expect(await inForce()).to.equal(first.certPem);
      expect(await failure(nextAuthority())).to.include({ message: 'the test: the key does not fit the certificate' });
    });

    it('refuses to sign with the next one when its time has come and it cannot be used', async () => {
      withNext({ certPem: second.certPem, keyPem: first.keyPem }, START);
      expect(await failure(nextAuthority())).to.include({ code: 'AuthorityUnusable' });
    });

    it('keeps the next one that signs when a worse one takes its place', async () => {
      withNext(second, START);
      await nextAuthority();
      withNext({ certPem: second.certPem, keyPem: first.keyPem }, START);
      elapsed = 60_000;
      expect(await nextAuthority()).to.equal(second.certPem);
      expect(problems).to.deep.equal(['the CA in force stays: the test: the key does not fit the certificate']);
    });

    it('needs the first one no more once the next one signs', async () => {
      withNext(second, START, expiring);
      await inForce();
      elapsed = 90_000;
      expect(await nextAuthority()).to.equal(second.certPem);
      expect(await failure(inForce())).to.include({ code: 'AuthorityUnusable' });
    });

    it('tells of the next one though the first cannot be used: that is the way out', async () => {
      withNext(second, undefined, { ...first, keyPem: second.keyPem });
      expect(await failure(inForce())).to.include({ code: 'AuthorityUnusable' });
      expect(await nextAuthority()).to.equal(second.certPem);
      withNext(second, START, { ...first, keyPem: second.keyPem });
      expect((await authorities.next(never))?.from).to.equal(START);
    });

    it('is without one again when the source is', async () => {
      withNext(second);
      expect(await nextAuthority()).to.equal(second.certPem);
      answer = () => Promise.resolve(first);
      elapsed = 60_000;
      expect(await nextAuthority()).to.equal('none');
    });
  });
});

describe('local-ca/signer serial numbers', () => {
  it('have 16 octets of which the first is not 0, and none is given twice, also when more are drawn', () => {
    const draw = serialNumbers();
    const drawn = Array.from({ length: 2_000 }, () => Buffer.from(draw()));
    expect(drawn.filter(({ length, 0: first }) => length !== 16 || first === 0)).to.deep.equal([]);
    expect(new Set(drawn.map((serial) => serial.toString('hex'))).size).to.equal(2_000);
  });
});

describe('local-ca/files', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ca-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('reads the two files anew at each load', async () => {
    const [cert, key] = [join(folder, 'ca.crt'), join(folder, 'ca.key')];
    const source = pairFromFiles(cert, key);
    writeFileSync(cert, 'c');
    writeFileSync(key, 'k');
    expect(await source.load(never)).to.deep.equal({ certPem: 'c', keyPem: 'k' });
    writeFileSync(cert, 'd');
    expect((await source.load(never)).certPem).to.equal('d');
  });
  it('names the files, and refuses with AuthorityUnusable when one is not there', async () => {
    const source = pairFromFiles(join(folder, 'none.crt'), join(folder, 'none.key'));
    expect(source.describe()).to.include('none.crt').and.include('none.key');
    const error = await failure(source.load(never));
    expect(error).to.be.instanceOf(RefusedError).with.property('code', 'AuthorityUnusable');
    expect((error as Error).message).to.match(/ENOENT/);
  });
});
