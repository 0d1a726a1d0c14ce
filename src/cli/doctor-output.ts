import { accessCell, type AccessRow } from '../doctor/access-matrix.ts';
import { type Finding, worstOf } from '../doctor/finding.ts';
import { formatTable } from './output.ts';

/** The access matrix, then every finding with its mend. */
export function examinationAsText(rows: readonly AccessRow[], findings: readonly Finding[]): string {
  const matrix = rows.map((row) => [
    row.of.who,
    accessCell(row, 'create'),
    `${accessCell(row, 'approval')} (${row.of.kind})`,
  ]);
  const table = findings.flatMap(({ severity, what, found, mend }) => {
    const cells = [wrapped(what, 32), wrapped(found, 40), wrapped(mend, 66)];
    const height = Math.max(...cells.map((lines) => lines.length));
    return Array.from({ length: height }, (_, line) => [
      line === 0 ? severity.toUpperCase() : '',
      ...cells.map((lines) => lines[line] ?? ''),
    ]);
  });
  return [
    rows.length === 0 ? '' : `${formatTable(['WHO', 'CREATES CSRS', 'APPROVED WITHOUT A HUMAN'], matrix)}\n`,
    findings.length === 0 ? '' : `${formatTable(['SEVERITY', 'WHAT', 'FOUND', 'TO MEND'], table)}\n`,
    `${countOf(findings, 'error')}, ${countOf(findings, 'warning')}, ${countOf(findings, 'info', 'note')}\n`,
  ].join('');
}

/** Lines of at most `width`; a longer word has one to itself, so that it can be copied. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1);
    if (line === undefined || line.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}

function countOf(findings: readonly Finding[], severity: Finding['severity'], word: string = severity): string {
  const count = findings.filter((each) => each.severity === severity).length;
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

/** The same for programs; `worst` is `none` where nothing was found. */
export function examinationAsJson(rows: readonly AccessRow[], findings: readonly Finding[]): unknown {
  return {
    worst: worstOf(findings) ?? 'none',
    access: rows.map((row) => ({
      who: row.of.who,
      createsCsrs: accessCell(row, 'create'),
      approval: row.of.kind,
      approved: accessCell(row, 'approval'),
    })),
    findings,
  };
}
