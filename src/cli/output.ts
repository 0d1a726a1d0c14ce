import { stringify } from 'yaml';
import { UsageError } from '../errors.ts';

/** Columns padded to their widest cell; every line ends with a newline, and none has one within. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows].map((row) => row.map((cell) => cell.replaceAll(/\p{Cc}+/gu, ' ')));
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd();
  return all.map((row) => `${line(row)}\n`).join('');
}

/** JSON with a newline at its end. */
export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

export function formatYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0 });
}

/** One of the formats that a command knows. Throws UsageError. */
export function formatOption<T extends string>(value: string, known: readonly T[]): T {
  const found = known.find((format) => format === value);
  if (found === undefined) throw new UsageError(`-o ${value}: must be one of ${known.join(', ')}`);
  return found;
}
