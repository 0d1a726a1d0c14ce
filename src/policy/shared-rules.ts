/** Rules that hold for every kubelet request, whichever way it came. */
import { formatAddress } from './addresses.ts';
import { poolOfNode } from './pool-of-node.ts';
import { NODE_USER_PREFIX } from './request.ts';
import { NO_VIOLATIONS, quote, quoteAll, type Rule, type RuleInput, violation } from './rule.ts';

const NODES_GROUP = 'system:nodes';

/** What a write would have to echo: whoever may edit a CSR must not make it be denied or fail by that. */
export const metadataFits: Rule = {
  name: 'metadata',
  expected: () => 'labels, annotations and finalizers of 16 KiB at most',
  actual: ({ request }) => (request.csr.hasLargeMetadata ? 'more' : 'as expected'),
  violations: ({ request }) =>
    request.csr.hasLargeMetadata
      ? violation('MetadataTooLarge', 'labels, annotations and finalizers have more than 16 KiB: it is not written to')
      : NO_VIOLATIONS,
};

/** D4: the bytes were read totally and nothing in them is unnamed. */
export const wellFormed: Rule = {
  name: 'CSR is well-formed',
  expected: () => 'one PEM block, strict DER, O and CN, at most one SAN extension, good key and signature',
  actual: ({ request }) => {
    const { problems, seen } = request.reading();
    return problems.map(({ code, message }) => `${code}: ${message}`).join('; ') || describeKey(seen.key);
  },
  violations: ({ request }) => request.reading().problems,
};

function describeKey(key: { type: string; curve?: string; bits?: number } | undefined): string {
  if (key === undefined) return 'unreadable';
  return `readable, ${key.type} ${key.curve ?? key.bits ?? ''}`.trimEnd();
}

/** Exactly the organization that makes a certificate one of a node. */
export const organization: Rule = {
  name: 'organization',
  expected: () => quote(NODES_GROUP),
  actual: ({ request }) => quote(request.reading().seen.organization ?? ''),
  violations: ({ request }) => {
    const found = request.reading().seen.organization;
    return found === undefined || found === NODES_GROUP
      ? NO_VIOLATIONS
      : violation('OrganizationNotSystemNodes', `organization is ${quote(found)}`);
  },
};

/** `system:node:` and a DNS name: upstream takes the prefix alone, and with it an empty name. */
export const commonName: Rule = {
  name: 'common name',
  expected: () => 'system:node:<lower-case DNS name>',
  actual: ({ request }) => quote(request.commonName ?? ''),
  violations: ({ request }) =>
    request.commonName === undefined || request.nodeName !== undefined
      ? NO_VIOLATIONS
      : violation('CommonNameNotNode', `common name is ${quote(request.commonName)}`),
};

/** A node asks for itself alone, in renewals and for serving certificates (A14). */
export const commonNameIsRequester: Rule = {
  name: 'common name is the requester',
  expected: ({ request }) => quote(request.csr.requester.username),
  actual: ({ request }) => quote(request.commonName ?? ''),
  violations: ({ request }) => {
    const { username } = request.csr.requester;
    return request.commonName === undefined || request.commonName === username
      ? NO_VIOLATIONS
      : violation('CommonNameNotRequester', `${quote(username)} asks for ${quote(request.commonName)}`);
  },
};

/** The group that the Node authorizer goes by. */
export const requesterIsNode: Rule = {
  name: 'requester group',
  expected: () => `${NODE_USER_PREFIX}<name> in ${NODES_GROUP}`,
  actual: ({ request: { csr } }) => `${quote(csr.requester.username)} in ${quoteAll(csr.requester.groups)}`,
  violations: ({ request: { csr } }) =>
    csr.requester.groups.includes(NODES_GROUP)
      ? NO_VIOLATIONS
      : violation('RequesterGroupMissing', `groups are ${quoteAll(csr.requester.groups)}, without ${NODES_GROUP}`),
};

/** Exactly the usages of upstream's validators (`pkg/apis/certificates/helpers.go`), in any order. */
export function usages(purpose: 'client auth' | 'server auth'): Rule {
  const compulsory = ['digital signature', purpose];
  const admitted = new Set([...compulsory, 'key encipherment']);
  const exact = (asked: readonly string[]): boolean =>
    new Set(asked).size === asked.length &&
    asked.every((usage) => admitted.has(usage)) &&
    compulsory.every((usage) => asked.includes(usage));
  return {
    name: 'usages',
    expected: () => `exactly ${quoteAll(compulsory)}, with or without "key encipherment"`,
    actual: ({ request }) => quoteAll(request.csr.usages),
    violations: ({ request: { csr } }) =>
      exact(csr.usages) ? NO_VIOLATIONS : violation('UsagesNotExact', `usages are ${quoteAll(csr.usages)}`),
  };
}

/** A cap on what may be asked for; what is below it and above the configured lifetime is shortened by the signer. */
export const requestedDuration: Rule = {
  name: 'requested duration',
  expected: (input) => `none, or at most ${longestRequest(input)} s`,
  actual: ({ request }) =>
    request.csr.expirationSeconds === undefined ? 'none' : `${request.csr.expirationSeconds} s`,
  violations: (input) => {
    const asked = input.request.csr.expirationSeconds ?? 0;
    const longest = longestRequest(input);
    return asked <= longest
      ? NO_VIOLATIONS
      : violation('DurationTooLong', `asks for ${asked} s, more than the ${longest} s that are admitted`);
  },
};

/** The cap of the node's pool, by its token or by its record, or else of the policy. */
function longestRequest({ request: { csr }, facts, policy }: RuleInput): number {
  return policy.pools.get(poolOfNode(csr, facts) ?? '')?.longestRequestSeconds ?? policy.longestRequestSeconds;
}

/** D7: the cluster's own RBAC has the last word on who may be approved without a human. */
export const accessGranted: Rule = {
  name: 'access review',
  expected: ({ request }) => `RBAC allows ${accessKind(request.path)}`,
  actual: ({ facts }) => (facts.access.known ? describeAccess(facts.access.value) : `unknown: ${facts.access.why}`),
  violations: ({ request, facts: { access } }) => {
    if (!access.known) return violation('FactUnavailable', `access review: ${access.why}`);
    if (access.value.allowed) return NO_VIOLATIONS;
    const group = request.path === 'bootstrap' ? 'system:bootstrappers' : NODES_GROUP;
    const role = `system:certificates.k8s.io:certificatesigningrequests:${accessKind(request.path)}`;
    return violation(
      'AccessNotGranted',
      `group ${group} has no right to create certificatesigningrequests/${accessKind(request.path)}: ` +
        `bind ClusterRole ${role} to it`,
    );
  },
};

/** The subresource whose `create` right upstream asks for (`pkg/controller/certificates/approver/sarapprove.go`). */
export function accessKind(path: RuleInput['request']['path']): 'nodeclient' | 'selfnodeclient' {
  return path === 'bootstrap' ? 'nodeclient' : 'selfnodeclient';
}

function describeAccess(answer: { allowed: boolean; reason: string }): string {
  return `${answer.allowed ? 'allowed' : 'not allowed'}${answer.reason === '' ? '' : ` (${answer.reason})`}`;
}

/** D13: the kubelet waits only for its newest request, so nobody would hold the key of an older one. */
export const newest: Rule = {
  name: 'newest request',
  expected: () => 'no newer request of this requester for this node that passes every check, or is issued',
  actual: ({ facts }) => facts.supersededBy ?? 'none',
  violations: ({ facts }) =>
    facts.supersededBy === undefined
      ? NO_VIOLATIONS
      : violation('Superseded', `${quote(facts.supersededBy)} is newer, of the same requester and node`),
};

/** A client certificate carries no names and addresses. */
export const noSans: Rule = {
  name: 'subject alternative names',
  expected: () => 'none',
  actual: ({ request }) => describeSans(request),
  violations: ({ request }) =>
    countSans(request) === 0 ? NO_VIOLATIONS : violation('SanNotAllowed', `asks for ${describeSans(request)}`),
};

/** `DNS ["a"], IP ["10.0.0.1"]`, or `none`. */
export function describeSans({ reading }: RuleInput['request']): string {
  const { seen } = reading();
  const dns = seen.dnsNames ?? [];
  const ips = (seen.ipAddresses ?? []).map((address) => formatAddress(address));
  const parts = [];
  if (dns.length > 0) parts.push(`DNS ${quoteAll(dns)}`);
  if (ips.length > 0) parts.push(`IP ${quoteAll(ips)}`);
  return parts.join(', ') || 'none';
}

/** How many names and addresses are asked for, as far as they could be read. */
export function countSans({ reading }: RuleInput['request']): number {
  const { seen } = reading();
  return (seen.dnsNames?.length ?? 0) + (seen.ipAddresses?.length ?? 0);
}
