/** Rules for a kubelet's first client certificate, asked for with a bootstrap token (DESIGN D1). */
import { BOOTSTRAPPERS_GROUP, describeBinding, readBinding } from '../tokens/binding.ts';
import { formatTime, type TokenRecord } from '../tokens/token-secret.ts';
import { NO_VIOLATIONS, quote, quoteAll, type Rule, type RuleInput, violation } from './rule.ts';
import type { Violation } from './verdict.ts';

/** The user name is exactly one of a token, without the uid and extra that a certificate or webhook would add. */
export const requesterIsToken: Rule = {
  name: 'requester is a bootstrap token',
  expected: () => 'system:bootstrap:<token ID>, no uid, no extra',
  actual: ({ request: { csr } }) => describeRequester(csr.requester),
  violations: ({ request: { csr, tokenId } }) => {
    const { uid, extra } = csr.requester;
    return tokenId !== undefined && uid === '' && Object.keys(extra).length === 0
      ? NO_VIOLATIONS
      : violation('RequesterNotToken', `requester is ${describeRequester(csr.requester)}`);
  },
};

function describeRequester(requester: RuleInput['request']['csr']['requester']): string {
  const extra = Object.keys(requester.extra);
  return [
    quote(requester.username),
    ...(requester.uid === '' ? [] : [`uid ${quote(requester.uid)}`]),
    ...(extra.length === 0 ? [] : [`extra ${quoteAll(extra)}`]),
  ].join(', ');
}

/** The group that every token has. */
export const requesterIsBootstrapper: Rule = {
  name: 'requester group',
  expected: () => BOOTSTRAPPERS_GROUP,
  actual: ({ request }) => quoteAll(request.csr.requester.groups),
  violations: ({ request: { csr } }) =>
    csr.requester.groups.includes(BOOTSTRAPPERS_GROUP)
      ? NO_VIOLATIONS
      : violation(
          'RequesterGroupMissing',
          `groups are ${quoteAll(csr.requester.groups)}, without ${BOOTSTRAPPERS_GROUP}`,
        ),
};

/** The token exists, is unexpired and is not being deleted: a deleted one still logs in for up to 10 s. */
export const tokenInForce: Rule = {
  name: 'token in force',
  expected: () => 'a bootstrap-token Secret that logs in, not expired, not being deleted',
  actual: ({ facts }) => {
    if (!facts.token.known) return `unknown: ${facts.token.why}`;
    return facts.token.value === undefined ? 'no Secret' : describeToken(facts.token.value);
  },
  violations: ({ request, facts: { token, now } }) => {
    if (request.tokenId === undefined) return NO_VIOLATIONS;
    if (!token.known) return violation('FactUnavailable', `token ${request.tokenId}: ${token.why}`);
    return tokenViolations(request.tokenId, token.value, request.csr.requester.groups, now);
  },
};

function describeToken(token: TokenRecord): string {
  const end = token.expiresAt === undefined ? 'never expires' : `expires ${formatTime(token.expiresAt)}`;
  const flaws = [token.beingDeleted ? ', being deleted' : '', token.authenticates ? '' : ', may not log in'];
  return `token ${token.id}, ${end}${flaws.join('')}`;
}

function tokenViolations(
  id: string,
  token: TokenRecord | undefined,
  groups: readonly string[],
  now: number,
): readonly Violation[] {
  if (token === undefined) return violation('TokenNotFound', `token ${id} has no Secret (any more)`);
  if (token.beingDeleted) return violation('TokenBeingDeleted', `token ${id} is being deleted`);
  if (!token.authenticates) return violation('TokenDisabled', `token ${id} may no longer log in`);
  if (token.expiresAt !== undefined && now >= token.expiresAt) {
    return violation('TokenExpired', `token ${id} expired at ${formatTime(token.expiresAt)}`);
  }
  const lost = groups.filter((group) => group.startsWith(`${BOOTSTRAPPERS_GROUP}:`) && !token.groups.includes(group));
  return lost.length === 0
    ? NO_VIOLATIONS
    : violation('TokenBindingChanged', `token ${id} no longer has ${quoteAll(lost)}`);
}

/** D1: the token is for this node, or for a pool that admits this node's name. */
export const tokenBoundToNode: Rule = {
  name: 'token binding',
  expected: ({ request, policy }) =>
    `exactly one binding, to node ${request.nodeName ?? '?'} or to one of the pools ${quoteAll([...policy.pools.keys()])}`,
  actual: ({ request }) => {
    const reading = readBinding(request.csr.requester.groups);
    if (reading.kind === 'bound') return describeBinding(reading.binding);
    return reading.kind === 'ambiguous' ? quoteAll(reading.groups) : reading.kind;
  },
  violations: ({ request, facts, policy }) => {
    const reading = readBinding(request.csr.requester.groups);
    switch (reading.kind) {
      case 'none':
        return policy.unboundTokensUntil !== undefined && facts.now < policy.unboundTokensUntil
          ? NO_VIOLATIONS
          : violation('TokenNotBound', 'the token is bound to no node and no pool');
      case 'ambiguous':
        return violation('TokenBindingAmbiguous', `the token has the bindings ${quoteAll(reading.groups)}`);
      case 'malformed':
        return violation('TokenBindingMalformed', `group ${quote(reading.group)} names no node or pool`);
      case 'bound':
        return request.nodeName === undefined
          ? NO_VIOLATIONS
          : bindingViolations(reading.binding, request.nodeName, policy);
    }
  },
};

function bindingViolations(
  binding: NonNullable<TokenRecord['binding']>,
  nodeName: string,
  policy: RuleInput['policy'],
): readonly Violation[] {
  if (binding.kind === 'node') {
    return binding.node === nodeName
      ? NO_VIOLATIONS
      : violation(
          'TokenBoundToOtherNode',
          `the token is for node ${quote(binding.node)}, the request for ${quote(nodeName)}`,
        );
  }
  const pool = policy.pools.get(binding.pool);
  if (pool === undefined) return violation('TokenPoolUnknown', `pool ${quote(binding.pool)} is not in the config`);
  return pool.admitsNodeName(nodeName)
    ? NO_VIOLATIONS
    : violation(
        'NodeNameNotInPool',
        `${quote(nodeName)} does not match ${quote(pool.pattern)} of pool ${binding.pool}`,
      );
}
