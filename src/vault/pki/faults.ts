/** What can be wrong with a PKI engine that is to sign, by names that are stable across releases. */
import { isRemote, messageOf, RefusedError } from '../../errors.ts';

/** By name, what is wrong; the README has what mends it. */
export const PKI_FAULTS = {
  MountMissing: 'There is no PKI engine at `signer.ca.pki.mount`.',
  IssuerUnknown: 'The issuer is not there: it was deleted or renamed.',
  IssuerMayNotSign: 'Its usage lacks `issuing-certificates`, or it was revoked.',
  IssuerWithoutKey: 'It was imported without its key.',
  IssuerEndsTooSoon:
    'A certificate would outlive it though none was planned to: clocks differ, or it is another one by now.',
  RoleMissing: 'A role is not there.',
  RoleForbidden: "The service's policy does not let it sign with a role.",
  RoleRefuses: 'A role refuses what it has to sign.',
  RoleDiffers: 'A role was edited: what it signs is not what was planned.',
  LifetimeClamped:
    "`max_ttl` of the role or the mount is less than the config's lifetimes; Vault cuts without an error.",
  ClocksDiffer:
    "Vault's clock and this host's differ by more than 30 s, or `not_before_duration` of the role is not 5m.",
} as const;
export type PkiFault = keyof typeof PKI_FAULTS;

/** What Vault says, as far as it is about more than one request (OpenBao 2.7.2). */
const SAYINGS: readonly (readonly [RegExp, PkiFault])[] = [
  [/no handler for route/, 'MountMissing'],
  [/unable to find PKI issuer|no default issuer/, 'IssuerUnknown'],
  [/unable to fetch corresponding key/, 'IssuerWithoutKey'],
  [/but only had usage/, 'IssuerMayNotSign'],
  [/beyond the expiration of the CA certificate/, 'IssuerEndsTooSoon'],
  [/unknown role/, 'RoleMissing'],
];

/** The error of a PKI engine that cannot be used as it is. */
export function pkiFault(place: string, fault: PkiFault, why: string, cause?: unknown): RefusedError {
  return new RefusedError('AuthorityUnusable', `${place}: ${fault}: ${why}`, cause === undefined ? {} : { cause });
}

/** A failure that is about the engine, its issuer or a role, by its name; any other as it is. */
export function named(place: string, error: unknown): unknown {
  if (!isRemote(error)) return error;
  const message = messageOf(error);
  const fault = SAYINGS.find(([saying]) => saying.test(message))?.[1];
  return fault === undefined ? error : pkiFault(place, fault, message, error);
}
