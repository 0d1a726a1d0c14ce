/**
 * What an issued CSR says for the record of its node (DESIGN D16). Issued CSRs are the journal until records are written,
 * and are told again, in any order, after a restart: applying one twice, or late, changes nothing.
 */
import type { IssuedCertificate } from '../pki/certificate-summary.ts';
import { readBinding } from '../tokens/binding.ts';
import { tokenIdOfUser } from '../tokens/bootstrap-token.ts';
import type { NodeRecord, RecordedCertificate } from './node-record.ts';

/** What of an issued CSR goes on record. */
export interface IssuedRequest {
  /** ms since the epoch. */
  readonly createdAt: number;
  readonly requester: { readonly username: string; readonly groups: readonly string[] };
  readonly certificate: IssuedCertificate;
  /** Fingerprint of the certificate that it was asked for with; undefined for a token. */
  readonly presented: string | undefined;
  /** Addresses that the token vouched for; undefined when the token is not there any more. */
  readonly vouched: readonly string[] | undefined;
}

/** A kubelet uses its new certificate at once, and the one before while it rotates. */
const KEPT = 2;

/** Whether the request was the node's own, or made with a token that is for it: another's says nothing of the node. */
export function isOwnRequest(node: string, { username, groups }: IssuedRequest['requester']): boolean {
  if (tokenIdOfUser(username) === undefined) return username === `system:node:${node}`;
  const reading = readBinding(groups);
  return (
    reading.kind === 'none' ||
    (reading.kind === 'bound' && (reading.binding.kind === 'pool' || reading.binding.node === node))
  );
}

/** The record after a client certificate. The release of a node is used up by it: see `Releases`. */
export function withClientCertificate(record: NodeRecord, issued: IssuedRequest): NodeRecord {
  const { createdAt, certificate, requester } = issued;
  if (record.certificates.some(({ fingerprint }) => fingerprint === certificate.fingerprint)) return record;
  // Told late, which is what most of a long list is.
  if (record.certificates.filter(({ issuedAt }) => issuedAt > createdAt).length >= KEPT) return record;
  const { presented } = issued;
  const parent = record.certificates.find(({ fingerprint }) => fingerprint === presented);
  const fresh: RecordedCertificate = {
    fingerprint: certificate.fingerprint,
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    issuedAt: createdAt,
    issuer: certificate.issuer,
    ...(parent === undefined ? {} : { from: parent.issuedAt }),
  };
  const before = record.certificates.map((each) =>
    each === parent ? { ...each, renewedAt: Math.max(each.renewedAt ?? 0, createdAt) } : each,
  );
  const sorted = [fresh, ...before].toSorted((a, b) => b.issuedAt - a.issuedAt);
  // A node whose replies are lost asks again and again with the same one: that stays known, however old.
  const certificates = sorted.filter(
    ({ fingerprint }, index) => index < KEPT || (sorted[0] === fresh && fingerprint === presented),
  );
  if (!certificates.includes(fresh)) return record;
  const id = tokenIdOfUser(requester.username);
  if (id === undefined) {
    return {
      ...record,
      certificates,
      adopted: record.adopted || (record.certificates.length === 0 && record.token === undefined),
    };
  }
  if (record.token !== undefined && record.token.usedAt >= createdAt) return { ...record, certificates };
  const reading = readBinding(requester.groups);
  const pool = reading.kind === 'bound' && reading.binding.kind === 'pool' ? reading.binding.pool : undefined;
  const { release } = record;
  const released = release !== undefined && createdAt < release.until ? { released: true as const } : {};
  const token = { id, pool, key: certificate.key, usedAt: createdAt, seenAt: undefined, ...released };
  return { ...record, certificates, token, addresses: issued.vouched ?? record.addresses, adopted: false };
}

/** The record after a serving certificate: whose the addresses are while it lasts. */
export function withServingCertificate(record: NodeRecord, { certificate }: IssuedRequest): NodeRecord {
  const { notBefore, notAfter, issuer, addresses } = certificate;
  if (record.serving !== undefined && record.serving.notAfter >= notAfter) return record;
  return { ...record, serving: { notBefore, notAfter, issuer, addresses } };
}

/** The record after the node made a request with a certificate on record. */
export function withSight(record: NodeRecord, presented: string, now: number): NodeRecord {
  const { token, certificates } = record;
  const held = certificates.find(({ fingerprint }) => fingerprint === presented);
  if (token === undefined || token.seenAt !== undefined || held === undefined) return record;
  // One that it had before it used the token says nothing of what it got for it.
  return held.issuedAt < token.usedAt ? record : { ...record, token: { ...token, seenAt: now } };
}
