import { randomBytes, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { messageOf, RefusedError } from '../errors.ts';
import type { CertificatePlan } from '../pki/certificate-plan.ts';
import { formatPem } from '../pki/pem.ts';
import type { Authority, CertificateSigner } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { refreshed } from '../runtime/refreshed.ts';
import { type Pair, type PairTexts, readPair } from './pair.ts';

/** Where a CA key pair comes from. */
export interface PairSource {
  /** For messages: `files /etc/ca.crt and /etc/ca.key`. */
  describe(): string;
  /** Throws RefusedError `AuthorityUnusable` or a RemoteError. */
  load(signal: AbortSignal): Promise<PairTexts>;
}

export interface LocalSignerOptions {
  readonly source: PairSource;
  readonly clock: Clock;
  /** How long a pair is used before the source is asked again; default 60 s. */
  readonly refreshMs?: number;
  /** The most that one load may take; default 10 s. */
  readonly loadTimeoutMs?: number;
  /** Told when the source could not be read or its pair not be used, while the old pair goes on signing. */
  readonly onProblem: (message: string) => void;
}

/** A signer that holds the CA's key in memory (DESIGN D12: key pair from files or from Vault KV). */
export function localSigner(options: LocalSignerOptions): CertificateSigner {
  const held = refreshedPair(options);
  return {
    authority: async (signal): Promise<Authority> => (await held(signal)).authority,
    sign: async (plan, _request, signal): Promise<string> => signWith(await held(signal), plan),
    problem: async (signal): Promise<undefined> => void (await held(signal)),
  };
}

/** Answers the pair in force; a new pair that cannot be used, or cannot be had, does not displace an old one. */
function refreshedPair(options: LocalSignerOptions): (signal: AbortSignal) => Promise<Pair> {
  const { source, clock, onProblem, refreshMs, loadTimeoutMs } = options;
  const isOver = ({ pair }: Held): boolean => clock.now() >= pair.authority.notAfter;

  async function load(held: Held | undefined, signal: AbortSignal): Promise<Held> {
    try {
      const texts = await source.load(signal);
      const same = texts.certPem === held?.texts.certPem && texts.keyPem === held.texts.keyPem;
      return held !== undefined && same && !isOver(held) ? held : { pair: readPair(texts, clock.now()), texts };
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      throw new RefusedError(error.code, `${source.describe()}: ${error.message}`, { cause: error });
    }
  }

  const inForce = refreshed({
    load,
    isOver,
    onProblem: (error) => onProblem(`the CA in force stays: ${messageOf(error)}`),
    clock,
    refreshMs,
    loadTimeoutMs,
  });
  return async (signal) => (await inForce(signal)).pair;
}

interface Held {
  readonly pair: Pair;
  readonly texts: PairTexts;
}

async function signWith(pair: Pair, plan: CertificatePlan): Promise<string> {
  const toBeSigned = pair.builder.toBeSigned(plan, drawSerial());
  const signature = await signBytes(pair, toBeSigned);
  return formatPem('CERTIFICATE', pair.builder.certificate(toBeSigned, signature)) + pair.chainPem;
}

const signInThreadPool = promisify(sign);

/** P-256 takes 26 µs, less than a trip through the thread pool; RSA and P-384 take ten times that and more. */
function signBytes(pair: Pair, bytes: Uint8Array): Uint8Array | Promise<Uint8Array> {
  if (pair.algorithm === 'ecdsa-with-SHA256') return sign('sha256', bytes, pair.key);
  return signInThreadPool(pair.algorithm === 'ecdsa-with-SHA384' ? 'sha384' : 'sha256', bytes, pair.key);
}

/** 16 random octets of which the first is not 0, so that the serial number is positive and has 16 or 17 octets. */
function drawSerial(): Uint8Array {
  const serial = randomBytes(16);
  while (serial[0] === 0) randomBytes(1).copy(serial);
  return serial;
}
