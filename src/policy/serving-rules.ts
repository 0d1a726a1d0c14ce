/** Rules for the names and addresses of a serving certificate (DESIGN D10). */
import { formatAddress } from './addresses.ts';
import { NO_VIOLATIONS, quote, quoteAll, type Rule, type RuleInput } from './rule.ts';
import { countSans, describeSans } from './shared-rules.ts';

/** At least one name or address, as upstream's validator has it. */
export const sansPresent: Rule = {
  name: 'subject alternative names',
  expected: () => 'at least one DNS name or IP address',
  actual: ({ request }) => describeSans(request),
  violations: ({ request }) =>
    request.reading.seen.dnsNames === undefined || hasTooManySans(request) || countSans(request) > 0
      ? NO_VIOLATIONS
      : [{ code: 'SanMissing', message: 'asks for no DNS name and no IP address' }],
};

/** Then none of them was read, which is not the same as none. */
function hasTooManySans({ reading }: RuleInput['request']): boolean {
  return reading.problems.some(({ code }) => code === 'TooManySans');
}

/** `<node>` or `<node>.<suffix>`, compared whole: a prefix or pattern would let `node-1` speak for `node-10`. */
export const dnsNamesOfNode: Rule = {
  name: 'DNS names',
  expected: ({ request, policy }) =>
    quoteAll(admittedNames(request.nodeName ?? '?', policy.serving?.dnsSuffixes ?? [])),
  actual: ({ request }) => quoteAll(request.reading.seen.dnsNames ?? []),
  violations: ({ request, policy }) => {
    if (request.nodeName === undefined) return NO_VIOLATIONS;
    const admitted = new Set(admittedNames(request.nodeName, policy.serving?.dnsSuffixes ?? []));
    return (request.reading.seen.dnsNames ?? [])
      .filter((name) => !admitted.has(name))
      .map((name) => ({
        code: 'DnsNameNotOfNode',
        message: `${quote(name)} is not a name of ${quote(request.nodeName ?? '')}`,
      }));
  },
};

function admittedNames(nodeName: string, suffixes: readonly string[]): string[] {
  return [nodeName, ...suffixes.map((suffix) => `${nodeName}.${suffix}`)];
}

/** Every address lies in a configured range; a node's own word for its addresses counts for nothing. */
export const addressesInRange: Rule = {
  name: 'IP addresses',
  expected: ({ policy }) => `in ${quoteAll(policy.serving?.ranges.texts ?? [])}`,
  actual: ({ request }) => quoteAll((request.reading.seen.ipAddresses ?? []).map((address) => formatAddress(address))),
  violations: ({ request, policy }) =>
    (request.reading.seen.ipAddresses ?? [])
      .filter((address) => policy.serving?.ranges.contains(address) !== true)
      .map((address) => ({
        code: 'IpAddressOutOfRange',
        message: `${formatAddress(address)} lies in none of ${quoteAll(policy.serving?.ranges.texts ?? [])}`,
      })),
};
