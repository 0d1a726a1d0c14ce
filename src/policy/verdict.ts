import type { ReasonCode, RemarkCode } from './reasons.ts';

/** One thing that is wrong with a request. `message` quotes the offending value. */
export interface Violation {
  readonly code: ReasonCode;
  readonly message: string;
}

/** Something about an approved request that is worth knowing and stands in no way. */
export interface Remark {
  readonly code: RemarkCode;
  readonly message: string;
}

/** Which of the three ways a request came; `other` is anybody that is neither a bootstrap token nor a node. */
export type RequestPath = 'bootstrap' | 'renewal' | 'serving' | 'other';

/**
 * What is to be done with a CSR (DESIGN D2). A request that could not be judged is no verdict but a thrown error;
 * a fact that could not be read is `wait`.
 */
export type Verdict =
  | {
      readonly kind: 'approve';
      readonly path: Exclude<RequestPath, 'other'>;
      readonly reason: string;
      readonly message: string;
      readonly remarks: readonly Remark[];
    }
  | { readonly kind: 'wait'; readonly path: RequestPath; readonly violations: readonly Violation[] }
  | { readonly kind: 'deny'; readonly path: RequestPath; readonly violations: readonly Violation[] };

/** The code that stands for the whole verdict: the approval's reason, or that of the first violation in rule order. */
export function reasonOf(verdict: Verdict): string {
  return verdict.kind === 'approve' ? verdict.reason : (verdict.violations[0]?.code ?? 'FactUnavailable');
}

/** All violations in one line: `Code: message; Code: message`. */
export function describeViolations(violations: readonly Violation[]): string {
  return violations.map((violation) => `${violation.code}: ${violation.message}`).join('; ');
}
