import type { Facts } from '../policy/facts.ts';
import type { PolicyConfig } from '../policy/policy-config.ts';
import type { RequestView } from '../policy/request.ts';
import { review } from '../policy/review.ts';
import type { RuleInput } from '../policy/rule.ts';
import type { Verdict } from '../policy/verdict.ts';
import type { FactGatherer } from './fact-gatherer.ts';
import type { LaterRequests } from './pending-requests.ts';

export interface DeciderOptions {
  /** The policy in force; a reloaded config may change it. */
  readonly policy: () => PolicyConfig;
  readonly facts: Pick<FactGatherer, 'gather'>;
  /** What decides; `review` unless this service only signs. */
  readonly review?: (input: RuleInput) => Verdict;
  /** None is looked for where it is undefined. */
  readonly later?: LaterRequests;
}

/** Whom an Event about this is counted for: the whole class where the cause is one of the class (DESIGN D2). */
export function sourceOf({ path, csr }: RequestView, reason: string): string {
  const ofClass = reason === 'AccessNotGranted' || reason === 'FactUnavailable';
  return ofClass ? `class ${path}` : csr.requester.username;
}

export interface Decision {
  readonly facts: Facts;
  readonly verdict: Verdict;
}

/** Further back nothing is looked for: a node that nobody approves makes a request every quarter of an hour. */
const MOST_NEWER = 8;

/**
 * Gathers the facts that a request needs, then decides (DESIGN D3). Approver, signer and `explain` all come through
 * here, so they cannot disagree.
 */
export class Decider {
  readonly #options: DeciderOptions;

  constructor(options: DeciderOptions) {
    this.#options = options;
  }

  get policy(): PolicyConfig {
    return this.#options.policy();
  }

  async decide(request: RequestView, signal: AbortSignal): Promise<Decision> {
    return this.#judge(request, await this.#supersededBy(request, signal), signal);
  }

  async #judge(request: RequestView, supersededBy: string | undefined, signal: AbortSignal): Promise<Decision> {
    const { policy } = this;
    const facts = await this.#options.facts.gather(request, policy, supersededBy, signal);
    return { facts, verdict: (this.#options.review ?? review)({ request, facts, policy }) };
  }

  async #supersededBy(request: RequestView, signal: AbortSignal): Promise<string | undefined> {
    const { later } = this.#options;
    const issued = later?.issuedAfter(request);
    if (issued !== undefined) return issued;
    // Newest first, so a request that is itself superseded is never reached: what is newer has ended the search.
    for (const newer of (later?.newerThan(request) ?? []).slice(0, MOST_NEWER)) {
      const { verdict } = await this.#judge(newer, undefined, signal);
      if (verdict.kind === 'approve') return newer.csr.name;
    }
    return undefined;
  }
}
