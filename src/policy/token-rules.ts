/** Rules for how far a bootstrap token is used up (DESIGN D8). */
import { describeBinding, readBinding } from '../tokens/binding.ts';
import { formatTime } from '../tokens/token-secret.ts';
import type { RecordedToken } from '../nodes/node-record.ts';
import { NO_VIOLATIONS, quote, type Rule, type RuleInput, violation } from './rule.ts';

/**
 * A token is spent for a node once the node was seen with the certificate that it got for it: by a request, or by its Lease
 * where that was not renewed before. Until then the same node may ask again: a kubelet makes a fresh key for each attempt,
 * and replies are lost. A pool's token of any number of uses is never spent: what it may do with a node that was there is
 * for `rejoin` to say.
 */
export const tokenUnspent: Rule = {
  name: 'token not spent by this node',
  expected: () => 'not used by this node, or the node was not seen with its certificate yet',
  actual: (input) => {
    const { record } = input.facts;
    if (!record.known) return `unknown: ${record.why}`;
    const used = usedHere(input);
    if (used === undefined) return 'not used by this node';
    const seenAt = seenAtOf(input, used);
    return seenAt === undefined
      ? `used at ${formatTime(used.usedAt)}, not seen yet`
      : `used at ${formatTime(used.usedAt)}, seen at ${formatTime(seenAt)}`;
  },
  violations: (input) => {
    const { request, facts } = input;
    if (request.nodeName === undefined) return NO_VIOLATIONS;
    if (!facts.record.known) return violation('FactUnavailable', `node record: ${facts.record.why}`);
    const used = usedHere(input);
    const seenAt = used && isCounted(input) ? seenAtOf(input, used) : undefined;
    return seenAt === undefined
      ? NO_VIOLATIONS
      : violation(
          'TokenSpent',
          `token ${request.tokenId} was used by ${quote(request.nodeName)}, which was seen with its certificate at ${formatTime(seenAt)}`,
        );
  },
  remarks: (input) => {
    const used = usedHere(input);
    const { reading, keyFingerprint } = input.request;
    return used === undefined || reading().csr === undefined || used.key === keyFingerprint()
      ? []
      : [
          {
            code: 'TokenReusedOtherKey',
            message: `token ${used.id} was used by this node with another key at ${formatTime(used.usedAt)}`,
          },
        ];
  },
};

/** A token of this node alone, or of a number of uses. */
function isCounted(input: RuleInput): boolean {
  const { token } = input.facts;
  return isExact(input) || (token.known && token.value?.uses !== undefined);
}

/** When the node was seen with what it got for the token. Its own Lease has been renewed since: so it was there. */
function seenAtOf({ facts: { token, presence } }: RuleInput, used: RecordedToken): number | undefined {
  if (used.seenAt !== undefined) return used.seenAt;
  const overLive = used.released === true || (token.known && token.value?.replacesLive === true);
  const renewedAt = presence.known ? presence.value.renewedAt : undefined;
  return !overLive && renewedAt !== undefined && renewedAt > used.usedAt ? renewedAt : undefined;
}

function usedHere({ request, facts: { record } }: RuleInput) {
  const token = record.known ? record.value?.token : undefined;
  return token !== undefined && token.id === request.tokenId ? token : undefined;
}

/** One use means one node: a token of N uses is good for N nodes, however often each of them asks. */
export const tokenHasUses: Rule = {
  name: 'uses of the token',
  expected: () => 'a use that no other node has taken',
  actual: ({ facts: { claims } }) => {
    if (!claims.known) return `unknown: ${claims.why}`;
    const { uses, usedByOthers } = claims.value;
    return uses === undefined ? 'any number' : `${usedByOthers} of ${uses} taken by other nodes`;
  },
  violations: ({ request, facts: { claims } }) => {
    if (request.tokenId === undefined || request.nodeName === undefined) return NO_VIOLATIONS;
    if (!claims.known) return violation('FactUnavailable', `claims of token ${request.tokenId}: ${claims.why}`);
    const { uses, usedByOthers } = claims.value;
    return uses === undefined || usedByOthers < uses
      ? NO_VIOLATIONS
      : violation('TokenUsedUp', `token ${request.tokenId} is good for ${uses} nodes, which have used it`);
  },
};

/** A pool has at most so many nodes with a certificate. */
export const poolHasRoom: Rule = {
  name: 'room in the pool',
  expected: (input) => {
    const most = poolOf(input)?.maxNodes;
    return most === undefined ? 'no limit' : `fewer than ${most} other nodes`;
  },
  actual: ({ facts: { claims } }) => (claims.known ? `${claims.value.othersInPool} other nodes` : 'unknown'),
  violations: (input) => {
    const pool = poolOf(input);
    const { claims } = input.facts;
    // That the claims are unknown is said by `tokenHasUses`.
    if (pool?.maxNodes === undefined || !claims.known || claims.value.othersInPool < pool.maxNodes) {
      return NO_VIOLATIONS;
    }
    return violation(
      'PoolFull',
      `${describeBinding({ kind: 'pool', pool: pool.name })} has its ${pool.maxNodes} nodes`,
    );
  },
};

/** The pool of the config that the requester's token is for. */
export function poolOf({ request, policy }: RuleInput): ReturnType<RuleInput['policy']['pools']['get']> {
  const reading = readBinding(request.csr.requester.groups);
  return reading.kind === 'bound' && reading.binding.kind === 'pool'
    ? policy.pools.get(reading.binding.pool)
    : undefined;
}

/** The requester's token is for one node alone. */
export function isExact({ request }: RuleInput): boolean {
  const reading = readBinding(request.csr.requester.groups);
  return reading.kind === 'bound' && reading.binding.kind === 'node';
}
