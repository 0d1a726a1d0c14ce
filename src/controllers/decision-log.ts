import { type Fact, type FactName, type Facts, needs } from '../policy/facts.ts';
import type { RequestView } from '../policy/request.ts';
import { reasonOf } from '../policy/verdict.ts';
import { formatTime } from '../tokens/token-secret.ts';
import type { Decision } from './decider.ts';

/** What a log line says of a decision: enough to make it again, and no secret. The README has the table of fields. */
export interface DecisionFields {
  readonly csr: string;
  readonly uid: string;
  /** `sha256:` and the digest of `spec.request`. */
  readonly request: string;
  readonly signer: string;
  readonly requester: string;
  readonly tokenId: string | undefined;
  readonly node: string | undefined;
  readonly path: string;
  readonly verdict: string;
  readonly reason: string;
  readonly violations: readonly { readonly code: string; readonly message: string }[];
  readonly remarks: readonly string[];
  readonly facts: Readonly<Record<string, unknown>>;
}

/** The fields of one decision. */
export function decisionFields(
  { csr, path, nodeName, tokenId, digest }: RequestView,
  { facts, verdict }: Decision,
): DecisionFields {
  return {
    csr: csr.name,
    uid: csr.uid,
    request: `sha256:${digest()}`,
    signer: csr.signerName,
    requester: csr.requester.username,
    tokenId,
    node: nodeName,
    path,
    verdict: verdict.kind,
    reason: reasonOf(verdict),
    violations: verdict.kind === 'approve' ? [] : verdict.violations,
    remarks: verdict.kind === 'approve' ? verdict.remarks.map(({ code }) => code) : [],
    facts: factFields(path, facts),
  };
}

/** The facts that this path needs, in few words; one that is not known with the reason. */
function factFields(path: RequestView['path'], facts: Facts): Record<string, unknown> {
  const said: Record<string, unknown> = {};
  const say = <T>(name: FactName, fact: Fact<T>, describe: (value: T) => unknown): void => {
    if (needs(path, name)) said[name] = fact.known ? describe(fact.value) : `unknown: ${fact.why}`;
  };
  const time = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : formatTime(ms));
  say('token', facts.token, (token) => token && { expiresAt: time(token.expiresAt), uses: token.uses });
  say('access', facts.access, ({ allowed }) => allowed);
  say('record', facts.record, (record) =>
    record === undefined
      ? 'none'
      : {
          tokenId: record.token?.id,
          seenAt: time(record.token?.seenAt),
          certificates: record.certificates.map(({ fingerprint }) => fingerprint.slice(0, 16)),
          bannedSince: time(record.ban?.since),
          releasedUntil: time(record.release?.until),
        },
  );
  say('presence', facts.presence, ({ exists, renewedAt, wasLive }) => ({
    exists,
    renewedAt: time(renewedAt),
    wasLive,
  }));
  say('claims', facts.claims, ({ uses, usedByOthers }) => (uses === undefined ? 'any' : `${usedByOthers} of ${uses}`));
  say('addresses', facts.addresses, ({ vouched, owners }) => ({ vouched, owners: Object.fromEntries(owners) }));
  if (facts.supersededBy !== undefined) said['supersededBy'] = facts.supersededBy;
  return said;
}
