/** Rules for the names and addresses of a serving certificate (DESIGN D10). */
import { type AddressRanges, canonicalAddress, formatAddress, isNoHost } from './addresses.ts';
import type { AddressFacts } from './facts.ts';
import { poolOfNode } from './pool-of-node.ts';
import type { PoolPolicy } from './policy-config.ts';
import { NO_VIOLATIONS, quote, quoteAll, type Rule, type RuleInput, violation } from './rule.ts';
import type { Violation } from './verdict.ts';
import { countSans, describeSans } from './shared-rules.ts';

/** At least one name or address, as upstream's validator has it. */
export const sansPresent: Rule = {
  name: 'subject alternative names',
  expected: () => 'at least one DNS name or IP address',
  actual: ({ request }) => describeSans(request),
  violations: ({ request }) =>
    request.reading().seen.dnsNames === undefined || hasTooManySans(request) || countSans(request) > 0
      ? NO_VIOLATIONS
      : [{ code: 'SanMissing', message: 'asks for no DNS name and no IP address' }],
};

/** Then none of them was read, which is not the same as none. */
function hasTooManySans({ reading }: RuleInput['request']): boolean {
  return reading().problems.some(({ code }) => code === 'TooManySans');
}

/**
 * `<node>`, `<node>.<suffix>` or a name in the inventory, compared whole: a prefix would let `node-1` speak for `node-10`.
 * Never one of a Service, of the API server or of another node, though a node may be called so.
 */
export const dnsNamesOfNode: Rule = {
  name: 'DNS names',
  expected: (input) => quoteAll(admittedNames(input)),
  actual: ({ request }) => quoteAll(request.reading().seen.dnsNames ?? []),
  violations: (input) => {
    const { request, facts } = input;
    if (request.nodeName === undefined) return NO_VIOLATIONS;
    const asked = request.reading().seen.dnsNames ?? [];
    if (asked.length === 0) return NO_VIOLATIONS;
    if (!facts.addresses.known) return violation('FactUnavailable', `names: ${facts.addresses.why}`);
    const admitted = new Set(admittedNames(input));
    const { owners } = facts.addresses.value;
    return asked.flatMap((name) => nameViolation(name, input, admitted, owners) ?? []);
  },
};

function nameViolation(
  name: string,
  { request: { nodeName = '' }, policy }: RuleInput,
  admitted: ReadonlySet<string>,
  owners: ReadonlyMap<string, string>,
): Violation | undefined {
  if (!admitted.has(name)) {
    return { code: 'DnsNameNotOfNode', message: `${quote(name)} is not a name of ${quote(nodeName)}` };
  }
  const reserved = nameReservedAs(name, nodeName, policy);
  if (reserved !== undefined) return { code: 'DnsNameReserved', message: `${quote(name)} is ${reserved}` };
  const owner = owners.get(name);
  return owner === undefined
    ? undefined
    : { code: 'DnsNameOfOtherNode', message: `${quote(name)} belongs to node ${quote(owner)}` };
}

/** Clients in the cluster and kubelets go by these names, and trust the CA that would sign for them. */
function nameReservedAs(name: string, nodeName: string, policy: RuleInput['policy']): string | undefined {
  const { clusterDomain = '', apiServerHost = '' } = policy.serving ?? {};
  const ofService = name.endsWith('.svc') || name.endsWith(`.svc.${clusterDomain}`);
  if (ofService || name === 'kubernetes' || name === 'kubernetes.default') return 'the name of a Service';
  const ofControlPlane = policy.controlPlane?.admitsNodeName(nodeName) === true;
  return name === apiServerHost && !ofControlPlane ? "the API server's" : undefined;
}

function admittedNames(input: RuleInput): string[] {
  const { request, policy, facts } = input;
  const nodeName = request.nodeName ?? '?';
  const suffixes = poolPolicy(input)?.dnsSuffixes ?? policy.serving?.dnsSuffixes ?? [];
  const vouched = facts.addresses.known ? (facts.addresses.value.vouched ?? []) : [];
  const names = vouched.filter((entry) => canonicalAddress(entry) === undefined);
  return [nodeName, ...suffixes.map((suffix) => `${nodeName}.${suffix}`), ...names];
}

/** Of the pool that the node joined by. */
function poolPolicy({ request, facts, policy }: RuleInput): PoolPolicy | undefined {
  return policy.pools.get(poolOfNode(request.csr, facts) ?? '');
}

/**
 * Every address has an owner outside the node (DESIGN D10): never one of a Service, of the API server or of no host; where
 * inventory or token name addresses of this node, only those; else one in the ranges of its pool or of the config; and
 * never one that belongs to another node. A node's own word for its addresses counts for nothing.
 */
export const addressesVouched: Rule = {
  name: 'IP addresses',
  expected: (input) => {
    if (!input.facts.addresses.known) return `unknown: ${input.facts.addresses.why}`;
    const vouched = vouchedAddresses(input);
    return vouched === undefined ? `in ${quoteAll(rangesOf(input)?.texts ?? [])}` : `of ${quoteAll(vouched)}`;
  },
  actual: ({ request }) =>
    quoteAll((request.reading().seen.ipAddresses ?? []).map((address) => formatAddress(address))),
  violations: (input) => {
    const { request, facts } = input;
    const asked = request.reading().seen.ipAddresses ?? [];
    if (asked.length === 0) return NO_VIOLATIONS;
    if (!facts.addresses.known) return violation('FactUnavailable', `addresses: ${facts.addresses.why}`);
    const known = facts.addresses.value;
    return asked.flatMap((address) => addressViolation(address, input, known) ?? []);
  },
};

function addressViolation(address: Uint8Array, input: RuleInput, known: AddressFacts): Violation | undefined {
  const text = formatAddress(address);
  const vouched = vouchedAddresses(input);
  const reserved = reservedAs(address, input, known, vouched?.includes(text) === true);
  if (reserved !== undefined) return { code: 'AddressReserved', message: `${text} is ${reserved}` };
  const owner = known.owners.get(text);
  if (owner !== undefined) return { code: 'AddressOfOtherNode', message: `${text} belongs to node ${quote(owner)}` };
  if (vouched !== undefined) {
    if (vouched.includes(text)) return undefined;
    return { code: 'IpAddressNotVouched', message: `${text} is none of ${quoteAll(vouched)}` };
  }
  const ranges = rangesOf(input);
  if (ranges?.contains(address) === true) return undefined;
  return { code: 'IpAddressOutOfRange', message: `${text} lies in none of ${quoteAll(ranges?.texts ?? [])}` };
}

function reservedAs(
  address: Uint8Array,
  { request, policy }: RuleInput,
  { serviceRanges, apiServer }: AddressFacts,
  isVouched: boolean,
): string | undefined {
  if (isNoHost(address)) return 'the address of no host';
  if (serviceRanges.contains(address)) return 'the address of a Service';
  if (!apiServer.includes(formatAddress(address))) return undefined;
  // A node of the control plane may well be where the API server is, if somebody else says so.
  const ofControlPlane = policy.controlPlane?.admitsNodeName(request.nodeName ?? '') === true;
  return ofControlPlane && isVouched ? undefined : "the API server's";
}

/** Addresses that are vouched for by name; undefined where none is, and ranges decide. */
function vouchedAddresses({ facts: { addresses } }: RuleInput): string[] | undefined {
  const entries = addresses.known ? (addresses.value.vouched ?? []) : [];
  const found = entries.map((entry) => canonicalAddress(entry)).filter((address) => address !== undefined);
  return found.length === 0 ? undefined : found;
}

function rangesOf(input: RuleInput): AddressRanges | undefined {
  return poolPolicy(input)?.ranges ?? input.policy.serving?.ranges;
}
