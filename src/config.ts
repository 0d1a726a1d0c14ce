import { parseDocument } from 'yaml';
import type * as z from 'zod';
import { CONTROLLERS, type ConfigShape, configSchema, type ControllerName } from './config/schema.ts';
import { ConfigError, type ConfigProblem, messageOf } from './errors.ts';
import type { AddressRanges } from './policy/addresses.ts';
import { admitsAnyName, coversHalf } from './policy/breadth.ts';
import type { PolicyConfig, PoolPolicy } from './policy/policy-config.ts';
import { isPoolName } from './tokens/binding.ts';

/** The whole config, read, checked and frozen. Durations are in ms. */
export type Config = Readonly<ConfigShape>;

/** What flags and environment set over the file. */
export interface ConfigOverrides {
  readonly kubeconfig?: string | undefined;
  readonly controllers?: readonly string[] | undefined;
  readonly dryRun?: boolean | undefined;
  readonly logLevel?: string | undefined;
  readonly vaultAddress?: string | undefined;
  readonly vaultCaFile?: string | undefined;
}

/**
 * Reads the config from the text of its file. Throws ConfigError with every problem that is in it, each with the path of
 * its key; nothing is started on a wrong config.
 */
export function readConfig(source: string, text: string, overrides: ConfigOverrides = {}): Config {
  const raw = override(parseYaml(source, text), overrides);
  const parsed = configSchema.safeParse(raw);
  const problems = [
    ...(parsed.success
      ? breadthOf(parsed.data).filter(({ acknowledged }) => !acknowledged)
      : parsed.error.issues.flatMap(problemsOf)),
    ...crossProblems(raw),
  ];
  if (problems.length > 0 || !parsed.success) throw new ConfigError(source, problems);
  return deepFreeze(parsed.data);
}

/** The plain value of a YAML text. Throws ConfigError, with the lines, for what is none. */
export function parseYaml(source: string, text: string): unknown {
  const document = parseDocument(text, { prettyErrors: true });
  if (document.errors.length > 0) {
    // The lines of the text that follow the message stand behind its colon.
    const first = (message: string): string => message.split('\n')[0]?.replace(/:$/, '') ?? '';
    const problems = document.errors.map(({ message }) => ({ path: '', message: first(message) }));
    throw new ConfigError(source, problems);
  }
  return plainValue(source, document);
}

/** Throws ConfigError for what is YAML and yet no value, such as aliases that grow without end. */
function plainValue(source: string, document: { toJS(): unknown }): unknown {
  try {
    return document.toJS() ?? {};
  } catch (error) {
    throw new ConfigError(source, [{ path: '', message: messageOf(error) }], { cause: error });
  }
}

/** Which controllers run in this mode. */
export function runningControllers({
  mode,
  controllers,
}: Pick<Config, 'mode' | 'controllers'>): ReadonlySet<ControllerName> {
  const signs = mode === 'enforce' || mode === 'sign-only';
  return new Set(
    controllers.filter((name) => (name === 'signer' ? signs : name !== 'approver' || mode !== 'sign-only')),
  );
}

/** A key of the config that admits nearly everything. */
export interface Breadth extends ConfigProblem {
  readonly acknowledged: boolean;
}

/** What in the config admits nearly everything, whether or not that is acknowledged. */
export function breadthOf({ pools, serving }: Config): Breadth[] {
  const found: Breadth[] = [];
  const ranges = (path: string, of: { addressRanges?: AddressRanges | undefined; admitsAnyAddress: boolean }): void => {
    if (!coversHalf(of.addressRanges?.texts ?? [])) return;
    const message = `covers half of all addresses or more: narrow it, or set ${path}.admitsAnyAddress`;
    found.push({ path: `${path}.addressRanges`, message, acknowledged: of.admitsAnyAddress });
  };
  ranges('serving', serving);
  for (const [name, pool] of Object.entries(pools)) {
    ranges(`pools.${name}`, pool);
    if (!admitsAnyName((nodeName) => pool.nodeNames.matcher.testExact(nodeName))) continue;
    const message = `matches any name: narrow it, or set pools.${name}.admitsAnyName`;
    found.push({ path: `pools.${name}.nodeNames`, message, acknowledged: pool.admitsAnyName });
  }
  return found;
}

/** Lifetime of certificates of this kind for nodes of this pool (undefined or unknown = of none), before steps; in ms. */
export function longestLifetime(
  { pools, signer }: Pick<Config, 'pools' | 'signer'>,
  usage: 'client' | 'serving',
  pool: string | undefined,
): number {
  return pools[pool ?? '']?.lifetime[usage] ?? signer.lifetime[usage];
}

/** The part of the config that decisions depend on. */
export function policyOf(config: Config): PolicyConfig {
  const { approver, serving } = config;
  const pools = Object.entries(config.pools).map(([name, pool]): [string, PoolPolicy] => [
    name,
    {
      name,
      ...nodeNamesOf(pool.nodeNames),
      controlPlane: pool.controlPlane,
      rejoin: pool.rejoin,
      maxNodes: pool.maxNodes,
      longestRequestSeconds: pool.longestRequest === undefined ? undefined : Math.floor(pool.longestRequest / 1000),
      ranges: pool.addressRanges,
      dnsSuffixes: pool.dnsSuffixes,
    },
  ]);
  return {
    pools: new Map(pools),
    unboundTokensUntil: approver.unboundTokensUntil,
    longestRequestSeconds: Math.floor(approver.longestRequest / 1000),
    serving:
      serving.enabled && serving.addressRanges !== undefined
        ? {
            dnsSuffixes: serving.dnsSuffixes,
            ranges: serving.addressRanges,
            clusterDomain: config.cluster.domain,
            apiServerHost: hostOf(config.cluster.server),
          }
        : undefined,
    onViolation: onViolationOf(approver.onViolation),
    controlPlane: config.controlPlane === undefined ? undefined : nodeNamesOf(config.controlPlane.nodeNames),
    staleAfterMs: approver.staleAfter,
    renewWithoutNodeMs: approver.renewWithoutNode,
    credentials: approver.credentials,
  };
}

/** The host of a URL, without the brackets of an IPv6 address and without a final dot. */
export function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

function onViolationOf(onViolation: Config['approver']['onViolation']): PolicyConfig['onViolation'] {
  const all = typeof onViolation === 'string' ? onViolation : 'wait';
  const named = typeof onViolation === 'string' ? {} : onViolation;
  const { form = all, identity = all, names = all, terms = all } = named;
  return { form, identity, names, terms };
}

function nodeNamesOf(pattern: Config['pools'][string]['nodeNames']): Pick<PoolPolicy, 'pattern' | 'admitsNodeName'> {
  return { pattern: pattern.text, admitsNodeName: (nodeName) => pattern.matcher.testExact(nodeName) };
}

function problemsOf(issue: z.core.$ZodIssue): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...issue.path, key].join('.'), message: 'is not a key of the config' }));
  }
  const path = issue.path.join('.');
  const missing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined');
  return [{ path, message: missing ? 'is missing' : issue.message }];
}

/** What holds between keys, and of the names of pools; read from the raw file, so that it is reported beside what is wrong with single keys. */
function crossProblems(raw: unknown): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const runs = at(raw, 'controllers') ?? CONTROLLERS;
  const maySign = at(raw, 'mode') !== 'observe' && at(raw, 'mode') !== 'approve-only';
  const running = new Set<unknown>((Array.isArray(runs) ? runs : []).filter((name) => name !== 'signer' || maySign));
  const ranges = at(raw, 'serving', 'addressRanges');
  if (at(raw, 'serving', 'enabled') !== false && (!Array.isArray(ranges) || ranges.length === 0)) {
    problems.push({
      path: 'serving.addressRanges',
      message: 'must name the ranges that node addresses lie in, or set serving.enabled to false',
    });
  }
  const signs = running.has('signer');
  const sources = [
    ['signer', 'ca'],
    ...(at(raw, 'signer', 'ca', 'next') === undefined ? [] : [['signer', 'ca', 'next']]),
  ];
  for (const path of sources) problems.push(...sourceProblems(raw, path, signs));
  const inVault = sources.some((path) => ['vaultPath', 'pki'].some((key) => at(raw, ...path, key) !== undefined));
  if (at(raw, 'vault') === undefined && (running.has('minter') || (signs && inVault))) {
    problems.push({ path: 'vault', message: 'is needed by the minter, and by signer.ca.vaultPath and signer.ca.pki' });
  }
  const pools = at(raw, 'pools');
  for (const name of isObject(pools) ? Object.keys(pools) : []) {
    if (isPoolName(name)) continue;
    const message = `${JSON.stringify(name)} is no name of a pool: must be a lower-case DNS label`;
    problems.push({ path: `pools.${name}`, message });
  }
  return problems;
}

/** What is wrong with where a CA is said to be. */
function sourceProblems(raw: unknown, path: readonly string[], needed: boolean): ConfigProblem[] {
  const [vaultPath, pki, certificateFile, keyFile] = ['vaultPath', 'pki', 'certificateFile', 'keyFile'].map((key) =>
    at(raw, ...path, key),
  );
  const name = path.join('.');
  const one = [vaultPath, pki, certificateFile].filter((each) => each !== undefined).length === 1;
  return [
    ...(needed && !one
      ? [{ path: name, message: 'must have exactly one of vaultPath, pki, and certificateFile with keyFile' }]
      : []),
    ...((certificateFile === undefined) === (keyFile === undefined)
      ? []
      : [{ path: name, message: 'certificateFile and keyFile belong together' }]),
  ];
}

function override(raw: unknown, overrides: ConfigOverrides): unknown {
  const { kubeconfig, controllers, dryRun, logLevel, vaultAddress, vaultCaFile } = overrides;
  const set: [string, string, unknown][] = [
    ['kubernetes', 'kubeconfig', kubeconfig],
    ['cleaner', 'dryRun', dryRun],
    ['ops', 'logLevel', logLevel],
    ['vault', 'address', vaultAddress],
    ['vault', 'caFile', vaultCaFile],
  ];
  if (!isObject(raw)) return raw;
  const merged: Record<string, unknown> = { ...raw, ...(controllers === undefined ? {} : { controllers }) };
  for (const [section, key, value] of set) {
    const held = merged[section] ?? {};
    // VAULT_ADDR in an admin's environment must not ask for a login that the config does without.
    const absent = section === 'vault' && merged['vault'] === undefined;
    if (value !== undefined && !absent && isObject(held)) merged[section] = { ...held, [key]: value };
  }
  return merged;
}

function at(raw: unknown, ...path: string[]): unknown {
  return path.reduce((value: unknown, key) => (isObject(value) ? value[key] : undefined), raw);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Plain objects and lists only: matchers and range lists keep state of their own. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && !Array.isArray(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
