/** What differs between two configs, and what of it can be put in force without a restart. */
import type { Config } from '../config.ts';

/** Keys that decisions read anew each time; `*` stands for the name of a pool. */
const LIVE: readonly RegExp[] = [
  /^approver\.(onViolation|longestRequest|unboundTokensUntil|staleAfter|renewWithoutNode|credentials)(\.|$)/,
  /^serving\.(dnsSuffixes|addressRanges|admitsAnyAddress)$/,
  /^signer\.(ca|lifetime)(\.|$)/,
  /^controlPlane(\.|$)/,
  /^pools\.[^.]+\.(nodeNames|admitsAnyName|admitsAnyAddress|controlPlane|rejoin|maxNodes|longestRequest)$/,
  /^pools\.[^.]+\.(addressRanges|dnsSuffixes|lifetime\.(client|serving))$/,
];

/** Paths of the keys that differ, sorted. */
export function changedKeys(before: Config, after: Config): string[] {
  const [old, fresh] = [flattened(before), flattened(after)];
  const paths = new Set([...old.keys(), ...fresh.keys()]);
  return [...paths].filter((path) => old.get(path) !== fresh.get(path)).toSorted();
}

/** Whether a change of this key is in force as soon as it is read; every other needs a restart. */
export function isLive(path: string): boolean {
  return LIVE.some((pattern) => pattern.test(path));
}

/** The leaves by path, each as text. Lists are leaves; of patterns and ranges, what was written. */
function flattened(value: unknown, path = '', found = new Map<string, string>()): Map<string, string> {
  const plain = written(value);
  if (typeof plain !== 'object' || plain === null || Array.isArray(plain)) {
    if (plain !== undefined) found.set(path, JSON.stringify(plain));
    return found;
  }
  for (const [key, part] of Object.entries(plain)) flattened(part, path === '' ? key : `${path}.${key}`, found);
  return found;
}

function written(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('matcher' in value && 'text' in value) return value.text;
  return 'contains' in value && 'texts' in value ? value.texts : value;
}
