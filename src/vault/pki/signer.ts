import PQueue from 'p-queue';
import * as z from 'zod';
import { isRemote, messageOf, RefusedError } from '../../errors.ts';
import type { Latitude } from '../../pki/certificate-check.ts';
import { type CertificateKind, type CertificatePlan, kindOf } from '../../pki/certificate-plan.ts';
import { OID } from '../../pki/oids.ts';
import { readSigningCa } from '../../pki/signing-ca.ts';
import type { Authority, CertificateSigner } from '../../ports.ts';
import { abortable } from '../../runtime/abortable.ts';
import type { Clock } from '../../runtime/clock.ts';
import { refreshed } from '../../runtime/refreshed.ts';
import type { VaultCaller } from '../key-value.ts';
import { segmentsOf } from '../path.ts';
import { readAs } from '../reply.ts';
import { canaries, type CanaryTerms, verdictOn } from './canary.ts';
import { named, pkiFault } from './faults.ts';

/** Where in Vault certificates are signed. */
export interface PkiPlace {
  /** Mount of the PKI engine. */
  readonly mount: string;
  /** Name or ID of the issuer: never `default`, which others move. */
  readonly issuer: string;
  /** The role for each kind of certificate that is signed. */
  readonly roles: ReadonlyMap<CertificateKind, string>;
}

export interface PkiSignerOptions {
  readonly caller: VaultCaller;
  readonly place: PkiPlace;
  /** Asked for each canary: lifetimes may change meanwhile. */
  readonly canary: () => CanaryTerms;
  readonly clock: Clock;
  /** How long issuer and roles are used before they are looked at again. */
  readonly refreshMs: number;
  /** Requests to sign at the same time. */
  readonly concurrency: number;
  /** Told when Vault could not be asked anew, while what was read goes on being used. */
  readonly onProblem: (message: string) => void;
}

/**
 * What OpenBao 2.7.2 adds: the key identifier of the subject always, the others where the issuer has such URLs. Its clock
 * sets the times.
 */
export const PKI_LATITUDE: Latitude = {
  extras: [OID.subjectKeyIdentifier, OID.authorityInformationAccess, OID.crlDistributionPoints],
  timesMs: 60_000,
};
/** So much less than planned is asked for, that nothing ends later than planned while Vault's clock is a bit ahead. */
const SPARE_MS = PKI_LATITUDE.timesMs / 2;
/** An issuer and a canary for each role. */
const LOAD_TIMEOUT_MS = 30_000;

const issuerSchema = z.object({
  data: z.object({ certificate: z.string(), ca_chain: z.array(z.string()).nullish() }),
});
const signedSchema = z.object({ data: z.object({ certificate: z.string() }) });

interface Held {
  readonly authority: Authority;
  readonly chainPem: string;
  /** What is wrong with the role of a kind. */
  readonly faults: Map<CertificateKind, RefusedError>;
}

/**
 * A signer whose key never leaves Vault (DESIGN D12): `<mount>/issuer/<issuer>/sign/<role>` of its PKI engine. Every role
 * is tried with a canary before it is used and at each refresh; one that makes something else of it than planned signs
 * nothing until it is mended. Vault refuses or says why by name (`PkiFault`), always as an outage.
 */
export function pkiSigner(options: PkiSignerOptions): CertificateSigner {
  const { caller, place, clock, onProblem, refreshMs, concurrency } = options;
  const issuerPath = [...segmentsOf(place.mount), 'issuer', place.issuer];
  const where = `Vault PKI ${issuerPath.join('/')}`;
  const gate = new PQueue({ concurrency });
  const canaryFor = canaries(options.canary);

  async function readIssuer(signal: AbortSignal): Promise<Pick<Held, 'authority' | 'chainPem'>> {
    const path = [...issuerPath, 'json'];
    const reply = await caller.call({ operation: 'pki-read', method: 'GET', path }, signal);
    const { certificate, ca_chain: chain } = readAs(issuerSchema, reply.body, 'issuer').data;
    const ca = readSigningCa([certificate, ...(chain ?? [])].join('\n'), clock.now());
    const { fields, notBefore, notAfter, certificatePem, chainPem } = ca;
    return { authority: { ...fields, notBefore, notAfter, certificatePem, latitude: PKI_LATITUDE }, chainPem };
  }

  async function signWith(role: string, plan: CertificatePlan, request: Uint8Array, signal: AbortSignal) {
    const seconds = Math.floor((plan.notAfter - clock.now() - SPARE_MS) / 1000);
    if (seconds < 1) throw new RefusedError('AuthorityUnusable', `${where}: nothing can be signed that ends so soon`);
    const body = { csr: Buffer.from(request).toString('latin1'), exclude_cn_from_sans: true, ttl: `${seconds}s` };
    const path = [...issuerPath, 'sign', role];
    const reply = await caller.call({ operation: 'pki-sign', method: 'POST', path, body }, signal);
    return `${readAs(signedSchema, reply.body, 'sign').data.certificate.trim()}\n`;
  }

  /** What is wrong with a role; undefined when nothing is. Throws when Vault cannot be asked, or cannot sign at all. */
  async function tryRole(
    kind: CertificateKind,
    { authority, chainPem }: Pick<Held, 'authority' | 'chainPem'>,
    signal: AbortSignal,
  ): Promise<RefusedError | undefined> {
    const role = roleOf(kind);
    const { plan, request } = canaryFor(kind, authority, clock.now());
    try {
      const signed = await signWith(role, plan, request, signal);
      const verdict = verdictOn(signed + chainPem, plan, authority);
      return verdict && pkiFault(where, verdict.fault, `role ${role}: ${verdict.why}`);
    } catch (error) {
      const fault = named(where, error);
      if (fault instanceof RefusedError) return fault;
      if (isRemote(error, 'Forbidden')) return pkiFault(where, 'RoleForbidden', messageOf(error), error);
      if (isRemote(error, 'Invalid')) return pkiFault(where, 'RoleRefuses', messageOf(error), error);
      throw error;
    }
  }

  function roleOf(kind: CertificateKind): string {
    const role = place.roles.get(kind);
    if (role === undefined) throw new TypeError(`no role for ${kind}`);
    return role;
  }

  async function load(signal: AbortSignal): Promise<Held> {
    try {
      const issuer = await readIssuer(signal);
      const tried = await Promise.all(
        [...place.roles.keys()].map(async (kind) => [kind, await tryRole(kind, issuer, signal)] as const),
      );
      const faults = new Map(tried.flatMap(([kind, fault]) => (fault === undefined ? [] : [[kind, fault]])));
      return { ...issuer, faults };
    } catch (error) {
      if (error instanceof RefusedError)
        throw new RefusedError(error.code, `${where}: ${error.message}`, { cause: error });
      throw named(where, error);
    }
  }

  const inForce = refreshed<Held>({
    load: (_held, signal) => load(signal),
    isOver: ({ authority }) => clock.now() >= authority.notAfter,
    onProblem: (error) => onProblem(`what was read of the CA stays in use: ${messageOf(error)}`),
    clock,
    refreshMs,
    loadTimeoutMs: LOAD_TIMEOUT_MS,
  });

  /** Throws what is wrong with the role, unless it was mended meanwhile. */
  async function requireRole(kind: CertificateKind, held: Held, signal: AbortSignal): Promise<void> {
    if (!held.faults.has(kind)) return;
    const fault = await tryRole(kind, held, signal);
    if (fault !== undefined) throw fault;
    held.faults.delete(kind);
  }

  return {
    authority: async (signal) => (await inForce(signal)).authority,
    sign: async (plan, request, signal) => {
      const held = await inForce(signal);
      const kind = kindOf(plan);
      await requireRole(kind, held, signal);
      const signed = gate.add(() => {
        signal.throwIfAborted();
        return signWith(roleOf(kind), plan, request, signal);
      });
      try {
        return (await abortable(signed, signal)) + held.chainPem;
      } catch (error) {
        throw named(where, error);
      }
    },
    problem: async (signal) => {
      const { faults } = await inForce(signal);
      const texts = new Set([...faults.values()].map(({ message }) => message));
      return texts.size === 0 ? undefined : [...texts].join('; ');
    },
  };
}
