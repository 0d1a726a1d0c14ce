/** Tests that cannot run here: skipped with a reason, and never in CI. */
import Mocha, { type Context } from 'mocha';
import { candidates } from '../../scripts/servers/binaries.ts';

const { Hook } = Mocha;

/** By the full title of a test, or of a suite whose hook found it out. */
const REASONS = new Map<string, string>();

/** Skips the test, or the suite of a hook, where there is a reason to; in CI, where nothing may be skipped, fails with it. */
export function skipFor(context: Context, reason: string | undefined): void {
  if (reason === undefined) return;
  if (process.env['CI'] !== undefined) throw new Error(reason);
  const { test } = context;
  const skipped = test instanceof Hook ? test.parent : test;
  REASONS.set(skipped?.fullTitle() ?? '', reason);
  context.skip();
}

/** Skips where none of these programs is on the PATH. */
export function skipWithout(context: Context, ...programs: string[]): void {
  const there = programs.some((program) => candidates(program, process.env).length > 0);
  skipFor(context, there ? undefined : `there is no ${programs.join(' or ')}`);
}

/** Why the test of this full title was skipped; undefined where nobody said. */
export function reasonOfSkip(title: string): string | undefined {
  const [, reason] = [...REASONS].find(([skipped]) => title.startsWith(skipped)) ?? [];
  return reason;
}
