import { hasBegun } from '../ca/schedule.ts';
import type { Authorities } from '../ports/ca.ts';
import type { CertificateSigner } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';

/**
 * Signs with the CA whose time it is. Once the time of the next one has come nothing else signs: if it cannot be used,
 * work is held as it is for any other CA, and never done with one that is perhaps trusted no more.
 */
export function rotatingSigner(authorities: Authorities, clock: Clock): CertificateSigner {
  const inForce = async (signal: AbortSignal): Promise<CertificateSigner> => {
    const next = await authorities.next(signal);
    return next !== undefined && hasBegun(next.from, clock.now()) ? next.backend : authorities.current;
  };
  return {
    authority: async (signal) => (await inForce(signal)).authority(signal),
    sign: async (plan, request, signal) => (await inForce(signal)).sign(plan, request, signal),
    problem: async (signal) => (await inForce(signal)).problem(signal),
  };
}
