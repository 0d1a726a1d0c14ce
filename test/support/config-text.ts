import { parse, stringify } from 'yaml';
import { type ConfigOverrides, readConfig } from '../../src/config.ts';
import { ConfigError, type ConfigProblem } from '../../src/errors.ts';

/** The least that is a config. */
export const LEAST = `
cluster: { server: https://api.example.org:6443 }
vault:
  address: https://vault.example.org
  auth: { method: tokenFile, tokenFile: /var/run/vault-token }
serving: { addressRanges: [10.0.0.0/8] }
signer: { ca: { vaultPath: kubernetes/ca } }
`;

/** The least config with values set at paths such as `ops.listen`; undefined takes a key away. */
export function withValues(changes: Readonly<Record<string, unknown>>): string {
  const config = parse(LEAST) as Record<string, unknown>;
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    let section = config;
    for (const key of keys) section = (section[key] ??= {}) as Record<string, unknown>;
    if (value === undefined) delete section[last];
    else section[last] = value;
  }
  return stringify(config);
}

/** Every problem that is found in the text. */
export function problemsOf(text: string, overrides?: ConfigOverrides): readonly ConfigProblem[] {
  try {
    readConfig('config.yaml', text, overrides);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** Only their paths. */
export function pathsOf(text: string, overrides?: ConfigOverrides): string[] {
  return problemsOf(text, overrides).map(({ path }) => path);
}
