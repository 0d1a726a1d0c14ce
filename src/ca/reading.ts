import type { Authority } from '../ports.ts';
import type { CaRole } from './schedule.ts';

/** A CA as it could be read, or why it could not. `problem`: what keeps it from signing certificates of some kind. */
export type CaReading =
  | { readonly known: true; readonly value: Authority; readonly problem: string | undefined }
  | { readonly known: false; readonly why: string };

/** Undefined for one that is fit for its part; the previous one need not sign. */
export function whyUnusable(role: CaRole, ca: CaReading): string | undefined {
  if (!ca.known) return ca.why;
  return role === 'previous' ? undefined : ca.problem;
}
