import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

/** A file of the repository. */
export const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

export const README = read('README.md');

export const code = (text: string): string => `\`${text}\``;
export const codes = (texts: readonly string[]): string => texts.map(code).join(', ');
/** Outside of code `<name>` would be taken for HTML, and not shown. */
export const prose = (text: string): string => text.replaceAll('<', '\\<');

/** The text from a heading to the next one of level two or more. Throws when the README has no such heading. */
export function section(heading: string): string {
  const start = `\n${README}`.indexOf(`\n${heading}\n`);
  if (start < 0) throw new Error(`README.md has no heading "${heading}"`);
  const [text = ''] = README.slice(start + heading.length).split(/\n(?=#{2,} )/);
  return text;
}

/** Rows of the first table of a section, its header first, each as its cells. */
function tableOf(heading: string): string[][] {
  const [table = ''] = /(?:^\|.*\|$\n?)+/m.exec(section(heading)) ?? [];
  const cells = (line: string): string[] =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim());
  return table.trim().split('\n').toSpliced(1, 1).map(cells);
}

/**
 * Holds the first table of a section against these columns and rows; columns after them are the README's own. Throws
 * with the table to paste, the README's own columns kept where a row begins as before.
 */
export function holds(heading: string, columns: readonly string[], rows: readonly (readonly string[])[]): void {
  const found = tableOf(heading);
  const wanted = [columns, ...rows];
  const first = found.map((row) => row.slice(0, columns.length));
  if (JSON.stringify(first) === JSON.stringify(wanted)) return;
  const own = new Map(found.map((row) => [row[0], row.slice(columns.length)]));
  const width = found[0]?.length ?? columns.length;
  const blank = Array.from({ length: width - columns.length }, () => '...');
  const lines = wanted.map((row) => `| ${[...row, ...(own.get(row[0]) ?? blank)].join(' | ')} |`);
  lines.splice(1, 0, `|${' --- |'.repeat(width)}`);
  throw new Error(`README.md, "${heading}" differs from the code. Paste this table there:\n\n${lines.join('\n')}\n`);
}
