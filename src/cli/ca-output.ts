/** How a rotation is printed. */
import { nextStep, STEPS } from '../ca/next-step.ts';
import { againstFinishing, type Objection, safeFrom } from '../ca/safety.ts';
import { type CaView, caOf, type Standing } from '../ca/standing.ts';
import { formatTable } from './output.ts';

const at = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+/, '');

/** The CAs, what is to be done next, and what is in the way of dropping the previous one. */
export function standingAsText(standing: Standing): string {
  const rows = standing.cas.map((ca) => [
    ca.role,
    ca.subject,
    ca.keyId.slice(0, 16) || '-',
    fromOf(ca),
    at(ca.notAfter),
    trustOf(ca),
    String(nodesOf(ca)),
    ca.held.length === 0 ? '-' : at(Math.max(...ca.held.map(({ notAfter }) => notAfter))),
  ]);
  const step = nextStep(standing);
  const unusable = standing.unusable.map(({ role, why }) => `the ${role} CA cannot be used: ${why}\n`);
  const lines = hasPrevious(standing) ? droppingAsText(standing) : [];
  return [
    formatTable(['ROLE', 'NAME', 'KEY', 'SIGNS FROM', 'ENDS', 'API SERVER', 'NODES', 'LAST CERTIFICATE ENDS'], rows),
    '\n',
    ...unusable,
    ...lines,
    `${step}: ${STEPS[step].meaning}\n`,
  ].join('');
}

function droppingAsText(standing: Standing): string[] {
  const objections = againstFinishing(standing);
  if (objections.length === 0) return ['dropping the previous CA is safe\n'];
  const time = safeFrom(standing);
  const safe = time === undefined ? '' : `, and is at ${at(time)} at the latest`;
  return [`dropping the previous CA is not safe${safe}:\n`, ...objections.map(objectionAsText)];
}

/** `- StillHeld: 3 nodes hold ...`. */
export function objectionAsText({ code, message }: Objection): string {
  return `- ${code}: ${message}\n`;
}

function fromOf({ role, from }: CaView): string {
  if (from !== undefined) return at(from);
  return role === 'next' ? 'no time yet' : '-';
}

function trustOf({ trustedUntil }: CaView): string {
  if (trustedUntil === undefined) return 'not known';
  return trustedUntil === 0 ? 'does not trust it' : `trusts it until ${at(trustedUntil)}`;
}

function nodesOf({ held }: CaView): number {
  return new Set(held.map(({ node }) => node)).size;
}

function hasPrevious(standing: Standing): boolean {
  return caOf(standing, 'previous') !== undefined || standing.unusable.some(({ role }) => role === 'previous');
}

/** The same for programs: every node by name, times as RFC 3339; null where there is nothing to say. */
export function standingAsJson(standing: Standing): unknown {
  const step = nextStep(standing);
  const dropping = hasPrevious(standing) ? againstFinishing(standing) : undefined;
  const time = safeFrom(standing);
  return {
    step,
    ...STEPS[step],
    safeToDrop: dropping === undefined ? null : dropping.length === 0,
    safeFrom: time === undefined ? null : at(time),
    objections: dropping ?? [],
    cas: standing.cas.map(({ held, from, notBefore, notAfter, trustedUntil, ...ca }) => ({
      ...ca,
      from: from === undefined ? null : at(from),
      notBefore: at(notBefore),
      notAfter: at(notAfter),
      trusted: trustedUntil === undefined ? null : trustedUntil > 0,
      trustedUntil: trustedUntil === undefined || trustedUntil === 0 ? null : at(trustedUntil),
      held: held.map(({ issuer: _issuer, notAfter: end, ...certificate }) => ({ ...certificate, notAfter: at(end) })),
    })),
    unusable: standing.unusable,
    unreadable: standing.holdings.unreadable,
    unrecorded: standing.holdings.unrecorded,
  };
}
