import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { RefusedError } from '../../src/errors.ts';
import { certificateCheck } from '../../src/pki/certificate-check.ts';
import { type CertificateKind, type CertificatePlan, kindOf, planCertificate } from '../../src/pki/certificate-plan.ts';
import { readKubeletCsr } from '../../src/pki/pkcs10.ts';
import type { CertificateSigner } from '../../src/ports.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { pkiSigner } from '../../src/vault/pki/signer.ts';
import { addressBytes, buildCsrPem, type CsrParts, testAuthority, type TestAuthority } from '../support/csr-builder.ts';
import { ISSUER, ROLES } from '../../scripts/servers/pki-engine.ts';
import { requirePkiEngine } from '../support/pki-engine.ts';
import { failureOf } from '../vault/manual-clock.ts';

const HOUR = 3_600_000;
const never = new AbortController().signal;

describe('signing with the PKI engine of a real OpenBao', function () {
  this.timeout(120_000);
  let root: TestAuthority;
  let ca: TestAuthority;
  const engine = requirePkiEngine(
    'signing-pki',
    async () => {
      root = await testAuthority('P-256', { subject: 'CN=root' });
      ca = await testAuthority('P-256', { subject: 'CN=kubelets', issuer: root });
      return ca.certPem + ca.keyPem + root.certPem;
    },
    24 * HOUR,
  );
  let signer: CertificateSigner;
  /** How far this host's clock is wrong. */
  let clockMs = 0;
  const problems: string[] = [];
  const newSigner = (roles = ROLES, issuer = ISSUER): CertificateSigner =>
    pkiSigner({
      caller: engine().session,
      place: { mount: engine().mount, issuer, roles },
      canary: () => ({
        longestMs: { client: 24 * HOUR, serving: 24 * HOUR },
        dnsNames: ['kubelet-bootstrap-canary'],
        ipAddresses: [addressBytes('10.0.0.0')],
      }),
      clock: { ...systemClock, now: () => systemClock.now() + clockMs },
      refreshMs: 3_600_000,
      concurrency: 8,
      onProblem: (problem) => problems.push(problem),
    });
  before(() => {
    signer = newSigner();
  });
  afterEach('mend it', async () => {
    clockMs = 0;
    await engine().setUp(ca.certPem + ca.keyPem + root.certPem);
  });

  function planOf(kind: CertificateKind, request: string, lifetimeMs = 24 * HOUR): CertificatePlan {
    const { csr } = readKubeletCsr(Buffer.from(request));
    if (csr === undefined) throw new Error('the request is none');
    const now = Math.floor((systemClock.now() + clockMs) / 1000) * 1000;
    return planCertificate({
      csr,
      nodeName: 'worker-1',
      usage: kind.startsWith('client') ? 'client' : 'serving',
      usages: kind.endsWith('encipherment') ? ['key encipherment'] : [],
      validity: { notBefore: now - 300_000, notAfter: now + lifetimeMs - 300_000 },
    });
  }
  const SERVING: CsrParts = { dns: ['worker-1'], ips: ['10.0.0.7', 'fd00::7'] };
  /** Signs and answers how the certificate differs from its plan. */
  async function differences(kind: CertificateKind, by = signer, lifetimeMs = 24 * HOUR): Promise<string[]> {
    const request = buildCsrPem(kind.startsWith('client') ? {} : SERVING);
    const plan = planOf(kind, request, lifetimeMs);
    expect(kindOf(plan)).to.equal(kind);
    const { certificatePem, latitude } = await by.authority(never);
    return certificateCheck(certificatePem, latitude)(await by.sign(plan, Buffer.from(request), never), plan);
  }

  for (const kind of ROLES.keys()) {
    it(`signs as planned: ${kind}`, async () => {
      expect(await differences(kind)).to.deep.equal([]);
      expect(await differences(kind, signer, 10 * 60_000)).to.deep.equal([]);
    });
  }

  it('answers the leaf and its intermediate, and not the root', async () => {
    const request = buildCsrPem();
    const pem = await signer.sign(planOf('client', request), Buffer.from(request), never);
    expect(pem.match(/BEGIN CERTIFICATE/g)).to.have.length(2);
    expect(pem)
      .to.match(/END CERTIFICATE-----\n$/)
      .and.contain(ca.certPem.trim());
    expect((await signer.authority(never)).certificatePem).to.equal(ca.certPem.replace(/\n+$/, '\n'));
  });

  const SPOILED: readonly (readonly [string, CertificateKind, Record<string, unknown>, RegExp, RegExp])[] = [
    ['adds client auth', 'serving', { client_flag: true }, /RoleDiffers/, /^extension 2\.5\.29\.37 is/],
    ['rewrites the subject', 'client', { organization: ['system:masters'] }, /RoleDiffers/, /^subject is/],
    ['adds an OU', 'client', { ou: ['x'] }, /RoleDiffers/, /^subject is/],
    ['clamps the lifetime', 'client', { ttl: '1h', max_ttl: '1h' }, /LifetimeClamped/, /^notAfter is/],
    [
      'drops a usage',
      'client-encipherment',
      { key_usage: ['DigitalSignature'] },
      /RoleDiffers/,
      /^extension 2\.5\.29\.15/,
    ],
    ['backdates by an hour', 'serving', { not_before_duration: '1h' }, /ClocksDiffer/, /^notBefore is/],
    [
      'makes a CA of none',
      'client',
      { basic_constraints_valid_for_non_ca: false },
      /RoleDiffers/,
      /no extension 2\.5\.29\.19/,
    ],
  ];
  for (const [what, kind, changes, fault, difference] of SPOILED) {
    it(`a role that ${what}: the certificate differs, and a canary says so at the start, by name`, async () => {
      await engine().spoil(kind, changes);
      expect((await differences(kind))[0]).to.match(difference);
      const started = newSigner();
      expect(await started.problem(never))
        .to.match(fault)
        .and.contain(`role ${ROLES.get(kind)}`);
      const refused = await failureOf(differences(kind, started));
      expect(refused).to.be.instanceOf(RefusedError).and.to.include({ code: 'AuthorityUnusable' });
      expect((refused as Error).message).to.match(fault);
      const other = kind === 'serving' ? 'client' : 'serving';
      expect(await differences(other, started), 'the other kinds are signed').to.deep.equal([]);
    });
  }

  it('a role that was mended is used at once', async () => {
    await engine().spoil('client', { ttl: '1h', max_ttl: '1h' });
    const started = newSigner();
    expect(await failureOf(differences('client', started))).to.be.instanceOf(RefusedError);
    await engine().spoil('client', {});
    expect(await differences('client', started)).to.deep.equal([]);
    expect(await started.problem(never)).to.equal(undefined);
  });

  it('another CA under the name of the issuer: the certificate differs', async () => {
    const other = await testAuthority('P-256', { subject: 'CN=kubelets', issuer: root });
    const id = await engine().issuerId();
    await engine().root('POST', `issuer/${id}`, { issuer_name: 'former', usage: 'read-only,issuing-certificates' });
    await engine().setUp(other.certPem + other.keyPem + root.certPem);
    expect((await differences('client')).join()).to.match(/2\.5\.29\.35|the signature is not that of the CA/);
    const now = await engine().issuerId();
    await engine().root('POST', `issuer/${now}`, { issuer_name: 'other', usage: 'read-only,issuing-certificates' });
    await engine().root('POST', `issuer/${id}`, { issuer_name: ISSUER, usage: 'read-only,issuing-certificates' });
    expect(await differences('client')).to.deep.equal([]);
  });

  it('a role that is missing, by name, also after the start', async () => {
    await engine().root('DELETE', 'roles/kubelet-client');
    expect(await failureOf(differences('client')))
      .to.be.instanceOf(RefusedError)
      .and.to.match(/RoleMissing/);
    expect(await newSigner().problem(never)).to.match(/RoleMissing: .*kubelet-client/);
  });

  it('an issuer that may not sign, by name', async () => {
    const id = await engine().issuerId();
    await engine().root('POST', `issuer/${id}`, { issuer_name: ISSUER, usage: 'read-only' });
    expect(await failureOf(differences('client')))
      .to.be.instanceOf(RefusedError)
      .and.to.match(/IssuerMayNotSign/);
  });

  it('an issuer that is not there, by name', async () => {
    expect(await failureOf(newSigner(ROLES, 'nobody').authority(never)))
      .to.be.instanceOf(RefusedError)
      .and.to.match(/IssuerUnknown/);
  });

  it('a clock of Vault that is ahead or behind: by a quarter of a minute fine, by more named', async () => {
    // Vault reads its clock when the call has arrived, which may be seconds later.
    for (const [ms, fault] of [
      [-15_000, undefined],
      [15_000, undefined],
      [-90_000, /ClocksDiffer: .* by 9\d s/],
      [90_000, /ClocksDiffer: .* by -(90|8\d) s/],
    ] as const) {
      clockMs = ms;
      const found = await newSigner().problem(never);
      if (fault === undefined) expect(found, `${ms} ms`).to.equal(undefined);
      else expect(found).to.match(fault);
    }
  });

  it('a request that a role refuses is refused by itself', async () => {
    await engine().spoil('serving', { allowed_domains: ['system:node:*', 'kubelet-bootstrap-canary'] });
    const error = await failureOf(differences('serving'));
    expect(error).to.include({ code: 'Invalid', system: 'vault' });
    expect((error as Error).message).to.match(/worker-1 not allowed by this role/);
  });
});
