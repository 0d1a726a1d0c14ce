import { messageOf } from '../errors.ts';
import type { CertificateSigner, Log } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Part } from '../runtime/lifecycle.ts';
import { periodic } from '../runtime/periodic.ts';

/** A backend whose standing is looked at from the start on, also while nobody asks for a certificate. */
export interface WatchedBackend {
  readonly backend: CertificateSigner;
  /** End of the CA that was last used, ms since the epoch. */
  readonly notAfter: () => number | undefined;
  /** True while it is known that nothing, or nothing of some kind, can be signed. */
  readonly isSick: () => boolean;
  readonly part: Part;
}

/** The backend itself keeps what it read for as long as `signer.ca.refresh` says. */
const LOOK_MS = 10_000;

/** Looks at the backend at once and then every 10 s, and logs what keeps it from signing when that changes. */
export function watched(signer: CertificateSigner, clock: Clock, log: Log): WatchedBackend {
  let notAfter: number | undefined;
  let problem: string | undefined;
  const backend: CertificateSigner = {
    ...signer,
    authority: async (signal) => {
      const authority = await signer.authority(signal);
      ({ notAfter } = authority);
      return authority;
    },
    // Whoever asks: that it is over need not wait for the next look.
    problem: async (signal) => {
      const found = await signer.problem(signal);
      note(found);
      return found;
    },
  };

  function note(found: string | undefined): void {
    if (found === problem) return;
    problem = found;
    if (found === undefined) log.info({}, 'certificates of every kind can be signed again');
    else log.error({ problem: found }, 'certificates cannot be signed, of some kind at least');
  }
  async function look(signal: AbortSignal): Promise<void> {
    try {
      await backend.authority(signal);
      await backend.problem(signal);
    } catch (error) {
      if (!signal.aborted) note(messageOf(error));
    }
  }

  return {
    backend,
    notAfter: () => notAfter,
    isSick: () => problem !== undefined,
    part: periodic('backend', LOOK_MS, clock, look, 'atOnce'),
  };
}
