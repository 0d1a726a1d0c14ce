/** How a rotation stands: what each CA is, who trusts it, and who still holds its certificates. */
import type { X509Certificate } from 'node:crypto';
import { anchorsOf, inForce, isSameCa, readBundle } from '../pki/trust.ts';
import type { Fact } from '../policy/facts.ts';
import type { HeldCertificate, Holdings } from './holdings.ts';
import { type CaReading, whyUnusable } from './reading.ts';
import type { CaRole, Scheduled } from './schedule.ts';

/** A CA, its part in a rotation, and what the cluster has of it. Times in ms since the epoch. */
export interface CaView {
  readonly role: CaRole;
  readonly from: number | undefined;
  readonly subject: string;
  /** Key identifier, hex; '' where its certificate names none. */
  readonly keyId: string;
  /** SHA-256 of its certificate, hex. */
  readonly fingerprint: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** Until when the API server trusts it for client certificates; 0: not at all; undefined: not known. */
  readonly trustedUntil: number | undefined;
  /** Another certificate for name and key of the CA that signs: what one has signed is good under the other. */
  readonly isSameAsSigning: boolean;
  /** Certificates on record that have not ended. */
  readonly held: readonly HeldCertificate[];
}

export interface Standing {
  /** Those that could be read, the one that signs first. */
  readonly cas: readonly CaView[];
  /** The others, and those that cannot do their part. */
  readonly unusable: readonly { readonly role: CaRole; readonly why: string }[];
  readonly holdings: Holdings;
  /** Life of the longest certificate that is signed, ms. */
  readonly longestLifeMs: number;
  readonly now: number;
}

/** Brings together what was read. `clientCas`: PEM of those whose client certificates the API server trusts. */
export function standingOf(input: {
  readonly cas: readonly Scheduled<CaReading>[];
  readonly clientCas: Fact<string>;
  readonly holdings: Holdings;
  readonly longestLifeMs: number;
  readonly now: number;
}): Standing {
  const { cas, clientCas, holdings, longestLifeMs, now } = input;
  const known = cas.flatMap(({ role, from, ca }) => (ca.known ? [{ role, from, authority: ca.value }] : []));
  const signing = known.find(({ role }) => role === 'signing')?.authority;
  return {
    cas: known.map(({ role, from, authority }) => {
      const [certificate] = readBundle(authority.certificatePem);
      const signs = signing === undefined ? undefined : readBundle(signing.certificatePem)[0];
      const keyId = Buffer.from(authority.subjectKeyId ?? []).toString('hex');
      return {
        role,
        from,
        subject: certificate?.subject.replaceAll('\n', ', ') ?? '',
        keyId,
        fingerprint: certificate?.fingerprint256.replaceAll(':', '').toLowerCase() ?? '',
        notBefore: authority.notBefore,
        notAfter: authority.notAfter,
        trustedUntil: clientCas.known ? trustedUntil(authority.certificatePem, clientCas.value, now) : undefined,
        isSameAsSigning: certificate !== undefined && signs !== undefined && isSameCa(certificate, signs),
        held: holdings.certificates.filter(({ issuer }) => issuer === keyId),
      };
    }),
    unusable: cas.flatMap(({ role, ca }) => {
      const why = whyUnusable(role, ca);
      return why === undefined ? [] : [{ role, why }];
    }),
    holdings,
    longestLifeMs,
    now,
  };
}

function trustedUntil(certificatePem: string, bundle: string, now: number): number {
  const anchors = anchorsOf(readBundle(certificatePem), inForce(bundle, now));
  return Math.max(0, ...anchors.map(({ validToDate }: X509Certificate) => validToDate.getTime()));
}

export function caOf({ cas }: Pick<Standing, 'cas'>, role: CaRole): CaView | undefined {
  return cas.find((each) => each.role === role);
}
