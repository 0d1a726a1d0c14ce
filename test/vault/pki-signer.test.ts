import { sign } from 'node:crypto';
import { expect } from 'chai';
import { before, beforeEach, describe, it } from 'mocha';
import { RefusedError, RemoteError, type RemoteErrorCode } from '../../src/errors.ts';
import { readPair } from '../../src/local-ca/pair.ts';
import { checkAgainstPlan } from '../../src/pki/certificate-check.ts';
import { type CertificateKind, type CertificatePlan, planCertificate } from '../../src/pki/certificate-plan.ts';
import { formatPem } from '../../src/pki/pem.ts';
import { readKubeletCsr } from '../../src/pki/pkcs10.ts';
import type { CertificateSigner } from '../../src/ports.ts';
import type { VaultReply, VaultRequest } from '../../src/vault/client.ts';
import type { VaultCaller } from '../../src/vault/key-value.ts';
import { pkiSigner } from '../../src/vault/pki/signer.ts';
import { buildCsrPem, testAuthority, type TestAuthority } from '../support/csr-builder.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { failureOf } from './manual-clock.ts';

const HOUR = 3_600_000;
const never = new AbortController().signal;
const ROLES = new Map<CertificateKind, string>([
  ['client', 'c'],
  ['serving', 's'],
]);

/** Signs as OpenBao does, by its own clock; tests make it fail. */
class FakePki implements VaultCaller {
  readonly calls: VaultRequest[] = [];
  atOnce = 0;
  mostAtOnce = 0;
  /** Thrown for the path that ends so. */
  failures = new Map<string, Error>();
  aheadMs = 0;
  readonly #authority: () => TestAuthority;
  readonly #clock: FakeClock;

  constructor(authority: () => TestAuthority, clock: FakeClock) {
    this.#authority = authority;
    this.#clock = clock;
  }

  get signings(): number {
    return this.calls.filter(({ operation }) => operation === 'pki-sign').length;
  }

  async call(request: VaultRequest): Promise<VaultReply> {
    this.calls.push(request);
    const failure = this.failures.get(request.path.at(-1) ?? '');
    if (failure !== undefined) throw failure;
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    await Promise.resolve();
    this.atOnce -= 1;
    const { certPem } = this.#authority();
    const certificate = request.operation === 'pki-sign' ? this.#sign(request) : certPem;
    return { found: true, body: { data: { certificate, ca_chain: [certPem] } } };
  }

  #sign({ body = {}, path }: VaultRequest): string {
    const { csr } = readKubeletCsr(Buffer.from(String(body['csr'])));
    if (csr === undefined) throw new Error('no CSR');
    const { builder, key } = readPair(this.#authority(), this.#clock.now());
    const now = Math.floor((this.#clock.now() + this.aheadMs) / 1000) * 1000;
    const validity = { notBefore: now - 300_000, notAfter: now + parseInt(String(body['ttl']), 10) * 1000 };
    const usage = path.at(-1) === 'c' ? 'client' : 'serving';
    const nodeName = csr.commonName.replace('system:node:', '');
    const plan = planCertificate({ csr, nodeName, usage, usages: [], validity });
    const toBeSigned = builder.toBeSigned(plan, Buffer.alloc(16, 7));
    return formatPem('CERTIFICATE', builder.certificate(toBeSigned, sign('sha256', toBeSigned, key))).trim();
  }
}

describe('vault/pki/signer', () => {
  let authority: TestAuthority;
  before(async () => {
    const [notBefore, notAfter] = [Date.UTC(2026, 0, 1), Date.UTC(2030, 0, 1)].map((ms) => new Date(ms));
    authority = await testAuthority('P-256', { ...(notBefore && { notBefore }), ...(notAfter && { notAfter }) });
  });
  let clock: FakeClock;
  let vault: FakePki;
  let signer: CertificateSigner;
  let problems: string[];
  let longestMs: number;
  beforeEach(() => {
    longestMs = 24 * HOUR;
    clock = new FakeClock();
    vault = new FakePki(() => authority, clock);
    problems = [];
    signer = pkiSigner({
      caller: vault,
      place: { mount: 'pki/nodes', issuer: 'kubelets', roles: ROLES },
      canary: () => ({ longestMs: { client: longestMs, serving: longestMs }, dnsNames: ['canary'], ipAddresses: [] }),
      clock,
      refreshMs: 60_000,
      concurrency: 2,
      onProblem: (problem) => problems.push(problem),
    });
  });

  const request = buildCsrPem();
  function plan(): CertificatePlan {
    const { csr } = readKubeletCsr(Buffer.from(request));
    if (csr === undefined) throw new Error('no CSR');
    const now = clock.now();
    const validity = { notBefore: now - 300_000, notAfter: now + 24 * HOUR };
    return planCertificate({ csr, nodeName: 'worker-1', usage: 'client', usages: [], validity });
  }
  const signOne = (): Promise<string> => signer.sign(plan(), Buffer.from(request), never);
  const vaultError = (code: RemoteErrorCode, text: string, status = 400): RemoteError =>
    new RemoteError('vault', code, `Vault: POST pki/nodes/issuer/kubelets/sign/c: ${status} ${text}`, { status });

  it('asks for the CSR as it is, without its common name among the names, and for half a minute less', async () => {
    const { certificatePem, latitude } = await signer.authority(never);
    expect(checkAgainstPlan(await signOne(), plan(), certificatePem, latitude)).to.deep.equal([]);
    const last = vault.calls.at(-1);
    expect(last?.path).to.deep.equal(['pki', 'nodes', 'issuer', 'kubelets', 'sign', 'c']);
    expect(last?.body).to.deep.equal({ csr: request, exclude_cn_from_sans: true, ttl: `${24 * 3600 - 30}s` });
  });

  it('tries every role before the first certificate, again after the refresh, and not in between', async () => {
    await Promise.all([signOne(), signOne(), signer.problem(never)]);
    expect(vault.signings).to.equal(4);
    await clock.advance(59_000);
    await signOne();
    expect(vault.signings).to.equal(5);
    await clock.advance(1_000);
    await signOne();
    expect(vault.signings).to.equal(8);
  });

  it('tries the roles with the longest lifetime that there is by then', async () => {
    await signer.authority(never);
    longestMs = 48 * HOUR;
    await clock.advance(60_000);
    await signer.authority(never);
    expect(vault.calls.at(-1)?.body).to.include({ ttl: `${48 * 3600 - 300 - 30}s` });
  });

  it('has so many certificates made at a time as it was told, beside no canary', async () => {
    await signer.authority(never);
    vault.mostAtOnce = 0;
    await Promise.all(Array.from({ length: 10 }, signOne));
    expect(vault.mostAtOnce).to.equal(2);
  });

  const FAULTS: readonly (readonly [string, RemoteErrorCode, number, RegExp])[] = [
    [
      'no handler for route "pki/nodes/issuer/kubelets/sign/c". route entry not found.',
      'NotFound',
      404,
      /MountMissing/,
    ],
    ['unable to find PKI issuer for reference: kubelets', 'Invalid', 500, /IssuerUnknown/],
    ['no default issuer currently configured', 'Invalid', 500, /IssuerUnknown/],
    [
      'unable to fetch corresponding key for issuer x; unable to use this issuer for signing',
      'Invalid',
      500,
      /IssuerWithoutKey/,
    ],
    [
      'requested usage issuing-certificates for issuer [id:x] but only had usage read-only',
      'Invalid',
      500,
      /IssuerMayNotSign/,
    ],
    [
      'cannot satisfy request, as TTL would result in notAfter of 2030 that is beyond the expiration of the CA certificate',
      'Invalid',
      400,
      /IssuerEndsTooSoon/,
    ],
    ['unknown role: c', 'Invalid', 400, /RoleMissing/],
  ];
  for (const [saying, code, status, fault] of FAULTS) {
    it(`names ${JSON.stringify(saying.slice(0, 50))}, and holds what it concerns`, async () => {
      await signer.authority(never);
      vault.failures.set('c', vaultError(code, saying, status));
      const error = await failureOf(signOne());
      expect(error).to.be.instanceOf(RefusedError).and.to.include({ code: 'AuthorityUnusable' });
      expect((error as Error).message)
        .to.match(/^Vault PKI pki\/nodes\/issuer\/kubelets: /)
        .and.to.match(fault);
    });
  }

  it('leaves outages as they are, and never takes one for a wrong role', async () => {
    const sealed = vaultError('Sealed', 'Vault is sealed', 503);
    vault.failures.set('c', sealed);
    expect(await failureOf(signer.authority(never))).to.equal(sealed);
    expect(await failureOf(signOne())).to.equal(sealed);
    vault.failures.clear();
    await signOne();
    await clock.advance(60_000);
    vault.failures.set('c', sealed);
    expect(await signer.problem(never)).to.equal(undefined);
    expect(problems.join()).to.match(/stays in use: .*sealed/);
  });

  it('takes a serial number that is taken for one refusal: the role stays good, and the next attempt gets another', async () => {
    await signer.authority(never);
    const taken = vaultError('Invalid', 'serial number 12:34 is already in use');
    vault.failures.set('c', taken);
    expect(await failureOf(signOne())).to.equal(taken);
    expect(await signer.problem(never)).to.equal(undefined);
    vault.failures.clear();
    expect(await signOne()).to.include('BEGIN CERTIFICATE');
  });

  it('tells a role that it may not use from one that refuses, and signs with the others', async () => {
    for (const [error, fault] of [
      [vaultError('Forbidden', 'permission denied', 403), /RoleForbidden/],
      [vaultError('Invalid', 'subject alternate name canary not allowed by this role'), /RoleRefuses/],
    ] as const) {
      vault.failures.set('s', error);
      await clock.advance(60_000);
      expect(await signer.problem(never)).to.match(fault);
      await signOne();
    }
  });

  it('notices that Vault is ahead by more than can be allowed for, and signs again when it is not', async () => {
    vault.aheadMs = 45_000;
    expect(await signer.problem(never)).to.match(/ClocksDiffer: role c: by 45 s/);
    expect(await failureOf(signOne())).to.be.instanceOf(RefusedError);
    vault.aheadMs = 0;
    await signOne();
  });

  it('lets no role sign that it has not tried', async () => {
    const { csr } = readKubeletCsr(Buffer.from(request));
    if (csr === undefined) throw new Error('no CSR');
    const other = { ...plan(), keyEncipherment: true };
    expect(await failureOf(signer.sign(other, Buffer.from(request), never))).to.be.instanceOf(TypeError);
  });
});
