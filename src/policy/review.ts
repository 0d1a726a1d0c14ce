/**
 * The decision on a kubelet CSR: a pure function from request, facts and config to a verdict. The lists below are every
 * check, in the order in which they run and are reported; all violations are collected. `explain` walks the same lists.
 */
import { describeBinding, readBinding } from '../tokens/binding.ts';
import { requesterIsBootstrapper, requesterIsToken, tokenBoundToNode, tokenInForce } from './bootstrap-rules.ts';
import type { PolicyConfig } from './policy-config.ts';
import { APPROVAL_REASONS, isHeld, REASONS } from './reasons.ts';
import { credentialOnRecord, nodeObjectExists } from './credential-rules.ts';
import { controlPlaneNameHeld, nodeNotBanned, nodeNotLive, rejoinAllowed } from './node-rules.ts';
import { quote, type Rule, type RuleInput, violation } from './rule.ts';
import { addressesVouched, dnsNamesOfNode, sansPresent } from './serving-rules.ts';
import {
  accessGranted,
  commonName,
  commonNameIsRequester,
  metadataFits,
  newest,
  noSans,
  organization,
  requestedDuration,
  requesterIsNode,
  usages,
  wellFormed,
} from './shared-rules.ts';
import { poolHasRoom, tokenHasUses, tokenUnspent } from './token-rules.ts';
import type { RequestPath, Verdict, Violation } from './verdict.ts';

const recognised: Rule = {
  name: 'requester is recognised',
  expected: () => 'a bootstrap token or node for client certificates, a node for serving certificates',
  actual: ({ request: { csr } }) => `${quote(csr.requester.username)} for ${csr.signerName}`,
  violations: ({ request: { csr } }) =>
    violation('RequesterNotRecognised', `${quote(csr.requester.username)} asks for a certificate of ${csr.signerName}`),
};

/** Every check by the way a request came. */
export const CHECKS: Readonly<Record<RequestPath, readonly Rule[]>> = {
  bootstrap: [
    requesterIsToken,
    requesterIsBootstrapper,
    metadataFits,
    wellFormed,
    organization,
    commonName,
    tokenInForce,
    tokenBoundToNode,
    controlPlaneNameHeld,
    nodeNotBanned,
    tokenUnspent,
    tokenHasUses,
    poolHasRoom,
    nodeNotLive,
    rejoinAllowed,
    noSans,
    usages('client auth'),
    requestedDuration,
    accessGranted,
    newest,
  ],
  renewal: [
    requesterIsNode,
    metadataFits,
    wellFormed,
    organization,
    commonName,
    commonNameIsRequester,
    nodeNotBanned,
    credentialOnRecord,
    nodeObjectExists,
    noSans,
    usages('client auth'),
    requestedDuration,
    accessGranted,
    newest,
  ],
  serving: [
    requesterIsNode,
    metadataFits,
    wellFormed,
    organization,
    commonName,
    commonNameIsRequester,
    nodeNotBanned,
    sansPresent,
    dnsNamesOfNode,
    addressesVouched,
    usages('server auth'),
    requestedDuration,
    newest,
  ],
  other: [recognised],
};

/** What can be judged of a request without asking who made it, and bans: all that is left where others approve (DESIGN D6). */
export const SIGN_ONLY_CHECKS: Readonly<Record<'client' | 'serving', readonly Rule[]>> = {
  client: [
    metadataFits,
    wellFormed,
    organization,
    commonName,
    nodeNotBanned,
    noSans,
    usages('client auth'),
    requestedDuration,
  ],
  serving: [
    metadataFits,
    wellFormed,
    organization,
    commonName,
    nodeNotBanned,
    sansPresent,
    usages('server auth'),
    requestedDuration,
  ],
};

/** The decision of a service that only signs: whoever approved is trusted for node and addresses, for nothing else. */
export function reviewForSigning(input: RuleInput): Verdict {
  const { path, usage } = input.request;
  const violations = SIGN_ONLY_CHECKS[usage].flatMap((rule) => rule.violations(input));
  if (violations.length > 0) return { kind: 'wait', path, violations };
  const message = `kubelet-bootstrap: ${input.request.nodeName ?? ''}, approved by somebody else`;
  const of = usage === 'serving' ? 'serving' : path === 'renewal' ? 'renewal' : 'bootstrap';
  return { kind: 'approve', path: of, reason: 'ApprovedByOthers', message, remarks: [] };
}

/** Decides (DESIGN D2, D3). Never throws; a fact that is not known is a reason to wait, never to deny. */
export function review(input: RuleInput): Verdict {
  const { path } = input.request;
  const violations = CHECKS[path].flatMap((rule) => rule.violations(input));
  if (violations.length === 0 && path !== 'other') {
    return {
      kind: 'approve',
      path,
      reason: APPROVAL_REASONS[path],
      message: approvalMessage(input),
      remarks: CHECKS[path].flatMap((rule) => rule.remarks?.(input) ?? []),
    };
  }
  return { kind: deniable(violations, input.policy) ? 'deny' : 'wait', path, violations };
}

/** One that can never become right is enough, unless it is held by something that may change. */
function deniable(violations: readonly Violation[], { onViolation }: PolicyConfig): boolean {
  if (isHeld(violations.map(({ code }) => code))) return false;
  return violations.some(({ code }) => {
    const { class: of } = REASONS[code];
    return of !== 'state' && onViolation[of] === 'deny';
  });
}

function approvalMessage({ request }: RuleInput): string {
  const node = request.nodeName ?? '';
  if (request.path === 'serving')
    return `kubelet-bootstrap: serving certificate of ${node}, names and addresses admitted`;
  if (request.path === 'renewal') return `kubelet-bootstrap: renewal of ${node} by itself`;
  const reading = readBinding(request.csr.requester.groups);
  const bound = reading.kind === 'bound' ? `bound to ${describeBinding(reading.binding)}` : 'not bound';
  return `kubelet-bootstrap: first certificate of ${node}, token ${request.tokenId} ${bound}`;
}

/** One check as `explain` shows it. */
export interface CheckResult {
  readonly name: string;
  readonly expected: string;
  readonly actual: string;
  readonly violations: readonly Violation[];
}

/** Every check with what it expected and what it found, in order; `rules` are those of `review` unless told. */
export function explainChecks(input: RuleInput, rules: readonly Rule[] = CHECKS[input.request.path]): CheckResult[] {
  return rules.map((rule) => ({
    name: rule.name,
    expected: rule.expected(input),
    actual: rule.actual(input),
    violations: rule.violations(input),
  }));
}
