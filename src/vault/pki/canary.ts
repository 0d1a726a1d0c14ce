/** A request of no node, signed only to see what a role makes of it. */
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { readCertificate } from '../../pki/certificate-fields.ts';
import { checkAgainstPlan } from '../../pki/certificate-check.ts';
import { type CertificateKind, type CertificatePlan, planValidity } from '../../pki/certificate-plan.ts';
import { requestToBeSigned, signedRequest } from '../../pki/certification-request.ts';
import { formatPem, readPemBlocks } from '../../pki/pem.ts';
import type { Authority } from '../../ports.ts';
import type { PkiFault } from './faults.ts';

/** What the canaries ask for. */
export interface CanaryTerms {
  /** The longest lifetimes that will be asked for, in ms. */
  readonly longestMs: Readonly<Record<'client' | 'serving', number>>;
  /** Names of a serving certificate that the roles have to allow. */
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly Uint8Array[];
}

export interface Canary {
  readonly plan: CertificatePlan;
  /** PEM. */
  readonly request: Uint8Array;
}

const NODE_NAME = 'kubelet-bootstrap-canary';

/** Makes canaries with a key of this process, whose private part nobody else ever has; `termsNow` is asked for each. */
export function canaries(
  termsNow: () => CanaryTerms,
): (kind: CertificateKind, authority: Authority, now: number) => Canary {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const publicKeyDer = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return (kind, authority, now) => {
    const terms = termsNow();
    const usage = kind.startsWith('client') ? 'client' : 'serving';
    const plan: CertificatePlan = {
      nodeName: NODE_NAME,
      usage,
      publicKeyDer,
      keyEncipherment: kind.endsWith('-encipherment'),
      dnsNames: usage === 'serving' ? terms.dnsNames : [],
      ipAddresses: usage === 'serving' ? terms.ipAddresses : [],
      ...planValidity({
        now,
        lifetimeMs: terms.longestMs[usage],
        requestedSeconds: undefined,
        authorityNotAfter: authority.notAfter,
      }),
    };
    const toBeSigned = requestToBeSigned(plan);
    const request = signedRequest(toBeSigned, sign('sha256', toBeSigned, privateKey));
    return { plan, request: Buffer.from(formatPem('CERTIFICATE REQUEST', request)) };
  };
}

/** What is wrong with what a role made of a canary; undefined when it is as planned. */
export function verdictOn(
  certificatePem: string,
  plan: CertificatePlan,
  authority: Authority,
): { readonly fault: PkiFault; readonly why: string } | undefined {
  const differences = checkAgainstPlan(certificatePem, plan, authority.certificatePem, authority.latitude);
  if (differences.length === 0) return undefined;
  const why = differences.join('; ');
  const onlyTimes = differences.every((difference) => /^not(Before|After) /.test(difference));
  const blocks = readPemBlocks(certificatePem, 'CERTIFICATE');
  const [leaf] = 'problem' in blocks ? [] : blocks.ders;
  const fields = leaf === undefined ? undefined : readCertificate(leaf);
  if (!onlyTimes || fields === undefined || 'problem' in fields) return { fault: 'RoleDiffers', why };
  const aheadMs = fields.notBefore - plan.notBefore;
  // Half of the latitude is what the lifetime is shortened by; with more than that an end comes too late.
  if (Math.abs(aheadMs) > authority.latitude.timesMs / 2) {
    return { fault: 'ClocksDiffer', why: `by ${Math.round(aheadMs / 1000)} s: ${why}` };
  }
  return { fault: fields.notAfter < plan.notAfter ? 'LifetimeClamped' : 'RoleDiffers', why };
}
