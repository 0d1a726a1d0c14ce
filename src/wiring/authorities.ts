/** The CAs of the config: where each comes from, and which signs when. */
import type { Config } from '../config.ts';
import { pairFromFiles } from '../local-ca/files.ts';
import { localAuthorities } from '../local-ca/signer.ts';
import type { Authorities } from '../ports/ca.ts';
import type { CertificateSigner, Log } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { VaultCaPair } from '../vault/ca-pair.ts';
import type { KeyValue, VaultCaller } from '../vault/key-value.ts';
import { openPkiSigner } from './pki-backend.ts';

type CaConfig = Config['signer']['ca'];
type CaSource = Omit<NonNullable<CaConfig['next']>, 'from'>;

export interface AuthoritiesOptions {
  readonly clock: Clock;
  /** As far as the config has one. */
  readonly vault: { readonly session: VaultCaller; readonly keyValue: KeyValue } | undefined;
  readonly log: Log;
}

/** The CAs as the config says now; each is loaded when it is first needed. */
export function openAuthorities(config: () => Config, options: AuthoritiesOptions): Authorities {
  // One stays as it is, with all that it has read, while only the other one changes.
  const current = whileSame<CaConfig, Authorities>(
    ({ next: _next, ...source }) => source,
    (ca) => openSource(ca, config, options),
  );
  const next = whileSame<CaConfig, CertificateSigner | undefined>(
    ({ next: { from: _from, ...source } = {}, refresh }) => ({ source, refresh }),
    ({ next: source }) => source && openSource(source, config, options).current,
  );
  const now = (): Authorities => current(config().signer.ca);
  return {
    current: {
      authority: (signal) => now().current.authority(signal),
      sign: (plan, request, signal) => now().current.sign(plan, request, signal),
      problem: (signal) => now().current.problem(signal),
    },
    next: (signal) => {
      const { ca } = config().signer;
      const backend = next(ca);
      return backend === undefined ? now().next(signal) : Promise.resolve({ backend, from: ca.next?.from });
    },
  };
}

/** Paths below the mount of the key pairs that this config signs with, now and later. */
export function caPaths({ signer }: Config): string[] {
  const { vaultPath, next } = signer.ca;
  return [vaultPath, next?.vaultPath].filter((path) => path !== undefined);
}

function openSource(
  { vaultPath, certificateFile = '', keyFile = '', pki }: CaSource,
  config: () => Config,
  { clock, vault, log }: AuthoritiesOptions,
): Authorities {
  if (pki !== undefined && vault !== undefined) {
    const current = openPkiSigner(config, pki, { caller: vault.session, clock, log });
    return { current, next: () => Promise.resolve(undefined) };
  }
  const source =
    vaultPath !== undefined && vault !== undefined
      ? new VaultCaPair(vault.keyValue, vaultPath)
      : pairFromFiles(certificateFile, keyFile);
  return localAuthorities({
    source,
    clock,
    refreshMs: config().signer.ca.refresh,
    onProblem: (message) => log.warn({ source: source.describe() }, message),
  });
}

/** What `make` made of a value, made anew only when what matters of it says something else. */
function whileSame<T, R>(matters: (value: T) => unknown, make: (value: T) => R): (value: T) => R {
  let held: { value: T; readonly text: string; readonly made: R } | undefined;
  return (value) => {
    if (held?.value === value) return held.made;
    const text = JSON.stringify(matters(value));
    if (held?.text === text) held.value = value;
    else held = { value, text, made: make(value) };
    return held.made;
  };
}
