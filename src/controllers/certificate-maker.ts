import { RefusedError } from '../errors.ts';
import { type CertificateCheck, certificateCheck } from '../pki/certificate-check.ts';
import { type CertificatePlan, planCertificate, planValidity } from '../pki/certificate-plan.ts';
import type { Facts } from '../policy/facts.ts';
import { poolOfNode } from '../policy/pool-of-node.ts';
import { nodeNameOfUser, type RequestView } from '../policy/request.ts';
import type { Authority, CertificateSigner, Log, Telemetry } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';

export interface CertificateMakerOptions {
  readonly backend: CertificateSigner;
  /** Longest lifetime of a certificate of this kind for this node, which is of this pool (undefined = of none), in ms. */
  readonly lifetime: (usage: 'client' | 'serving', nodeName: string, pool: string | undefined) => number;
  /** What is done when the CA ends before a certificate would. */
  readonly onEarlyEnd: () => 'shorten' | 'refuse';
  readonly clock: Clock;
  readonly telemetry: Pick<Telemetry, 'notAsPlanned'>;
  readonly log: Log;
}

/** A certificate, PEM, that is as planned. */
export interface MadeCertificate {
  readonly certificate: string;
  readonly plan: CertificatePlan;
}

/** Makes the certificates of approved requests: plans each, has the backend sign it, and holds it against its plan. */
export class CertificateMaker {
  readonly #options: CertificateMakerOptions;
  #check: { readonly authority: Authority; readonly check: CertificateCheck } | undefined;

  constructor(options: CertificateMakerOptions) {
    this.#options = options;
  }

  /**
   * The certificate of a request that is to be signed now. Throws what the backend throws, and RefusedError
   * `CertificateNotAsPlanned`, `AuthorityUnusable` or `AuthorityEndsFirst`.
   */
  async make(request: RequestView, facts: Facts, signal: AbortSignal): Promise<MadeCertificate> {
    const { backend, telemetry, log } = this.#options;
    const { csr } = request;
    const authority = await backend.authority(signal);
    const plan = this.#plan(request, facts, authority);
    const certificate = await backend.sign(plan, csr.request, signal);
    const differences = this.#checkOf(authority)(certificate, plan);
    if (differences.length === 0) return { certificate, plan };
    if ((await backend.authority(signal)).certificatePem !== authority.certificatePem) {
      throw new RefusedError('AuthorityUnusable', `the CA changed while ${csr.name} was signed`);
    }
    telemetry.notAsPlanned(csr.signerName);
    const found = differences.join('; ');
    log.error({ csr: csr.name, signer: csr.signerName, differences }, 'certificate differs from its plan: thrown away');
    throw new RefusedError('CertificateNotAsPlanned', `certificate of ${csr.name} differs from its plan: ${found}`);
  }

  /** The CA changes once in a while, and is read once; another backend may sign for the same one. */
  #checkOf(authority: Authority): CertificateCheck {
    if (this.#check?.authority !== authority) {
      this.#check = { authority, check: certificateCheck(authority.certificatePem, authority.latitude) };
    }
    return this.#check.check;
  }

  #plan({ csr, reading, usage }: RequestView, facts: Facts, authority: Authority): CertificatePlan {
    const { clock, lifetime, onEarlyEnd } = this.#options;
    const { csr: read } = reading();
    const nodeName = read && nodeNameOfUser(read.commonName);
    // An approve verdict promises both, the types cannot know; the node is that of the request that was verified.
    if (read === undefined || nodeName === undefined) throw new TypeError(`${csr.name} was approved unread`);
    const validity = planValidity({
      now: clock.now(),
      lifetimeMs: lifetime(usage, nodeName, poolOfNode(csr, facts)),
      requestedSeconds: csr.expirationSeconds,
      authorityNotBefore: authority.notBefore,
      authorityNotAfter: authority.notAfter,
      onEarlyEnd: onEarlyEnd(),
    });
    return planCertificate({ csr: read, nodeName, usage, usages: csr.usages, validity });
  }
}
