/** The CA that is signed with, against those whose client certificates the API server trusts. */
import type { X509Certificate } from 'node:crypto';
import { endsSoon } from '../ca/warnings.ts';
import { listed, quote } from '../pki/quote.ts';
import { anchorsOf, inForce, readBundle } from '../pki/trust.ts';
import type { Fact } from '../policy/facts.ts';
import { type Finding, finding, notChecked, whenKnown } from './finding.ts';
import type { SigningCa } from './observations.ts';

const DAY_MS = 24 * 3_600_000;
const SIGNING = 'CA that is signed with';

export interface AuthorityInput {
  readonly signingCa: Fact<SigningCa | { readonly problem: string }>;
  /** PEM bundle; undefined where the cluster could not be looked at, which is told elsewhere. */
  readonly clientCas: Fact<string> | undefined;
  /** Life of the longest certificate that it is to sign, in ms. */
  readonly longestLifeMs: number;
  readonly now: number;
}

export function checkAuthority({ signingCa, clientCas, longestLifeMs, now }: AuthorityInput): readonly Finding[] {
  return whenKnown('authority', SIGNING, signingCa, (ca) => {
    if ('problem' in ca) {
      const mend =
        'Put a certificate of a CA and its key where `signer.ca` says; a PKI engine is mended by `vault setup`.';
      return [finding('SigningCaUnusable', SIGNING, ca.problem, mend)];
    }
    const trust =
      clientCas === undefined
        ? []
        : whenKnown('authority', 'extension-apiserver-authentication', clientCas, (bundle) =>
            checkTrust(ca, bundle, now),
          );
    return [...trust, ...checkEnd(ca, longestLifeMs, now)];
  });
}

/** Key identifiers, hex, of the CAs that certificates may be of; empty where that is not known. */
export function keyIdsOf(signingCa: Fact<SigningCa | { readonly problem: string }> | undefined): readonly string[] {
  if (signingCa?.known !== true || 'problem' in signingCa.value || signingCa.value.keyId === '') return [];
  const { keyId, others } = signingCa.value;
  return [keyId, ...others.map((other) => other.keyId)];
}

function checkTrust({ certificatePem, others: rotated }: SigningCa, bundle: string, now: number): readonly Finding[] {
  const chain = readBundle(certificatePem);
  const trusted = inForce(bundle, now);
  if (chain.length === 0) return [notChecked('authority', SIGNING, 'its certificate cannot be read')];
  const anchors = anchorsOf(chain, trusted);
  const own = new Set([...anchors, ...rotated.flatMap((ca) => anchorsOf(readBundle(ca.certificatePem), trusted))]);
  const others = trusted.filter((anchor) => !own.has(anchor)).map(nameOf);
  const mend = 'Add it to the file of --client-ca-file, or sign with a CA that is there.';
  const found =
    trusted.length === 0
      ? 'the API server trusts no CA for client certificates'
      : `${chain.slice(0, 1).map(nameOf).join('')} is not among those that it trusts: ${listed(trusted.map(nameOf))}`;
  return [
    ...(anchors.length === 0 ? [finding('SigningCaNotTrusted', SIGNING, found, mend)] : []),
    ...(others.length === 0
      ? []
      : [finding('OtherClientCas', 'client CAs of the API server', listed(others), 'Guard their keys as well.')]),
  ];
}

function checkEnd({ notAfter, others }: SigningCa, longestLifeMs: number, now: number): readonly Finding[] {
  if (others.some(({ takesOver }) => takesOver) || !endsSoon({ notAfter }, longestLifeMs, now)) return [];
  const days = Math.floor((notAfter - now) / DAY_MS);
  const mend = 'Begin with `kubelet-bootstrap ca rotate`: README, "Rotating the CA".';
  const found = `ends at ${new Date(notAfter).toISOString()}, in ${days} days; no certificate outlives it`;
  return [finding('SigningCaEndsSoon', SIGNING, found, mend)];
}

const nameOf = ({ subject }: X509Certificate): string => quote(subject.replaceAll('\n', ', '));
