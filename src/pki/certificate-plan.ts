import { RefusedError } from '../errors.ts';
import type { KubeletCsr } from './kubelet-csr.ts';

/** Everything a certificate will say, decided before anything is signed. */
export interface CertificatePlan {
  readonly nodeName: string;
  readonly usage: 'client' | 'serving';
  /** SubjectPublicKeyInfo of the CSR, DER. */
  readonly publicKeyDer: Uint8Array;
  readonly keyEncipherment: boolean;
  /** In CSR order. Empty for client certificates. */
  readonly dnsNames: readonly string[];
  /** 4 or 16 bytes each, in CSR order. */
  readonly ipAddresses: readonly Uint8Array[];
  /** ms since the epoch, whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Of two requests of one kind a backend signs either both or none. */
export type CertificateKind = `${'client' | 'serving'}${'' | '-encipherment'}`;

export function kindOf({
  usage,
  keyEncipherment,
}: Pick<CertificatePlan, 'usage' | 'keyEncipherment'>): CertificateKind {
  return `${usage}${keyEncipherment ? '-encipherment' : ''}`;
}

/** From when to when a certificate is valid: ms since the epoch, whole seconds. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

const BACKDATE_MS = 5 * 60 * 1000;
/** Certificates of less than this live their whole lifetime after now; the others count the backdating in. */
const SHORT_LIVED_MS = 8 * 60 * 60 * 1000;

/**
 * When a certificate made now is valid, by kube-controller-manager's arithmetic (`pkg/controller/certificates/authority`
 * and `signer`): backdated 5 minutes, `requestedSeconds` (`spec.expirationSeconds`) up to the configured lifetime, never
 * beyond the CA. All times in ms since the epoch.
 *
 * Throws RefusedError `AuthorityUnusable` when the CA has expired or is not valid yet, and with `onEarlyEnd` 'refuse' `AuthorityEndsFirst`
 * when it ends before the certificate would.
 */
export function planValidity(input: {
  readonly now: number;
  readonly lifetimeMs: number;
  readonly requestedSeconds: number | undefined;
  readonly authorityNotAfter: number;
  /** Of a CA that may have been made for later; nobody accepts what it has signed before. */
  readonly authorityNotBefore?: number;
  /** For a CA that ends before the certificate would; 'shorten' is kube-controller-manager's way. */
  readonly onEarlyEnd?: 'shorten' | 'refuse';
}): Validity {
  const { now, lifetimeMs, requestedSeconds, authorityNotAfter, authorityNotBefore = now, onEarlyEnd } = input;
  if (now >= authorityNotAfter) {
    throw new RefusedError(
      'AuthorityUnusable',
      `the CA certificate expired at ${new Date(authorityNotAfter).toISOString()}`,
    );
  }
  if (now < authorityNotBefore) {
    throw new RefusedError(
      'AuthorityUnusable',
      `the CA certificate is not valid before ${new Date(authorityNotBefore).toISOString()}`,
    );
  }
  const lifetime = Math.min(requestedSeconds === undefined ? lifetimeMs : requestedSeconds * 1000, lifetimeMs);
  const end = lifetime < SHORT_LIVED_MS ? now + lifetime : now + lifetime - BACKDATE_MS;
  if (onEarlyEnd === 'refuse' && end > authorityNotAfter) {
    const [leaf, ca] = [end, authorityNotAfter].map((ms) => new Date(wholeSecond(ms)).toISOString());
    throw new RefusedError('AuthorityEndsFirst', `the CA ends at ${ca}, before the certificate would at ${leaf}`);
  }
  return {
    notBefore: wholeSecond(now - BACKDATE_MS),
    notAfter: wholeSecond(Math.min(end, authorityNotAfter)),
  };
}

/**
 * The plan of a kubelet's certificate: what was checked in its CSR and nothing else. `usages` are those of the CSR's spec,
 * of which only key encipherment is a choice; a client certificate has no names, whatever the CSR asks for.
 */
export function planCertificate(input: {
  readonly csr: KubeletCsr;
  readonly nodeName: string;
  readonly usage: 'client' | 'serving';
  readonly usages: readonly string[];
  readonly validity: Validity;
}): CertificatePlan {
  const { csr, nodeName, usage, usages, validity } = input;
  return {
    nodeName,
    usage,
    publicKeyDer: csr.publicKeyDer,
    keyEncipherment: asksForEncipherment(usages),
    dnsNames: usage === 'serving' ? csr.dnsNames : [],
    ipAddresses: usage === 'serving' ? csr.ipAddresses : [],
    ...validity,
  };
}

/** Whether these usages of a CSR's spec, which passed every check, ask for key encipherment. */
export function asksForEncipherment(usages: readonly string[]): boolean {
  return usages.includes('key encipherment');
}

function wholeSecond(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
