/** From the config to the backend that signs with Vault's PKI engine. */
import type { Config } from '../config.ts';
import type { CertificateKind } from '../pki/certificate-plan.ts';
import { parseAddress } from '../policy/addresses.ts';
import type { CertificateSigner, Log } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import type { VaultCaller } from '../vault/key-value.ts';
import type { CanaryTerms } from '../vault/pki/canary.ts';
import { pkiSigner } from '../vault/pki/signer.ts';
import { longestLifetimes } from './longest-life.ts';

export type PkiConfig = NonNullable<Config['signer']['ca']['pki']>;

/** Those that sign by this config, now and later. */
export function pkiEngines({ signer }: Config): PkiConfig[] {
  const { pki, next } = signer.ca;
  return [pki, next?.pki].filter((engine) => engine !== undefined);
}

/** The role of each kind of certificate that this config signs. */
export function pkiRoles({ serving }: Config, { roles }: PkiConfig): ReadonlyMap<CertificateKind, string> {
  return new Map<CertificateKind, string>([
    ['client', roles.client],
    ['client-encipherment', roles.clientEncipherment],
    ...(serving.enabled
      ? ([
          ['serving', roles.serving],
          ['serving-encipherment', roles.servingEncipherment],
        ] as const)
      : []),
  ]);
}

/** The backend that signs with Vault's PKI engine; nothing is sent before it is first needed. */
export function openPkiSigner(
  config: () => Config,
  pki: PkiConfig,
  { caller, clock, log }: { readonly caller: VaultCaller; readonly clock: Clock; readonly log: Log },
): CertificateSigner {
  const { mount, issuer, servingNames, concurrency } = pki;
  const canary = (): CanaryTerms => {
    const [range = ''] = config().serving.addressRanges?.texts ?? [];
    const address = parseAddress(range.split('/')[0] ?? '');
    return {
      longestMs: longestLifetimes(config()),
      dnsNames: servingNames.slice(0, 1).map((glob) => glob.replaceAll('*', 'kubelet-bootstrap-canary')),
      ipAddresses: address === undefined ? [] : [address],
    };
  };
  return pkiSigner({
    caller,
    place: { mount, issuer, roles: pkiRoles(config(), pki) },
    canary,
    clock,
    refreshMs: config().signer.ca.refresh,
    concurrency,
    onProblem: (message) => log.warn({ source: `Vault PKI ${mount}/issuer/${issuer}` }, message),
  });
}
