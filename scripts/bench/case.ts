/** What a case of the bench is, and the goals that its figures are held against. */
import type { Contestant, Contestants } from './contestants.ts';
import type { Load } from './load.ts';
import type { Stage } from './stage.ts';

/** What one contestant did in one round, by name of the figure. */
export type Figures = Readonly<Record<string, number>>;

/** In the order of the columns. */
export const ROLES = ['ours', 'manager', 'shipped', 'ceiling'] as const;
export type Role = (typeof ROLES)[number];

/** What each of them did. */
export type FiguresOf = Readonly<Partial<Record<Role, Figures>>>;

export interface BenchContext {
  readonly stage: Stage;
  readonly load: Load;
  /** How much of a case is done; 1 is what the case says. */
  readonly scale: number;
  readonly full: boolean;
  readonly write: (line: string) => void;
  /** Keeps a picture for the end. */
  readonly plot: (text: string) => void;
}

/** A figure of one contestant in one round; NaN where it has none. */
export type FigureOf = (who: Role, figure: string) => number;

export interface Goal {
  /** Said after the number that was found. */
  readonly what: string;
  readonly found: (of: FigureOf) => number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** Those that a case is about. */
export type Who = Readonly<Partial<Record<Role, Contestant>>>;

/** One of them. */
export type Entrant = readonly [role: Role, contestant: Contestant];

interface Described {
  readonly name: string;
  readonly about: string;
  /** Unit by name, in the order in which they are printed. */
  readonly figures: Readonly<Record<string, string>>;
  readonly goals: readonly Goal[];
  readonly who: (all: Contestants) => Who;
  /** Cases that take minutes have one round, unless all is wanted. */
  readonly rounds: number;
}

/** Each contestant has the servers for itself, once in every round. */
export interface CaseOfOne extends Described {
  /** Leaves the cluster as it may be found by the next one: `stage.clear()` is called after it. */
  readonly run: (context: BenchContext, contestant: Contestant, role: Role) => Promise<Figures>;
}

/** Contestants take turns of seconds: for differences smaller than what the machine does from one minute to the next. */
export interface CaseOfTurns extends Described {
  /** Given in the order in which they are to begin. Leaves the cluster likewise. */
  readonly runInTurns: (context: BenchContext, who: readonly Entrant[]) => Promise<FiguresOf>;
}

export type Case = CaseOfOne | CaseOfTurns;

/** What stands for a wait that was cut short. */
export const CAP_MS = 120_000;

/** Part of `values` that is below the answer; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
