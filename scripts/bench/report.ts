/** The tables of the bench. */
import { formatTable } from '../../src/cli/output.ts';
import { CAP_MS, type Case, type FigureOf, type Figures, type Goal, median, type Role, ROLES } from './case.ts';

/** What a case came to: every round of every contestant. */
export interface Result {
  readonly case: Case;
  readonly rounds: Readonly<Partial<Record<Role, readonly Figures[]>>>;
}

const COLUMNS: Readonly<Record<Role, string>> = {
  ours: 'KUBELET-BOOTSTRAP',
  manager: 'CONTROLLER-MANAGER',
  shipped: 'AS SHIPPED',
  ceiling: 'BARE WRITES',
};

const valuesOf = ({ rounds }: Result, role: Role, figure: string): number[] =>
  (rounds[role] ?? []).map((figures) => figures[figure] ?? NaN).filter((value) => !Number.isNaN(value));

function format(value: number): string {
  if (value === CAP_MS) return `> ${CAP_MS / 1_000} s`;
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

/** Median over the rounds, the least and the most. */
function cell(result: Result, role: Role, figure: string): string {
  const values = valuesOf(result, role, figure);
  if (values.length === 0) return '';
  return withSpread(median(values), [Math.min(...values), Math.max(...values)]);
}

/** The spread is left out where all are the same. */
function withSpread(value: number, [least, most]: readonly [number, number]): string {
  return format(value) + (least === most ? '' : ` (${format(least)} to ${format(most)})`);
}

/** A line for each figure, a column for each contestant. */
export function figuresTable(results: readonly Result[]): string {
  const rows = results.flatMap((result) =>
    Object.entries(result.case.figures).map(([figure, unit], index) => [
      index === 0 ? result.case.name : '',
      unit,
      ...ROLES.map((role) => cell(result, role, figure)),
    ]),
  );
  return formatTable(['CASE', 'FIGURE', ...ROLES.map((role) => COLUMNS[role])], rows);
}

export interface Judged {
  readonly case: string;
  /** Median over the rounds that came to an end. */
  readonly found: number;
  /** The least and the most of them. */
  readonly spread: readonly [number, number];
  readonly goal: string;
  readonly met: boolean;
}

/**
 * Every goal that there are figures for; one of which a round has none was not met. What is compared is of one round, a
 * minute apart at most: the machine is shared, and moves all figures by a fifth within minutes.
 */
export function judge(results: readonly Result[]): Judged[] {
  return results.flatMap((result) => {
    const count = Math.max(0, ...Object.values(result.rounds).map(({ length }) => length));
    const inRound =
      (round: number): FigureOf =>
      (role, figure) => {
        const rounds = result.rounds[role] ?? [];
        // Who has one round only has it for all.
        return (rounds.length === 1 ? rounds[0] : rounds[round])?.[figure] ?? NaN;
      };
    return result.case.goals.flatMap((goal) => {
      const all = Array.from({ length: count }, (_, round) => goal.found(inRound(round)));
      const each = all.filter((value) => !Number.isNaN(value));
      if (each.length === 0) return [];
      const found = median(each);
      const spread = [Math.min(...each), Math.max(...each)] as const;
      return [
        { case: result.case.name, found, spread, goal: textOf(goal), met: each.length === count && isMet(goal, found) },
      ];
    });
  });
}

const textOf = ({ what, atLeast, atMost }: Goal): string =>
  `${what}, ${atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`}`;

const isMet = ({ atLeast = -Infinity, atMost = Infinity }: Goal, found: number): boolean =>
  found >= atLeast && found <= atMost;

/** A line for each goal. */
export function goalsTable(judged: readonly Judged[]): string {
  const rows = judged.map(({ case: name, found, spread, goal, met }, index) => [
    judged[index - 1]?.case === name ? '' : name,
    withSpread(found, spread),
    goal,
    met ? 'met' : 'NOT MET',
  ]);
  return formatTable(['CASE', 'FOUND', 'GOAL', ''], rows);
}
