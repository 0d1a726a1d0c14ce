import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RefusedError } from '../../src/errors.ts';
import { planCertificate, planValidity } from '../../src/pki/certificate-plan.ts';
import type { KubeletCsr } from '../../src/pki/kubelet-csr.ts';
import { addressBytes } from '../support/csr-builder.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const MINUTE = 60;
const HOUR = 3600;
const YEAR = 365 * 24 * HOUR;

describe('pki/certificate-plan: validity', () => {
  const base = { now: NOW, lifetimeMs: YEAR * 1000, requestedSeconds: undefined, authorityNotAfter: NOW + 1e12 };
  // Seconds after now, and the whole lifetime, as measured on kube-controller-manager 1.37.2 with a lifetime of a year.
  const ROWS: readonly [number | undefined, number, number][] = [
    [undefined, YEAR - 5 * MINUTE, 31_536_000],
    [31_536_000, YEAR - 5 * MINUTE, 31_536_000],
    [99_999_999, YEAR - 5 * MINUTE, 31_536_000],
    [600, 600, 900],
    [3600, 3600, 3900],
    [28_799, 28_799, 29_099],
    [28_800, 28_500, 28_800],
    [28_801, 28_501, 28_801],
  ];
  for (const [requestedSeconds, end, lifetime] of ROWS) {
    it(`gives ${lifetime} s when ${requestedSeconds ?? 'nothing'} is requested`, () => {
      const { notBefore, notAfter } = planValidity({ ...base, requestedSeconds });
      expect(notBefore).to.equal(NOW - 5 * MINUTE * 1000);
      expect((notAfter - NOW) / 1000).to.equal(end);
      expect((notAfter - notBefore) / 1000).to.equal(lifetime);
    });
  }

  const SHORT: readonly [string, number, number | undefined, number][] = [
    ['a configured lifetime of 1 minute', MINUTE, undefined, MINUTE],
    ['one of 3 minutes with 10 minutes requested', 3 * MINUTE, 600, 3 * MINUTE],
    ['one of 7 h 59 min 59 s', 8 * HOUR - 1, undefined, 8 * HOUR - 1],
    ['one of 8 h', 8 * HOUR, undefined, 8 * HOUR - 5 * MINUTE],
    ['a day, of which an hour is requested', 24 * HOUR, HOUR, HOUR],
  ];
  for (const [name, lifetime, requestedSeconds, end] of SHORT) {
    it(`ends ${end} s after now for ${name}`, () => {
      const { notAfter } = planValidity({ ...base, lifetimeMs: lifetime * 1000, requestedSeconds });
      expect((notAfter - NOW) / 1000).to.equal(end);
    });
  }

  it('cuts off fractions of a second', () => {
    const plan = planValidity({ ...base, now: NOW + 999, requestedSeconds: 600 });
    expect(plan).to.deep.equal({ notBefore: NOW - 300_000, notAfter: NOW + 600_000 });
  });
  it('ends with the CA', () => {
    expect(planValidity({ ...base, authorityNotAfter: NOW + 60_000 }).notAfter).to.equal(NOW + 60_000);
  });
  for (const [name, spareMs, refused] of [
    ['ends with the certificate', 0, false],
    ['ends later', 1_000, false],
    ['ends a second before it', -1_000, true],
  ] as const) {
    it(`${refused ? 'refuses' : 'plans'}, when told to refuse what would be shortened, where the CA ${name}`, () => {
      const authorityNotAfter = NOW + 600_000 + spareMs;
      const plan = (): unknown =>
        planValidity({ ...base, requestedSeconds: 600, authorityNotAfter, onEarlyEnd: 'refuse' });
      if (!refused) expect(plan()).to.include({ notAfter: NOW + 600_000 });
      else
        expect(plan)
          .to.throw(RefusedError, /before the certificate/)
          .with.property('code', 'AuthorityEndsFirst');
    });
  }
  it('ends with a CA that is in its last second', () => {
    expect(planValidity({ ...base, now: NOW + 500, authorityNotAfter: NOW + 1000 }).notAfter).to.equal(NOW + 1000);
  });
  it('plans with a CA that is valid from now on', () => {
    expect(planValidity({ ...base, authorityNotBefore: NOW })).to.deep.equal(planValidity(base));
  });
  it('refuses with AuthorityUnusable when the CA is valid from the next moment on', () => {
    expect(() => planValidity({ ...base, authorityNotBefore: NOW + 1 }))
      .to.throw(RefusedError, /the CA certificate is not valid before 2026/)
      .with.property('code', 'AuthorityUnusable');
  });
  for (const [name, authorityNotAfter] of [
    ['expires now', NOW],
    ['expired a second ago', NOW - 1000],
    ['expired before the certificate would begin', NOW - 3_600_000],
  ] as const) {
    it(`refuses with AuthorityUnusable when the CA ${name}`, () => {
      expect(() => planValidity({ ...base, authorityNotAfter }))
        .to.throw(RefusedError, /the CA certificate expired at 2026/)
        .with.property('code', 'AuthorityUnusable');
    });
  }
});

describe('pki/certificate-plan: content', () => {
  const csr: KubeletCsr = {
    organization: 'system:nodes',
    commonName: 'system:node:other',
    dnsNames: ['worker-1'],
    ipAddresses: [addressBytes('10.0.0.1')],
    publicKeyDer: Uint8Array.of(1, 2, 3),
    key: { type: 'ec', curve: 'P-256' },
  };
  const validity = { notBefore: 1000, notAfter: 2000 };
  const input = { csr, nodeName: 'worker-1', validity };

  it('takes names and addresses into a serving certificate', () => {
    const usages = ['key encipherment', 'digital signature', 'server auth'];
    expect(planCertificate({ ...input, usage: 'serving', usages })).to.deep.equal({
      nodeName: 'worker-1',
      usage: 'serving',
      publicKeyDer: csr.publicKeyDer,
      keyEncipherment: true,
      dnsNames: csr.dnsNames,
      ipAddresses: csr.ipAddresses,
      ...validity,
    });
  });
  it('takes none into a client certificate, whatever the request holds', () => {
    const plan = planCertificate({ ...input, usage: 'client', usages: ['digital signature', 'client auth'] });
    expect(plan).to.deep.include({ usage: 'client', keyEncipherment: false, dnsNames: [], ipAddresses: [] });
  });
});
