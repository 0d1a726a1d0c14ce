/** Rules for what is known of the node itself: bans, names of the control plane, life (DESIGN D9). */
import type { NodeRecord } from '../nodes/node-record.ts';
import { formatTime } from '../tokens/token-secret.ts';
import { NO_VIOLATIONS, quote, type Rule, type RuleInput, violation } from './rule.ts';
import { isExact, poolOf } from './token-rules.ts';
import type { Violation } from './verdict.ts';

/** What an admin has banned gets nothing: with short lifetimes, the revocation that Kubernetes allows. */
export const nodeNotBanned: Rule = {
  name: 'node not banned',
  expected: () => 'not banned',
  actual: ({ facts: { record } }) => {
    if (!record.known) return `unknown: ${record.why}`;
    const ban = record.value?.ban;
    return ban === undefined ? 'not banned' : `banned at ${formatTime(ban.since)}: ${quote(ban.reason)}`;
  },
  violations: ({ request, facts: { record } }) => {
    if (request.nodeName === undefined) return NO_VIOLATIONS;
    if (!record.known) return violation('FactUnavailable', `node record: ${record.why}`);
    const ban = record.value?.ban;
    return ban === undefined
      ? NO_VIOLATIONS
      : violation(
          'NodeBanned',
          `${quote(request.nodeName)} is banned since ${formatTime(ban.since)}: ${quote(ban.reason)}`,
        );
  },
};

/** Names of the control plane: only with a token for that node, or from a pool that says so (A4). */
export const controlPlaneNameHeld: Rule = {
  name: 'control-plane name',
  expected: ({ policy }) =>
    policy.controlPlane === undefined
      ? 'no such class'
      : `names of ${quote(policy.controlPlane.pattern)} with a token for the node or of a control-plane pool`,
  actual: (input) => quote(input.request.nodeName ?? ''),
  violations: (input) => {
    const { request, policy } = input;
    const { nodeName } = request;
    if (nodeName === undefined || policy.controlPlane?.admitsNodeName(nodeName) !== true) return NO_VIOLATIONS;
    const entitled = isExact(input) || poolOf(input)?.controlPlane === true;
    return entitled
      ? NO_VIOLATIONS
      : violation('ControlPlaneName', `${quote(nodeName)} is a name of the control plane, the token is not`);
  },
};

/**
 * A live node is not replaced (D9). Alive = its Node exists and its Lease was renewed within `staleAfter`, by when the
 * CSR was made: one that was made while the node was alive stays refused however stale the node grows. A release, or a
 * token that was issued to replace the node, opens the way.
 */
export const nodeNotLive: Rule = {
  name: 'node not alive',
  expected: ({ policy }) =>
    `no Node, no Lease renewed within ${policy.staleAfterMs / 1000} s of the request, or a release`,
  actual: (input) => {
    const { presence } = input.facts;
    if (!presence.known) return `unknown: ${presence.why}`;
    const { exists, renewedAt, wasLive } = presence.value;
    if (!exists) return 'no Node';
    const lease = renewedAt === undefined ? 'no Lease' : `Lease renewed at ${formatTime(renewedAt)}`;
    const way = isReleased(input) ? ', released' : wasLive ? ', alive when this was asked for' : '';
    return `Node exists, ${lease}${way}`;
  },
  violations: (input) => {
    const { request, facts } = input;
    if (request.nodeName === undefined) return NO_VIOLATIONS;
    if (!facts.presence.known) return violation('FactUnavailable', `node: ${facts.presence.why}`);
    const { exists, renewedAt } = facts.presence.value;
    if (!wasAlive(input) || isReleased(input)) return NO_VIOLATIONS;
    const lease = renewedAt === undefined ? '' : `, its Lease was renewed at ${formatTime(renewedAt)}`;
    return violation('NodeIsLive', `${quote(request.nodeName)} ${exists ? 'is' : 'was'} alive${lease}`);
  },
};

/** What a pool's token, or one without a binding, may do with a Node that is there and not alive (D9). */
export const rejoinAllowed: Rule = {
  name: 'rejoin',
  expected: (input) => (isExact(input) ? 'any: the token is for this node' : describeRejoin(rejoinOf(input))),
  actual: ({ facts: { presence, record, now } }) => {
    if (!presence.known || !record.known) return 'unknown';
    if (!presence.value.exists) return 'no Node';
    const end = validUntil(record.value, now);
    return end === undefined ? 'Node exists, no valid certificate on record' : `certificate until ${formatTime(end)}`;
  },
  violations: (input) => {
    const { request, facts } = input;
    const { presence, record, now } = facts;
    // What is unknown is said by the rules before.
    if (request.nodeName === undefined || !presence.known || !record.known) return NO_VIOLATIONS;
    if (!presence.value.exists || wasAlive(input) || isExact(input) || isReleased(input)) return NO_VIOLATIONS;
    return rejoinViolations(rejoinOf(input), request.nodeName, validUntil(record.value, now));
  },
};

function rejoinViolations(
  rejoin: ReturnType<typeof rejoinOf>,
  nodeName: string,
  validUntilMs: number | undefined,
): readonly Violation[] {
  if (rejoin === 'never') return violation('RejoinNotAllowed', `${quote(nodeName)} is there already`);
  return rejoin === 'whenStale' || validUntilMs === undefined
    ? NO_VIOLATIONS
    : violation(
        'NodeCertificateValid',
        `${quote(nodeName)} is there, with a certificate that is valid until ${formatTime(validUntilMs)}`,
      );
}

function describeRejoin(rejoin: ReturnType<typeof rejoinOf>): string {
  switch (rejoin) {
    case 'never':
      return 'no Node, or a release';
    case 'whenStale':
      return 'a Node that is not alive';
    case 'whenCertificateExpired':
      return 'no Node, or no valid certificate on its record';
  }
}

/** A token without a binding is trusted no more than a pool's. */
function rejoinOf(input: RuleInput): 'whenCertificateExpired' | 'whenStale' | 'never' {
  return poolOf(input)?.rejoin ?? 'whenCertificateExpired';
}

function wasAlive({ request, facts: { presence }, policy }: RuleInput): boolean {
  if (!presence.known) return false;
  const { exists, renewedAt, wasLive } = presence.value;
  return wasLive || (exists && renewedAt !== undefined && renewedAt + policy.staleAfterMs > request.csr.createdAt);
}

function isReleased({ facts: { token, record, now } }: RuleInput): boolean {
  const until = record.known ? record.value?.release?.until : undefined;
  return (until !== undefined && now < until) || (token.known && token.value?.replacesLive === true);
}

function validUntil(record: NodeRecord | undefined, now: number): number | undefined {
  const ends = (record?.certificates ?? []).map(({ notAfter }) => notAfter).filter((notAfter) => now < notAfter);
  return ends.length === 0 ? undefined : Math.max(...ends);
}
