import { policyOf } from '../../config.ts';
import { Decider } from '../../controllers/decider.ts';
import { type DecisionFields, decisionFields } from '../../controllers/decision-log.ts';
import { PendingRequests } from '../../controllers/pending-requests.ts';
import { RefusedError, UsageError } from '../../errors.ts';
import { csrListWatch, csrWriter } from '../../kubernetes/csrs.ts';
import { allPages } from '../../kubernetes/list-watch.ts';
import type { Transport } from '../../kubernetes/transport.ts';
import { stateOf } from '../../policy/csr-state.ts';
import { REASONS } from '../../policy/reasons.ts';
import { type CheckResult, explainChecks, reviewForSigning, SIGN_ONLY_CHECKS } from '../../policy/review.ts';
import { describeViolations, reasonOf, type Verdict } from '../../policy/verdict.ts';
import type { Csr } from '../../ports.ts';
import { systemClock } from '../../runtime/clock.ts';
import { openCluster, UNOBSERVED } from '../../wiring/connections.ts';
import { clusterFacts, storeOf } from '../cluster-facts.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption, formatTable } from '../output.ts';
import { recordedCsrs } from '../recorded-csrs.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';

export interface ExplainFlags extends SharedFlags {
  readonly filename?: string | undefined;
  readonly output: string;
}

/**
 * Prints every check on one CSR of the cluster, or of a file, with what it expected and what it found, the facts, and the
 * verdict. Where others approve, that is the signer's.
 * Facts are those of the cluster as it is now; it writes nothing, and the service need not run.
 */
export async function explain(name: string | undefined, flags: ExplainFlags, io: Io): Promise<void> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  if ((name === undefined) === (flags.filename === undefined)) {
    throw new UsageError('name one CSR of the cluster, or a file with -f');
  }
  const config = await loadConfig(flags, io);
  const { transport } = openCluster(config, systemClock, UNOBSERVED);
  const signal = io.interrupted;
  try {
    const asked =
      flags.filename === undefined
        ? [await needCsr(transport, name ?? '', signal)]
        : await recordedCsrs(flags.filename);
    const csrs = storeOf([...(await otherCsrs(transport, asked, signal)), ...asked], (item) => item.name);
    const pending = new PendingRequests(csrs, () => systemClock.now());
    for (const csr of csrs.values()) pending.put(csr);
    const policy = policyOf(config);
    const signsOnly = config.mode === 'sign-only';
    const decider = new Decider({
      policy: () => policy,
      facts: await clusterFacts(config, transport, signal),
      ...(signsOnly ? { review: reviewForSigning } : { later: pending }),
    });
    for (const csr of asked) {
      const request = pending.view(csr);
      const decision = await decider.decide(request, signal);
      const input = { request, facts: decision.facts, policy };
      const checks = signsOnly ? explainChecks(input, SIGN_ONLY_CHECKS[request.usage]) : explainChecks(input);
      const { facts } = decisionFields(request, decision);
      const explained = { csr, checks, verdict: decision.verdict, facts };
      io.out(format === 'json' ? formatJson(asJson(explained)) : asText(explained));
    }
  } finally {
    await transport.close();
  }
}

async function needCsr(transport: Transport, name: string, signal: AbortSignal): Promise<Csr> {
  const csr = await csrWriter(transport).get(name, signal);
  if (csr !== undefined) return csr;
  throw new RefusedError('NotFound', `there is no CSR ${name} (any more): issued ones are removed after a while`);
}

/** What may supersede one of these. */
async function otherCsrs(transport: Transport, asked: readonly Csr[], signal: AbortSignal): Promise<Csr[]> {
  const names = new Set(asked.map((csr) => csr.name));
  const signers = [...new Set(asked.map((csr) => csr.signerName))];
  const found = await Promise.all(signers.map((signer) => allPages(csrListWatch(transport, signer), signal)));
  return found.flat().filter((csr) => !names.has(csr.name));
}

interface Explained {
  readonly csr: Csr;
  readonly checks: readonly CheckResult[];
  readonly verdict: Verdict;
  /** Those that its path needs, by name. */
  readonly facts: DecisionFields['facts'];
}

function asJson({ csr, checks, verdict, facts }: Explained): unknown {
  return {
    name: csr.name,
    signerName: csr.signerName,
    requester: csr.requester,
    state: stateOf(csr),
    path: verdict.path,
    facts,
    checks,
    verdict: verdict.kind,
    reason: reasonOf(verdict),
    remarks: verdict.kind === 'approve' ? verdict.remarks : [],
    mends: mendsOf(verdict),
  };
}

function asText({ csr, checks, verdict, facts }: Explained): string {
  const rows = checks.map(({ name, expected, actual, violations }) => [
    violations.length === 0 ? 'ok' : 'NO',
    name,
    expected,
    actual,
  ]);
  const end = verdict.kind === 'approve' ? verdict.message : describeViolations(verdict.violations);
  return [
    `CSR ${csr.name} for ${csr.signerName}\n`,
    `requester ${csr.requester.username}, state ${stateOf(csr)}\n\n`,
    formatTable(['', 'CHECK', 'EXPECTED', 'ACTUAL'], rows),
    '\nfacts:\n',
    ...Object.entries(facts).map(
      ([name, fact]) => `  ${name}: ${typeof fact === 'string' ? fact : JSON.stringify(fact)}\n`,
    ),
    `\nverdict: ${verdict.kind} (${reasonOf(verdict)})\n  ${end}\n`,
    ...(verdict.kind === 'approve' ? verdict.remarks : []).map(({ code, message }) => `  remark ${code}: ${message}\n`),
    ...mendsOf(verdict).map((mend) => `  to mend: ${mend}\n`),
  ].join('');
}

function mendsOf(verdict: Verdict): string[] {
  return verdict.kind === 'approve' ? [] : verdict.violations.map(({ code }) => REASONS[code].mend);
}
