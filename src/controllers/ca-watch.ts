import { bundleOf } from '../ca/bundle.ts';
import { type CaReading, whyUnusable } from '../ca/reading.ts';
import { type CaRole, schedule, type Scheduled } from '../ca/schedule.ts';
import { warningsOf } from '../ca/warnings.ts';
import { isRemote, messageOf, RefusedError } from '../errors.ts';
import type { Authorities, TrustBundle } from '../ports/ca.ts';
import type { Authority, CertificateSigner, Log } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';

/** Reads every CA there is. Throws when it cannot even be known which there are. */
export async function readCas(
  authorities: Authorities,
  now: number,
  signal: AbortSignal,
): Promise<readonly Scheduled<CaReading>[]> {
  const following = await authorities.next(signal);
  const [first, second] = await Promise.all([
    readingOf(authorities.current, signal),
    following === undefined ? undefined : readingOf(following.backend, signal),
  ]);
  return schedule(first, second && { ca: second, from: following?.from }, now);
}

async function readingOf(backend: CertificateSigner, signal: AbortSignal): Promise<CaReading> {
  try {
    const value = await backend.authority(signal);
    return { known: true, value, problem: await backend.problem(signal) };
  } catch (error) {
    if (!isRemote(error) && !(error instanceof RefusedError)) throw error;
    return { known: false, why: messageOf(error) };
  }
}

export interface CaWatchOptions {
  readonly authorities: Authorities;
  readonly bundle: TrustBundle;
  /** Life of the longest certificate that is signed, ms. */
  readonly longestLifeMs: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Keeps the bundle of CAs to trust as it should be, and says early what is wrong with any of them. */
export class CaWatch {
  readonly #options: CaWatchOptions;
  #ends: { readonly role: CaRole; readonly notAfter: number }[] = [];
  #said = '';
  #warned = '';

  constructor(options: CaWatchOptions) {
    this.#options = options;
  }

  /** Ends of the CAs that do not sign now. */
  otherEnds(): readonly { readonly role: CaRole; readonly notAfter: number }[] {
    return this.#ends.filter(({ role }) => role !== 'signing');
  }

  /** Looks once. Never rejects: what fails is said, and left to the next time. */
  async look(signal: AbortSignal): Promise<void> {
    try {
      await this.#look(signal);
    } catch (error) {
      if (!signal.aborted) this.#warn(`the CAs to trust are left as they are published: ${messageOf(error)}`);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { authorities, clock, longestLifeMs } = this.#options;
    const cas = await readCas(authorities, clock.now(), signal);
    const known = cas.flatMap(({ role, from, ca }) => (ca.known ? [{ role, from, ...ca.value }] : []));
    this.#ends = known.map(({ role, notAfter }) => ({ role, notAfter }));
    const wrong = cas.flatMap(({ role, ca }) => {
      const why = whyUnusable(role, ca);
      return why === undefined ? [] : [`the ${role} CA cannot be used: ${why}`];
    });
    this.#warn([...wrong, ...warningsOf(known, longestLifeMs(), clock.now())].join('; '));
    this.#tell(known);
    await this.#publish(
      known.map(({ certificatePem }) => certificatePem),
      known.length === cas.length,
      signal,
    );
  }

  async #publish(cas: readonly string[], complete: boolean, signal: AbortSignal): Promise<void> {
    const { bundle, clock, log } = this.#options;
    const published = await bundle.read(signal);
    const wanted = bundleOf({ cas, complete, published: published ?? '', now: clock.now() });
    if (wanted === published || wanted === '') return;
    await bundle.write(wanted, signal);
    log.info({ certificates: wanted.split('BEGIN').length - 1 }, 'CAs to trust published');
  }

  #tell(known: readonly ({ readonly role: CaRole; readonly from: number | undefined } & Authority)[]): void {
    const cas = known.map(({ role, from, subjectKeyId, notAfter }) => ({
      role,
      keyId: Buffer.from(subjectKeyId ?? []).toString('hex'),
      from: from === undefined ? undefined : new Date(from).toISOString(),
      notAfter: new Date(notAfter).toISOString(),
    }));
    const said = JSON.stringify(cas);
    if (said !== this.#said) this.#options.log.info({ cas }, 'CAs in use');
    this.#said = said;
  }

  #warn(text: string): void {
    if (text !== '' && text !== this.#warned) this.#options.log.warn({}, text);
    this.#warned = text;
  }
}
