/** Rules for the certificate that a node renews with (DESIGN D16). */
import type { Csr } from '../ports.ts';
import type { NodeRecord } from '../nodes/node-record.ts';
import { formatTime } from '../tokens/token-secret.ts';
import { NO_VIOLATIONS, quote, quoteAll, type Rule, type RuleInput, violation } from './rule.ts';

const CREDENTIAL_ID = 'authentication.kubernetes.io/credential-id';
const FINGERPRINT = /^X509SHA256=([0-9a-f]{64})$/;

/**
 * The certificate that a node renews with is one on its record (D16). One that nobody recorded is adopted: a cluster
 * that was there before this service, a restore of etcd, or a lost record must strand no fleet.
 */
export const credentialOnRecord: Rule = {
  name: 'certificate on record',
  expected: ({ facts: { record, now }, policy }) => {
    const known = record.known ? validCertificates(record.value, now) : [];
    const otherwise = policy.credentials === 'adopt' ? ' (else adopted)' : '';
    return `${known.length === 0 ? 'one on record' : quoteAll(known.map(short))}${otherwise}`;
  },
  actual: ({ request }) => {
    const fingerprint = presentedCertificate(request);
    return fingerprint === undefined ? 'none named' : quote(short(fingerprint));
  },
  violations: (input) => {
    const finding = credentialFinding(input);
    return finding === undefined || input.policy.credentials === 'adopt' ? NO_VIOLATIONS : [finding];
  },
  remarks: (input) => {
    const finding = credentialFinding(input);
    if (finding === undefined) return [];
    const code = finding.code === 'CredentialUnknown' ? 'CredentialAdopted' : 'CredentialConflict';
    return [{ code, message: finding.message }];
  },
};

function credentialFinding({
  request,
  facts: { record, now },
}: RuleInput): { readonly code: 'CredentialUnknown' | 'CredentialConflict'; readonly message: string } | undefined {
  // That the record is unknown is said by `nodeNotBanned`.
  if (request.nodeName === undefined || !record.known) return undefined;
  const known = validCertificates(record.value, now);
  const presented = presentedCertificate(request);
  if (presented !== undefined && known.includes(presented))
    return secondLine(request.nodeName, record.value, presented);
  const what = presented === undefined ? 'no certificate' : `certificate ${short(presented)}`;
  return known.length === 0 || presented === undefined
    ? { code: 'CredentialUnknown', message: `${quote(request.nodeName)} presents ${what}, of which there is no record` }
    : {
        code: 'CredentialConflict',
        message: `${quote(request.nodeName)} presents ${what}, on record are ${quoteAll(known.map(short))}`,
      };
}

/**
 * A kubelet goes on with the certificate that it got last: it renews with the one that it renewed with before, or with one
 * that it got for that. Where another was renewed with since, and this one does not come from it, two hold the identity.
 */
function secondLine(
  nodeName: string,
  record: NodeRecord | undefined,
  presented: string,
): { readonly code: 'CredentialConflict'; readonly message: string } | undefined {
  const held = record?.certificates.find(({ fingerprint }) => fingerprint === presented);
  if (held === undefined) return undefined;
  const since = Math.max(held.issuedAt, held.renewedAt ?? 0);
  const other = record?.certificates.find(
    (each) => each !== held && each.issuedAt !== held.from && (each.renewedAt ?? 0) > since,
  );
  if (other === undefined) return undefined;
  const when = formatTime(other.renewedAt ?? 0);
  return {
    code: 'CredentialConflict',
    message: `${quote(nodeName)} presents certificate ${short(presented)}, and renewed at ${when} with ${short(other.fingerprint)}, of which that does not come`,
  };
}

function validCertificates(record: NodeRecord | undefined, now: number): string[] {
  return (record?.certificates ?? []).filter(({ notAfter }) => now < notAfter).map(({ fingerprint }) => fingerprint);
}

/** SHA-256 of the client certificate that the request was authenticated with (API server, 1.32 and later). */
export function presentedCertificate({ csr }: { readonly csr: Csr }): string | undefined {
  const [id = '', ...more] = csr.requester.extra[CREDENTIAL_ID] ?? [];
  return more.length === 0 ? FINGERPRINT.exec(id)?.[1] : undefined;
}

/** Enough to tell certificates apart. */
function short(fingerprint: string): string {
  return fingerprint.slice(0, 16);
}

/** A node that nobody can see has an hour to register; then its certificate ends (A26). */
export const nodeObjectExists: Rule = {
  name: 'Node object',
  expected: ({ policy }) => `a Node, or a certificate issued less than ${policy.renewWithoutNodeMs / 1000} s ago`,
  actual: ({ facts: { presence } }) => {
    if (!presence.known) return `unknown: ${presence.why}`;
    return presence.value.exists ? 'Node exists' : 'no Node';
  },
  violations: ({ request, facts: { presence, record, now }, policy }) => {
    if (request.nodeName === undefined || !record.known) return NO_VIOLATIONS;
    if (!presence.known) return violation('FactUnavailable', `node: ${presence.why}`);
    const issuedAt = record.value?.certificates[0]?.issuedAt;
    if (presence.value.exists || (issuedAt !== undefined && now < issuedAt + policy.renewWithoutNodeMs)) {
      return NO_VIOLATIONS;
    }
    const since = issuedAt === undefined ? 'and no record' : `and its certificate is of ${formatTime(issuedAt)}`;
    return violation('NodeObjectMissing', `there is no Node ${quote(request.nodeName)}, ${since}`);
  },
};
