import type { Config } from '../config.ts';

/** Life of the longest certificate that is signed by this config, in ms. */
export function longestLifeMs({ signer, pools, serving }: Config): number {
  const kinds = serving.enabled ? (['client', 'serving'] as const) : (['client'] as const);
  const lives = [signer.lifetime, ...Object.values(pools).map(({ lifetime }) => lifetime)];
  return Math.max(...kinds.flatMap((kind) => lives.map((life) => life[kind] ?? 0)));
}
