import { emptyRecord } from '../nodes/node-record.ts';
import { readBinding } from '../tokens/binding.ts';
import { parseRanges } from './addresses.ts';
import { presentedCertificate } from './credential-rules.ts';
import type { Facts } from './facts.ts';
import type { RequestView } from './request.ts';

/**
 * Facts as an honest request has them: its token is in force with the groups that it gave, RBAC allows it, a node that
 * renews is there with the certificate that it presents, a new one is not. What is left to decide is the config's.
 */
export function assumedFacts(request: RequestView, now: number): Facts {
  const { csr, tokenId = '', nodeName = '', path } = request;
  const reading = readBinding(csr.requester.groups);
  const fingerprint = presentedCertificate(request) ?? '';
  const certificates = [{ fingerprint, notAfter: Number.MAX_SAFE_INTEGER, issuedAt: csr.createdAt, issuer: '' }];
  const record = path === 'bootstrap' ? undefined : { ...emptyRecord(nodeName), certificates };
  return {
    now,
    token: {
      known: true,
      value: {
        id: tokenId,
        uid: '',
        resourceVersion: '',
        description: '',
        groups: csr.requester.groups,
        binding: reading.kind === 'bound' ? reading.binding : undefined,
        expiresAt: undefined,
        authenticates: true,
        beingDeleted: false,
        ours: true,
        publishingUntil: undefined,
        vaultPath: undefined,
        issuedAt: undefined,
        uses: undefined,
        replacesLive: false,
        reportedStolen: false,
        reentry: false,
        addresses: [],
      },
    },
    access: { known: true, value: { allowed: true, reason: 'assumed' } },
    record: { known: true, value: record },
    presence: { known: true, value: { exists: path !== 'bootstrap', renewedAt: undefined, wasLive: false } },
    claims: { known: true, value: { uses: undefined, usedByOthers: 0, othersInPool: 0 } },
    addresses: {
      known: true,
      value: { vouched: undefined, owners: new Map(), serviceRanges: parseRanges([]).ranges, apiServer: [] },
    },
    supersededBy: undefined,
  };
}
