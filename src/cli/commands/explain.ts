import { policyOf } from '../../config.ts';
import { AccessByClass } from '../../controllers/access.ts';
import { Decider } from '../../controllers/decider.ts';
import { FactGatherer } from '../../controllers/fact-gatherer.ts';
import { noNodeFacts } from '../../controllers/no-facts.ts';
import { PendingRequests } from '../../controllers/pending-requests.ts';
import { RefusedError } from '../../errors.ts';
import { accessReviews } from '../../kubernetes/access-reviews.ts';
import { csrListWatch, csrWriter } from '../../kubernetes/csrs.ts';
import type { Transport } from '../../kubernetes/transport.ts';
import { tokenSecrets } from '../../kubernetes/token-secrets.ts';
import { stateOf } from '../../policy/csr-state.ts';
import { REASONS } from '../../policy/reasons.ts';
import { type CheckResult, explainChecks } from '../../policy/review.ts';
import { describeViolations, reasonOf, type Verdict } from '../../policy/verdict.ts';
import type { Csr, Store } from '../../ports.ts';
import { systemClock } from '../../runtime/clock.ts';
import { openCluster, UNOBSERVED } from '../../wiring/connections.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption, formatTable } from '../output.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';

export interface ExplainFlags extends SharedFlags {
  readonly output: string;
}

/**
 * Prints every check on one CSR with what it expected and what it found, and the verdict. Reads the cluster as it is
 * now and writes nothing; the service need not run.
 */
export async function explain(name: string, flags: ExplainFlags, io: Io): Promise<void> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  const config = await loadConfig(flags, io);
  const { transport } = openCluster(config, systemClock, UNOBSERVED);
  const signal = io.interrupted;
  try {
    const csr = await csrWriter(transport).get(name, signal);
    if (csr === undefined) {
      throw new RefusedError('NotFound', `there is no CSR ${name} (any more): issued ones are removed after a while`);
    }
    const others = await allCsrs(transport, csr.signerName, signal);
    const csrs = storeOf([...others.filter((other) => other.name !== name), csr], (item) => item.name);
    const tokens = storeOf(await tokenSecrets(transport).list(signal), (token) => token.id);
    const pending = new PendingRequests(csrs, () => systemClock.now());
    for (const other of csrs.values()) pending.put(other);
    const access = new AccessByClass({
      reviewer: accessReviews(transport),
      clock: systemClock,
      mode: config.approver.accessReview,
    });
    const newerThan = pending.newerThan.bind(pending);
    const policy = policyOf(config);
    const sources = new FactGatherer({ ...noNodeFacts(), tokens, access, clock: systemClock });
    const decider = new Decider({ policy: () => policy, facts: sources, newerThan });
    const request = pending.view(csr);
    const { facts, verdict } = await decider.decide(request, signal);
    const checks = explainChecks({ request, facts, policy: decider.policy });
    io.out(format === 'json' ? formatJson(asJson(csr, checks, verdict)) : asText(csr, checks, verdict));
  } finally {
    await transport.close();
  }
}

async function allCsrs(transport: Transport, signerName: string, signal: AbortSignal): Promise<Csr[]> {
  const source = csrListWatch(transport, signerName);
  const items: Csr[] = [];
  let continueToken = '';
  do {
    const page = await source.list(continueToken, signal);
    items.push(...page.items);
    ({ continueToken } = page);
  } while (continueToken !== '');
  return items;
}

function storeOf<T>(items: readonly T[], keyOf: (item: T) => string): Store<T> {
  const held = new Map(items.map((item) => [keyOf(item), item]));
  return { get: (key) => held.get(key), values: () => held.values(), size: held.size, fresh: () => true };
}

function asJson(csr: Csr, checks: readonly CheckResult[], verdict: Verdict): unknown {
  return {
    name: csr.name,
    signerName: csr.signerName,
    requester: csr.requester,
    state: stateOf(csr),
    path: verdict.path,
    checks,
    verdict: verdict.kind,
    reason: reasonOf(verdict),
    mends: mendsOf(verdict),
  };
}

function asText(csr: Csr, checks: readonly CheckResult[], verdict: Verdict): string {
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
    `\nverdict: ${verdict.kind} (${reasonOf(verdict)})\n  ${end}\n`,
    ...mendsOf(verdict).map((mend) => `  to mend: ${mend}\n`),
  ].join('');
}

function mendsOf(verdict: Verdict): string[] {
  return verdict.kind === 'approve' ? [] : verdict.violations.map(({ code }) => REASONS[code].mend);
}
