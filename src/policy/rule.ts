import { quote } from '../pki/quote.ts';
import type { Facts } from './facts.ts';
import type { PolicyConfig } from './policy-config.ts';
import type { RequestView } from './request.ts';
import type { ReasonCode } from './reasons.ts';
import type { Remark, Violation } from './verdict.ts';

/** What a rule looks at. */
export interface RuleInput {
  readonly request: RequestView;
  readonly facts: Facts;
  readonly policy: PolicyConfig;
}

/**
 * One check. `violations` is all that a decision needs; `expected` and `actual` are for `explain` and are not
 * computed on the hot path.
 */
export interface Rule {
  readonly name: string;
  readonly expected: (input: RuleInput) => string;
  readonly actual: (input: RuleInput) => string;
  readonly violations: (input: RuleInput) => readonly Violation[];
  /** Asked only where no rule is violated. */
  readonly remarks?: (input: RuleInput) => readonly Remark[];
}

export const NO_VIOLATIONS: readonly Violation[] = [];

/** The one violation, as the list that a rule answers. */
export function violation(code: ReasonCode, message: string): readonly Violation[] {
  return [{ code, message }];
}

/** `["a", "b"]`, for messages. */
export function quoteAll(values: readonly string[]): string {
  const shown = values.slice(0, 10).map((value) => quote(value));
  if (values.length > shown.length) shown.push(`and ${values.length - shown.length} more`);
  return `[${shown.join(', ')}]`;
}

export { quote };
