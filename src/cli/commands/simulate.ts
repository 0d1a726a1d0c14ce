import { policyOf } from '../../config.ts';
import { assumedFacts } from '../../policy/assumed-facts.ts';
import { stateOf } from '../../policy/csr-state.ts';
import type { PolicyConfig } from '../../policy/policy-config.ts';
import { type RequestView, viewRequest } from '../../policy/request.ts';
import { review } from '../../policy/review.ts';
import { describeViolations, reasonOf, type Verdict } from '../../policy/verdict.ts';
import type { Csr } from '../../ports.ts';
import { systemClock } from '../../runtime/clock.ts';
import { openCluster, UNOBSERVED } from '../../wiring/connections.ts';
import { clusterFacts } from '../cluster-facts.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption, formatTable } from '../output.ts';
import { recordedCsrs } from '../recorded-csrs.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';

export interface SimulateFlags extends SharedFlags {
  readonly filename: string;
  /** Config to compare with, instead of what was decided on record. */
  readonly baseline?: string | undefined;
  readonly facts: 'assumed' | 'cluster';
  readonly output: string;
}

interface Difference {
  readonly csr: string;
  readonly requester: string;
  readonly node: string;
  readonly was: string;
  readonly wouldBe: string;
  readonly why: string;
}

/**
 * Judges recorded CSRs by the config and prints only what would be decided otherwise than it was, or than by another
 * config. Writes nothing.
 */
export async function simulate(flags: SimulateFlags, io: Io): Promise<void> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  const config = await loadConfig(flags, io);
  const { baseline } = flags;
  const before = baseline === undefined ? undefined : policyOf(await loadConfig({ ...flags, config: baseline }, io));
  const requests = (await recordedCsrs(flags.filename)).map((csr) => viewRequest(csr));
  const cluster = flags.facts === 'cluster' ? openCluster(config, systemClock, UNOBSERVED) : undefined;
  const differences: Difference[] = [];
  try {
    const gatherer = cluster && (await clusterFacts(config, cluster.transport, io.interrupted));
    const judge = async (request: RequestView, policy: PolicyConfig): Promise<Verdict> => {
      const facts =
        gatherer === undefined
          ? assumedFacts(request, request.csr.createdAt)
          : await gatherer.gather(request, policy, undefined, io.interrupted);
      return review({ request, facts, policy });
    };
    for (const request of requests) {
      const verdict = await judge(request, policyOf(config));
      const earlier = before === undefined ? undefined : await judge(request, before);
      const was = earlier === undefined ? decidedOn(request.csr) : labelOf(earlier);
      const same = earlier === undefined ? was === verdict.kind : was === labelOf(verdict);
      if (!same) differences.push(differenceOf(request, was, verdict));
    }
  } finally {
    await cluster?.transport.close();
  }
  if (format === 'json') return io.out(formatJson(differences));
  if (differences.length > 0) {
    const rows = differences.map((row) => [row.csr, row.requester, row.node, row.was, row.wouldBe, row.why]);
    io.out(formatTable(['CSR', 'REQUESTER', 'NODE', 'WAS', 'WOULD BE', 'WHY'], rows));
  }
  io.err(`${differences.length} of ${requests.length} CSRs would be decided otherwise\n`);
}

/** What somebody decided on record, in the words of a verdict. */
function decidedOn(csr: Csr): Verdict['kind'] {
  const state = stateOf(csr);
  if (state === 'pending') return 'wait';
  return state === 'denied' ? 'deny' : 'approve';
}

function labelOf(verdict: Verdict): string {
  return `${verdict.kind} ${reasonOf(verdict)}`;
}

function differenceOf({ csr, nodeName }: RequestView, was: string, verdict: Verdict): Difference {
  return {
    csr: csr.name,
    requester: csr.requester.username,
    node: nodeName ?? '-',
    was,
    wouldBe: labelOf(verdict),
    why: verdict.kind === 'approve' ? '-' : describeViolations(verdict.violations),
  };
}
