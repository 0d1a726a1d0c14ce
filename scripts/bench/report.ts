/** The tables of the bench. */
import { formatTable } from '../../src/cli/output.ts';
import { CAP_MS, type Case, type Figures, type Goal, median, type Medians, type Role } from './case.ts';

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
const ROLES = Object.keys(COLUMNS) as Role[];

const valuesOf = ({ rounds }: Result, role: Role, figure: string): number[] =>
  (rounds[role] ?? []).map((figures) => figures[figure] ?? NaN).filter((value) => !Number.isNaN(value));

function format(value: number): string {
  if (value === CAP_MS) return `> ${CAP_MS / 1_000} s`;
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

/** Median, and where there is more than one round the least and the most. */
function cell(result: Result, role: Role, figure: string): string {
  const values = valuesOf(result, role, figure);
  if (values.length === 0) return '';
  const spread = values.length > 1 ? ` (${format(Math.min(...values))} to ${format(Math.max(...values))})` : '';
  return format(median(values)) + spread;
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
  readonly found: number;
  readonly goal: string;
  readonly met: boolean;
}

/** Every goal that there are figures for. */
export function judge(results: readonly Result[]): Judged[] {
  return results.flatMap((result) => {
    const of: Medians = (role, figure) => median(valuesOf(result, role, figure));
    return result.case.goals.flatMap((goal) => {
      const found = goal.found(of);
      if (Number.isNaN(found)) return [];
      return [{ case: result.case.name, found, goal: textOf(goal), met: isMet(goal, found) }];
    });
  });
}

const textOf = ({ what, atLeast, atMost }: Goal): string =>
  `${what}, ${atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`}`;

const isMet = ({ atLeast = -Infinity, atMost = Infinity }: Goal, found: number): boolean =>
  found >= atLeast && found <= atMost;

/** A line for each goal. */
export function goalsTable(judged: readonly Judged[]): string {
  const rows = judged.map(({ case: name, found, goal, met }, index) => [
    judged[index - 1]?.case === name ? '' : name,
    format(found),
    goal,
    met ? 'met' : 'NOT MET',
  ]);
  return formatTable(['CASE', 'FOUND', 'GOAL', ''], rows);
}
