/** What is to be done next, and by whom. */
import { againstFinishing, safeFrom } from './safety.ts';
import { caOf, type Standing } from './standing.ts';
import { endsSoon } from './warnings.ts';

/** Of a step: nothing is to be done; somebody has to do something; certificates are or will soon be refused. */
export type Urgency = 'none' | 'due' | 'urgent';

/** Every step that there can be; the first that applies is the next one. */
export const STEPS = {
  MendCa: { urgency: 'urgent', meaning: 'A CA cannot be used: mend it.' },
  TrustSigning: {
    urgency: 'urgent',
    meaning: 'The API server does not trust the CA that signs: add it to --client-ca-file.',
  },
  TrustBeforeTime: {
    urgency: 'urgent',
    meaning: 'The next CA has its time, and the API server does not trust it yet: add it to --client-ca-file.',
  },
  Trust: { urgency: 'due', meaning: 'The API server does not trust the next CA yet: add it to --client-ca-file.' },
  SeeTrust: {
    urgency: 'due',
    meaning: 'Look whether every API server trusts each CA: extension-apiserver-authentication cannot be read.',
  },
  SetTime: { urgency: 'due', meaning: 'The next CA is trusted: have it sign with `ca rotate --sign-from now`.' },
  AwaitTime: { urgency: 'none', meaning: 'Nothing: the next CA signs from its time on.' },
  AwaitNodes: { urgency: 'none', meaning: 'Nothing: nodes still hold certificates of the previous CA.' },
  LookAtNodes: {
    urgency: 'due',
    meaning: 'It cannot be told who holds certificates of the previous CA: see what is in the way.',
  },
  Finish: { urgency: 'due', meaning: 'It is safe to drop the previous CA: `ca rotate --finish`.' },
  RenewTrust: {
    urgency: 'due',
    meaning: "The API server's copy of the CA that signs ends soon: put its new certificate into --client-ca-file.",
  },
  Begin: { urgency: 'due', meaning: 'The CA that signs ends soon: begin with `ca rotate`.' },
  Rest: { urgency: 'none', meaning: 'Nothing: one CA signs, and lasts.' },
} as const satisfies Readonly<Record<string, { readonly urgency: Urgency; readonly meaning: string }>>;

export type Step = keyof typeof STEPS;

/** The next step of this rotation. */
export function nextStep(standing: Standing): Step {
  const { unusable, longestLifeMs, now } = standing;
  const [signing, next, previous] = (['signing', 'next', 'previous'] as const).map((role) => caOf(standing, role));
  if (signing === undefined || unusable.some(({ role }) => role !== 'previous')) return 'MendCa';
  if (signing.trustedUntil === 0) return 'TrustSigning';
  if (next !== undefined && next.trustedUntil === 0) return next.from === undefined ? 'Trust' : 'TrustBeforeTime';
  if (signing.trustedUntil === undefined) return 'SeeTrust';
  if (next !== undefined) return next.from === undefined ? 'SetTime' : 'AwaitTime';
  if (previous !== undefined || unusable.length > 0) {
    if (againstFinishing(standing).length === 0) return 'Finish';
    return safeFrom(standing) === undefined ? 'LookAtNodes' : 'AwaitNodes';
  }
  if (endsSoon(signing, longestLifeMs, now)) return 'Begin';
  return endsSoon({ notAfter: signing.trustedUntil }, longestLifeMs, now) ? 'RenewTrust' : 'Rest';
}
