import { randomBytes, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { hasBegun } from '../ca/schedule.ts';
import { messageOf, RefusedError } from '../errors.ts';
import type { CertificatePlan } from '../pki/certificate-plan.ts';
import { formatPem } from '../pki/pem.ts';
import type { Authorities } from '../ports/ca.ts';
import type { CertificateSigner } from '../ports.ts';
import type { Clock } from '../runtime/clock.ts';
import { refreshed } from '../runtime/refreshed.ts';
import { type Pair, type PairTexts, readPair } from './pair.ts';

/** What a source holds: a pair, and perhaps the one that follows it. */
export interface SourceTexts extends PairTexts {
  readonly next?: (PairTexts & { readonly from: number | undefined }) | undefined;
}

/** Where a CA key pair comes from. */
export interface PairSource {
  /** For messages: `files /etc/ca.crt and /etc/ca.key`. */
  describe(): string;
  /** Throws RefusedError `AuthorityUnusable` or a RemoteError. */
  load(signal: AbortSignal): Promise<SourceTexts>;
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

/** Signers that hold the CA's key in memory (DESIGN D12: key pair from files or from Vault KV), both from one read. */
export function localAuthorities(options: LocalSignerOptions): Authorities {
  const held = refreshedPairs(options);
  const next = signerOf(async (signal) => {
    const { next: following } = await held(signal);
    if (following === undefined)
      throw new RefusedError('AuthorityUnusable', `${options.source.describe()}: no next CA`);
    return pairOf(following.reading);
  });
  return {
    current: signerOf(async (signal) => pairOf((await held(signal)).current)),
    next: async (signal) => {
      const following = (await held(signal)).next;
      return following && { backend: next, from: following.from };
    },
  };
}

/** The signer of a source that has no next pair. */
export function localSigner(options: LocalSignerOptions): CertificateSigner {
  return localAuthorities(options).current;
}

function signerOf(pair: (signal: AbortSignal) => Promise<Pair>): CertificateSigner {
  const drawSerial = serialNumbers();
  return {
    authority: async (signal) => (await pair(signal)).authority,
    sign: async (plan, _request, signal) => signWith(await pair(signal), plan, drawSerial()),
    problem: async (signal) => void (await pair(signal)),
  };
}

/** A pair, or why it cannot be used. */
type Reading = Pair | RefusedError;

interface Held {
  readonly texts: SourceTexts;
  readonly current: Reading;
  readonly next: { readonly reading: Reading; readonly from: number | undefined } | undefined;
}

function pairOf(reading: Reading): Pair {
  if (reading instanceof RefusedError) throw reading;
  return reading;
}

/**
 * Answers what the source holds. Something that leaves nothing to sign with now, or cannot be had, does not displace
 * what does; a pair whose time it is not may be unusable.
 */
function refreshedPairs(options: LocalSignerOptions): (signal: AbortSignal) => Promise<Held> {
  const { source, clock, onProblem, refreshMs, loadTimeoutMs } = options;
  const named = (error: RefusedError): RefusedError =>
    new RefusedError(error.code, `${source.describe()}: ${error.message}`, { cause: error });
  const isUsable = (reading: Reading): boolean =>
    !(reading instanceof RefusedError) && clock.now() < reading.authority.notAfter;
  const signing = ({ current, next }: Pick<Held, 'current' | 'next'>): Reading =>
    next !== undefined && hasBegun(next.from, clock.now()) ? next.reading : current;

  function read(texts: PairTexts, before: PairTexts | undefined, reading: Reading | undefined): Reading {
    const same = texts.certPem === before?.certPem && texts.keyPem === before.keyPem;
    if (same && reading !== undefined && isUsable(reading)) return reading;
    try {
      return readPair(texts, clock.now());
    } catch (error) {
      if (error instanceof RefusedError) return named(error);
      throw error;
    }
  }

  async function load(held: Held | undefined, signal: AbortSignal): Promise<Held> {
    let texts: SourceTexts;
    try {
      texts = await source.load(signal);
    } catch (error) {
      throw error instanceof RefusedError ? named(error) : error;
    }
    const current = read(texts, held?.texts, held?.current);
    const next = texts.next && {
      reading: read(texts.next, held?.texts.next, held?.next?.reading),
      from: texts.next.from,
    };
    const inForce = signing({ current, next });
    if (inForce instanceof RefusedError && held !== undefined && isUsable(signing(held))) throw inForce;
    return { texts, current, next };
  }

  return refreshed<Held>({
    load,
    isOver: (held) => !isUsable(signing(held)),
    onProblem: (error) => onProblem(`the CA in force stays: ${messageOf(error)}`),
    clock,
    refreshMs,
    loadTimeoutMs,
  });
}

async function signWith(pair: Pair, plan: CertificatePlan, serial: Uint8Array): Promise<string> {
  const toBeSigned = pair.builder.toBeSigned(plan, serial);
  const signature = await signBytes(pair, toBeSigned);
  return formatPem('CERTIFICATE', pair.builder.certificate(toBeSigned, signature)) + pair.chainPem;
}

const signInThreadPool = promisify(sign);

/** P-256 takes 26 µs, less than a trip through the thread pool; RSA and P-384 take ten times that and more. */
export function signBytes(pair: Pick<Pair, 'key' | 'algorithm'>, bytes: Uint8Array): Uint8Array | Promise<Uint8Array> {
  if (pair.algorithm === 'ecdsa-with-SHA256') return sign('sha256', bytes, pair.key);
  return signInThreadPool(pair.algorithm === 'ecdsa-with-SHA384' ? 'sha384' : 'sha256', bytes, pair.key);
}

const SERIAL_OCTETS = 16;
const DRAWN_AT_ONCE = 256 * SERIAL_OCTETS;

/**
 * Draws serial numbers: 16 random octets of which the first is not 0, so that each is positive and has 16 or 17 octets.
 * Many are drawn at once, and each is given once: to draw one takes as long.
 */
export function serialNumbers(): () => Uint8Array {
  let drawn: Uint8Array = new Uint8Array();
  return () => {
    let serial: Uint8Array;
    do {
      if (drawn.length === 0) drawn = randomBytes(DRAWN_AT_ONCE);
      serial = drawn.subarray(0, SERIAL_OCTETS);
      drawn = drawn.subarray(SERIAL_OCTETS);
    } while (serial[0] === 0);
    return serial;
  };
}
