import { readFile } from 'node:fs/promises';
import { type Config, type ConfigOverrides, readConfig } from '../config.ts';
import { ConfigError, messageOf } from '../errors.ts';
import { CONTROLLERS } from '../config/schema.ts';
import type { Io } from './io.ts';

export const DEFAULT_CONFIG = '/etc/kubelet-bootstrap/config.yaml';

/** One option that more than one command has: flag, environment variable and help, for parser, help and README. */
export interface OptionRow {
  readonly flag: string;
  readonly env: string | undefined;
  readonly help: string;
}

/** The options that every command with a config has. */
export const SHARED_OPTIONS: Readonly<Record<'config' | 'kubeconfig', OptionRow>> = {
  config: {
    flag: '--config <file>',
    env: 'KUBELET_BOOTSTRAP_CONFIG',
    help: `config file (default: ${DEFAULT_CONFIG})`,
  },
  kubeconfig: { flag: '--kubeconfig <file>', env: 'KUBECONFIG', help: 'kubeconfig, instead of the one in the config' },
};

/** The options of `run` besides. */
export const RUN_OPTIONS: Readonly<Record<'controllers' | 'dryRun' | 'logLevel', OptionRow>> = {
  controllers: {
    flag: '--controllers <names>',
    env: 'KUBELET_BOOTSTRAP_CONTROLLERS',
    help: `run only these, separated by commas: ${CONTROLLERS.join(', ')}`,
  },
  dryRun: { flag: '--dry-run', env: undefined, help: 'the cleaner only logs what it would remove' },
  logLevel: { flag: '--log-level <level>', env: 'KUBELET_BOOTSTRAP_LOG_LEVEL', help: 'debug, info, warn or error' },
};

/** Environment that has no flag: where an admin's own Vault credential comes from. */
export const VAULT_ENVIRONMENT: Readonly<Record<'VAULT_ADDR' | 'VAULT_CACERT' | 'VAULT_TOKEN', string>> = {
  VAULT_ADDR: 'address of Vault, instead of the one in the config',
  VAULT_CACERT: "PEM bundle that Vault's certificate is checked with, instead of the one in the config",
  VAULT_TOKEN: 'token for Vault, instead of the login in the config',
};

export interface SharedFlags {
  readonly config?: string | undefined;
  readonly kubeconfig?: string | undefined;
}

export interface RunFlags extends SharedFlags {
  readonly controllers?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly logLevel?: string | undefined;
}

/** Flags first, then the environment, then the file. Throws ConfigError. */
export function loadConfig(flags: RunFlags, io: Io): Promise<Config> {
  return configReader(flags, io)();
}

/** The same again and again: parses the file anew only when there stands something else. */
export function configReader(flags: RunFlags, io: Pick<Io, 'env'>): () => Promise<Config> {
  const path = flags.config ?? io.env['KUBELET_BOOTSTRAP_CONFIG'] ?? DEFAULT_CONFIG;
  const overrides = overridesOf(flags, io);
  let known: { readonly text: string; readonly config: Config } | undefined;
  return async () => {
    const text = await textOf(path);
    if (known?.text !== text) known = { text, config: readConfig(path, text, overrides) };
    return known.config;
  };
}

function overridesOf(flags: RunFlags, { env }: Pick<Io, 'env'>): ConfigOverrides {
  const controllers = flags.controllers ?? env['KUBELET_BOOTSTRAP_CONTROLLERS'];
  return {
    kubeconfig: flags.kubeconfig ?? nonEmpty(env['KUBECONFIG']),
    controllers: controllers?.split(',').map((name) => name.trim()),
    dryRun: flags.dryRun,
    logLevel: flags.logLevel ?? env['KUBELET_BOOTSTRAP_LOG_LEVEL'],
    vaultAddress: nonEmpty(env['VAULT_ADDR']),
    vaultCaFile: nonEmpty(env['VAULT_CACERT']),
  };
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const message = `${messageOf(error)}; --config or KUBELET_BOOTSTRAP_CONFIG names another`;
    throw new ConfigError(path, [{ path: '', message }], { cause: error });
  }
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}
