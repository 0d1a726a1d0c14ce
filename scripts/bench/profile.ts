/** The top of a CPU profile as V8 writes it (`node --cpu-prof`). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: { readonly functionName: string } }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface Hot {
  readonly name: string;
  /** Of the time that was not idle. */
  readonly share: number;
}

/** The functions in which most time was spent, of every profile in `folder`. */
export function hottest(folder: string, count: number): Hot[] {
  const spent = new Map<string, number>();
  for (const file of readdirSync(folder)) {
    const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile;
    const names = new Map(nodes.map(({ id, callFrame }) => [id, callFrame.functionName || '(anonymous)']));
    for (const [index, id] of samples.entries()) {
      const name = names.get(id) ?? '';
      if (name !== '(idle)') spent.set(name, (spent.get(name) ?? 0) + (timeDeltas[index] ?? 0));
    }
  }
  const all = [...spent.values()].reduce((sum, each) => sum + each, 0);
  return [...spent]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([name, time]) => ({ name, share: time / all }));
}
