import type { Config } from '../config.ts';

/** The longest lives of certificates that are signed by this config, in ms. */
export function longestLifetimes({ signer, pools }: Config): Readonly<Record<'client' | 'serving', number>> {
  const lives = [signer.lifetime, ...Object.values(pools).map(({ lifetime }) => lifetime)];
  const longest = (usage: 'client' | 'serving'): number => Math.max(...lives.map((life) => life[usage] ?? 0));
  return { client: longest('client'), serving: longest('serving') };
}

/** Life of the longest certificate that is signed by this config, in ms. */
export function longestLifeMs(config: Config): number {
  const { client, serving } = longestLifetimes(config);
  return config.serving.enabled ? Math.max(client, serving) : client;
}
