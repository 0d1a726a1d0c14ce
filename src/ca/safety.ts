/** What stands in the way of each step of a rotation. */
import { listed } from '../pki/quote.ts';
import type { HeldCertificate } from './holdings.ts';
import { type CaView, caOf, type Standing } from './standing.ts';

export type ObjectionCode =
  | 'NextIsThere'
  | 'NoNext'
  | 'NextNotUsable'
  | 'NextNotTrusted'
  | 'NextNotValidThen'
  | 'SigningEndsBefore'
  | 'NoPrevious'
  | 'PreviousNotReadable'
  | 'SigningNotTrusted'
  | 'TrustNotKnown'
  | 'StillHeld'
  | 'IssuerNotKnown'
  | 'KeyUnderOtherName'
  | 'RecordUnreadable'
  | 'NodeNotOnRecord';

/** A reason not to do it. */
export interface Objection {
  readonly code: ObjectionCode;
  readonly message: string;
  /** Whether it can be done all the same, at the risk of whoever says so. */
  readonly forcible: boolean;
}

const at = (ms: number): string => new Date(ms).toISOString();
const not = (code: ObjectionCode, message: string, forcible = true): Objection => ({ code, message, forcible });

/** Against a next CA being put there. */
export function againstPreparing(standing: Standing): Objection[] {
  const there = [...standing.cas, ...standing.unusable].some(({ role }) => role !== 'signing');
  return there ? [not('NextIsThere', 'there are two CAs already: finish or cancel that rotation first', false)] : [];
}

/** Against the next CA signing from that time on, ms since the epoch. */
export function againstSigning(standing: Standing, from: number): Objection[] {
  const unusable = standing.unusable.find(({ role }) => role === 'next');
  if (unusable !== undefined) return [not('NextNotUsable', `the next CA cannot be used: ${unusable.why}`, false)];
  const next = caOf(standing, 'next');
  if (next === undefined) return [not('NoNext', 'there is no next CA that does not sign yet', false)];
  const valid = from >= next.notBefore && from < next.notAfter;
  const times = `the next CA is valid from ${at(next.notBefore)} to ${at(next.notAfter)}`;
  const signing = caOf(standing, 'signing');
  const lasts = signing === undefined || from <= Math.max(signing.notAfter, standing.now);
  const gap = `nothing can be signed from ${at(signing?.notAfter ?? 0)}, when the CA that signs ends, to ${at(from)}`;
  return [
    ...(valid ? [] : [not('NextNotValidThen', times, false)]),
    ...(lasts ? [] : [not('SigningEndsBefore', gap)]),
    ...againstTrusting(next, 'NextNotTrusted'),
  ];
}

/** Against taking the next CA away, or going back to the first one when the next signs already. */
export function againstCancelling(standing: Standing): Objection[] {
  const roles = [...standing.cas, ...standing.unusable].map(({ role }) => role);
  if (roles.includes('next')) return [];
  if (!roles.includes('previous')) return [not('NoNext', 'there is no next CA', false)];
  const [previous, signing] = [caOf(standing, 'previous'), caOf(standing, 'signing')];
  if (previous === undefined) return [not('PreviousNotReadable', 'the previous CA cannot be used', false)];
  return [
    ...againstTrusting(previous, 'SigningNotTrusted'),
    ...(signing === undefined ? [] : againstDropping(signing, previous, standing)),
  ];
}

/** Against dropping the previous CA. Empty: it is safe. */
export function againstFinishing(standing: Standing): Objection[] {
  const unreadable = standing.unusable.find(({ role }) => role === 'previous');
  if (unreadable !== undefined) {
    return [not('PreviousNotReadable', `who holds its certificates cannot be told: ${unreadable.why}`)];
  }
  const [previous, signing] = [caOf(standing, 'previous'), caOf(standing, 'signing')];
  if (previous === undefined) return [not('NoPrevious', 'the next CA does not sign yet, or there is none', false)];
  if (signing === undefined) return [not('NextNotUsable', 'the CA that signs cannot be used', false)];
  return [...againstTrusting(signing, 'SigningNotTrusted'), ...againstDropping(previous, signing, standing)];
}

/** From when on it is safe to drop the previous CA, if all goes on as it does; undefined when no time can be told. */
export function safeFrom(standing: Standing): number | undefined {
  const previous = caOf(standing, 'previous');
  const timed = againstFinishing(standing).every(({ code }) => code === 'StillHeld' || code === 'IssuerNotKnown');
  if (previous === undefined || !timed) return undefined;
  const ends = [...previous.held, ...ofNobody(standing)].map(({ notAfter }) => notAfter);
  return Math.max(standing.now, ...ends);
}

function againstTrusting(ca: CaView, code: 'NextNotTrusted' | 'SigningNotTrusted'): Objection[] {
  if (ca.trustedUntil === undefined)
    return [not('TrustNotKnown', `it is not known whether the API server trusts ${nameOf(ca)}`)];
  return ca.trustedUntil > 0 ? [] : [not(code, `the API server does not trust ${nameOf(ca)}`)];
}

function againstDropping(old: CaView, other: CaView, standing: Standing): Objection[] {
  // What it has signed is good under the other one: same name, same key.
  if (old.isSameAsSigning && other.isSameAsSigning) return [];
  const { unreadable, unrecorded } = standing.holdings;
  const nobodys = old.keyId === '' ? [] : ofNobody(standing);
  const objections: Objection[] = [];
  if (old.keyId !== '' && old.keyId === other.keyId) {
    const message = 'both CAs have one key under two names: no record tells whose certificate is whose';
    objections.push(not('KeyUnderOtherName', message));
  } else if (old.held.length > 0) {
    objections.push(not('StillHeld', `${holdersOf(old.held)} of ${nameOf(old)}`));
  }
  if (nobodys.length > 0) objections.push(not('IssuerNotKnown', `${holdersOf(nobodys)} that do not name their CA`));
  if (unreadable.length > 0) {
    objections.push(not('RecordUnreadable', `the records of ${listed(unreadable)} cannot be read`));
  }
  if (unrecorded.length > 0) {
    objections.push(not('NodeNotOnRecord', `no certificate is on record of ${listed(unrecorded)}`));
  }
  return objections;
}

function ofNobody({ holdings }: Standing): HeldCertificate[] {
  return holdings.certificates.filter(({ issuer }) => issuer === '');
}

/** `3 nodes hold certificates (a, b, c), the last until 2027-01-31T00:00:00.000Z,`. */
function holdersOf(held: readonly HeldCertificate[]): string {
  const nodes = [...new Set(held.map(({ node }) => node))].toSorted();
  const pending = new Set(held.filter(({ replaced }) => !replaced).map(({ node }) => node)).size;
  const some = nodes.length === 1 ? '1 node holds' : `${nodes.length} nodes hold`;
  const replaced = pending === nodes.length ? '' : `${nodes.length - pending} of them replaced by newer ones, `;
  const end = at(Math.max(...held.map(({ notAfter }) => notAfter)));
  return `${some} certificates (${listed(nodes)}), ${replaced}the last until ${end},`;
}

function nameOf({ subject, keyId }: CaView): string {
  return `"${subject}" (${keyId.slice(0, 16) || 'no key identifier'})`;
}
