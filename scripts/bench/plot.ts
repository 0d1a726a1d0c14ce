/** Pictures made of text. */

const WIDTH = 72;
const HEIGHT = 10;
const BARS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/** CSRs in flight over time, from four samples a second. */
export function plotInFlight(title: string, samples: readonly number[]): string {
  const width = Math.min(WIDTH, samples.length);
  const columns = Array.from({ length: width }, (_, column) => {
    const [from, to] = [column, column + 1].map((edge) => Math.floor((edge * samples.length) / width));
    return Math.max(...samples.slice(from, to));
  });
  const top = Math.max(1, ...columns);
  const rows = Array.from({ length: HEIGHT }, (_, row) => {
    const below = HEIGHT - 1 - row;
    const cells = columns.map((value) => {
      const filled = Math.round(((value / top) * HEIGHT - below) * (BARS.length - 1));
      return BARS[Math.min(Math.max(filled, 0), BARS.length - 1)];
    });
    const label = row === 0 ? String(top) : row === HEIGHT - 1 ? '0' : '';
    return `${label.padStart(7)} |${cells.join('').trimEnd()}`;
  });
  return [title, ...rows, `${''.padStart(7)} +${'-'.repeat(width)} ${Math.round(samples.length / 4)} s`, ''].join('\n');
}
