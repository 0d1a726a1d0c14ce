/**
 * Reads the part of PromQL that alerts and dashboards here are written in: selectors with ranges and offsets, functions,
 * aggregations, binary operators with matching. Throws for anything else, so that what it takes is PromQL.
 */

/** A selector of an expression. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
  readonly range: string | undefined;
}

/** What an expression uses. */
export interface Used {
  readonly selectors: readonly Selector[];
  /** Named in `by`, `without`, `on` and `ignoring`. */
  readonly labels: readonly string[];
}

const TOKEN =
  /\s+|(?<text>"(?:[^"\\]|\\.)*")|(?<duration>\d+[smhdw](?:\d+[smhdw])*)|(?<number>\d+(?:\.\d+)?)|(?<name>[a-zA-Z_][a-zA-Z0-9_]*)|(?<mark>=~|!~|!=|==|>=|<=|[-+*/%^()[\]{},=<>:])/y;
const DURATION = /^\d+[smhdw]/;
const AGGREGATIONS = new Set(['sum', 'min', 'max', 'avg', 'count']);
/** Function: which arguments it takes: a number, an instant vector, a range vector. */
const FUNCTIONS: Readonly<Record<string, readonly ('number' | 'instant' | 'range')[]>> = {
  absent: ['instant'],
  delta: ['range'],
  histogram_quantile: ['number', 'instant'],
  increase: ['range'],
  min_over_time: ['range'],
  rate: ['range'],
  time: [],
};
const OPERATORS = new Set(['+', '-', '*', '/', '%', '^', '==', '!=', '>', '<', '>=', '<=', 'and', 'or', 'unless']);
const MATCHERS = new Set(['=', '!=', '=~', '!~']);

type Kind = 'number' | 'instant' | 'range';

/** Throws with the place of the first thing that is none of it. */
export function readPromQl(text: string): Used {
  const tokens = tokensOf(text);
  const selectors: Selector[] = [];
  const labels: string[] = [];
  let at = 0;

  const fail = (wanted: string): never => {
    throw new Error(`${wanted} expected at "${tokens.slice(at, at + 4).join(' ')}" in: ${text}`);
  };
  const next = (): string => tokens[at] ?? '';
  const takes = (token: string): boolean => {
    if (next() !== token) return false;
    at += 1;
    return true;
  };
  const need = (token: string): void => {
    if (!takes(token)) fail(token);
  };
  const match = (pattern: RegExp, wanted: string): string => {
    if (!pattern.test(next())) fail(wanted);
    at += 1;
    return tokens[at - 1] ?? '';
  };
  const name = (): string => match(/^[a-zA-Z_]/, 'a name');

  function list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    while (!takes(close)) {
      if (items.length > 0) need(',');
      items.push(item());
    }
    return items;
  }

  function grouping(...words: readonly string[]): void {
    if (!words.includes(next())) return;
    at += 1;
    need('(');
    labels.push(...list(')', name));
  }

  function expression(): Kind {
    let kind = operand();
    while (OPERATORS.has(next())) {
      at += 1;
      grouping('on', 'ignoring');
      const other = operand();
      if (kind === 'range' || other === 'range') fail('an instant vector or a number on both sides');
      kind = kind === 'number' && other === 'number' ? 'number' : 'instant';
    }
    return kind;
  }

  function operand(): Kind {
    if (takes('-')) return operand();
    if (takes('(')) {
      const kind = expression();
      need(')');
      return kind;
    }
    if (/^\d/.test(next()) && !DURATION.test(next())) {
      at += 1;
      return 'number';
    }
    const word = name();
    if (AGGREGATIONS.has(word)) return aggregation();
    if (next() === '(') return call(word);
    return selector(word);
  }

  function aggregation(): Kind {
    grouping('by', 'without');
    need('(');
    if (expression() !== 'instant') fail('an instant vector');
    need(')');
    grouping('by', 'without');
    return 'instant';
  }

  function call(word: string): Kind {
    const wanted = FUNCTIONS[word];
    if (wanted === undefined) return fail('a known function');
    need('(');
    const given = list(')', expression);
    if (given.join() !== wanted.join()) fail(`${word}(${wanted.join()}), not (${given.join()}),`);
    return word === 'time' ? 'number' : 'instant';
  }

  function selector(metric: string): Kind {
    const matchers = takes('{') ? list('}', matcher) : [];
    const range = takes('[') ? match(DURATION, 'a duration') : undefined;
    if (range !== undefined) need(']');
    if (takes('offset')) match(DURATION, 'a duration');
    selectors.push({ metric, matchers, range });
    return range === undefined ? 'instant' : 'range';
  }

  function matcher(): Selector['matchers'][number] {
    const label = name();
    if (!MATCHERS.has(next())) fail('a matcher');
    at += 1;
    const operator = tokens[at - 1] ?? '';
    return { label, operator, value: JSON.parse(match(/^"/, 'a text')) as string };
  }

  if (expression() === 'range') fail('no range vector at the top');
  if (at < tokens.length) fail('the end');
  return { selectors, labels };
}

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const from = TOKEN.lastIndex;
    const [token] = TOKEN.exec(text) ?? [];
    if (token === undefined) throw new Error(`unreadable from "${text.slice(from, from + 20)}" on in: ${text}`);
    if (token.trim() !== '') tokens.push(token);
  }
  return tokens;
}
