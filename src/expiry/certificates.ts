/** When certificates end: of a bundle that is trusted, and of a chain that is shown. */
import { X509Certificate } from 'node:crypto';
import { CERTIFICATE_BLOCK } from '../pki/pem.ts';
import { plain, type Reading, timeText } from './thing.ts';

/** What is kept of a certificate. Times are in ms since the epoch. */
export interface Certificate {
  readonly subject: string;
  readonly issuer: string;
  /** The subject, or the names that stand beside an empty one. */
  readonly title: string;
  readonly ca: boolean;
  readonly notBefore: number;
  readonly notAfter: number;
  /** The first octets of its SHA-256, hex: tells those with one subject apart. */
  readonly mark: string;
}

export interface Pem {
  readonly certificates: readonly Certificate[];
  /** Blocks that are no certificate, as far as they were looked at. */
  readonly garbage: number;
}

/** Bounds the work that one text can cause; a bundle of all public CAs has about 150. */
const MOST_BLOCKS = 500;
const MARK_LENGTH = 8;
/** Whoever issues a certificate may have a clock that is ahead by this. */
const SKEW_MS = 5 * 60_000;

/** Reads every certificate of a PEM text. What is none is counted, as Go's readers skip it. Never throws. */
export function readPem(text: string): Pem {
  const certificates: Certificate[] = [];
  let blocks = 0;
  for (const [block] of text.matchAll(CERTIFICATE_BLOCK)) {
    blocks += 1;
    if (blocks > MOST_BLOCKS) break;
    const certificate = readBlock(block);
    if (certificate !== undefined) certificates.push(certificate);
  }
  return { certificates, garbage: blocks - certificates.length };
}

function readBlock(block: string): Certificate | undefined {
  try {
    const read = new X509Certificate(block);
    const [notBefore, notAfter] = [read.validFromDate.getTime(), read.validToDate.getTime()];
    if (Number.isNaN(notBefore) || Number.isNaN(notAfter)) return undefined;
    const subject = orEmpty(read.subject);
    return {
      subject,
      issuer: orEmpty(read.issuer),
      title: subject === '' ? orEmpty(read.subjectAltName) : subject,
      ca: read.ca,
      notBefore,
      notAfter,
      mark: read.fingerprint256.replaceAll(':', '').slice(0, MARK_LENGTH).toLowerCase(),
    };
  } catch {
    return undefined;
  }
}

/** Node has undefined for a name without content, whatever its types say. */
function orEmpty(text: string | undefined): string {
  return text ?? '';
}

/** `CN=kubernetes 1f2e3d4c`. */
export function nameOf({ title, mark }: Certificate): string {
  return `${plain(title)} ${mark}`.trimStart();
}

/**
 * Of CAs that are trusted side by side: it ends when no time is left that one of them covers without a gap from `now`.
 * One that has ended beside a good one is no fault, and the first end to come is told beside the last.
 */
export function bundleReading({ certificates, garbage }: Pem, now: number): Reading {
  const ended = certificates.filter(({ notAfter }) => notAfter <= now);
  const valid = certificates.filter((each) => isValid(each, now));
  const [first] = valid.toSorted((a, b) => a.notAfter - b.notAfter);
  if (first === undefined) return notValidNow(certificates, ended, garbage, now);
  const last = lastCovering(certificates, first);
  const count = certificates.length;
  return {
    kind: 'ends',
    ...endOf(last),
    ...(first === last ? {} : { firstEndsAt: first.notAfter }),
    note: sentence(
      count === 1 ? plain(last.title) : `the last of ${count} is ${nameOf(last)}`,
      first === last ? '' : `${nameOf(first)} ends first, at ${timeText(first.notAfter)}`,
      ended.length === 0 ? '' : `${ended.length} ended already and can go`,
      garbageText(garbage),
    ),
  };
}

function notValidNow(
  certificates: readonly Certificate[],
  ended: readonly Certificate[],
  garbage: number,
  now: number,
): Reading {
  const last = latest(ended);
  const [next] = certificates.filter((each) => isTooSoon(each, now)).toSorted((a, b) => a.notBefore - b.notBefore);
  const begins = next === undefined ? '' : `${nameOf(next)} is not valid before ${timeText(next.notBefore)}`;
  if (last !== undefined) {
    return { kind: 'ends', ...endOf(last), note: sentence(plain(last.title), begins, garbageText(garbage)) };
  }
  return { kind: 'unusable', note: begins || 'holds no certificate that can be read' };
}

/** From `first` on, the certificate that is still valid when all that begin before their forerunner's end have ended. */
function lastCovering(certificates: readonly Certificate[], first: Certificate): Certificate {
  let last = first;
  for (;;) {
    const end = last.notAfter;
    const next = latest(certificates.filter(({ notBefore, notAfter }) => notBefore <= end && notAfter > end));
    if (next === undefined) return last;
    last = next;
  }
}

/**
 * Of what is shown to others: the first certificate and those above it that came with it. It ends with the first of
 * them that does; a root that came along and what leads elsewhere do not count, because nobody looks at them.
 */
export function chainReading({ certificates, garbage }: Pem, now: number): Reading {
  const [leaf] = certificates;
  if (leaf === undefined) return { kind: 'unusable', note: 'holds no certificate that can be read' };
  const path = pathFrom(leaf, certificates);
  const [next] = path.filter((each) => isTooSoon(each, now));
  if (next !== undefined) {
    return { kind: 'unusable', note: `${nameOf(next)} is not valid before ${timeText(next.notBefore)}` };
  }
  const first = path.reduce((soonest, each) => (each.notAfter < soonest.notAfter ? each : soonest), leaf);
  const above = first === leaf ? '' : `its issuer ${nameOf(first)} ends before ${plain(leaf.title)}`;
  return { kind: 'ends', ...endOf(first), note: sentence(above || plain(leaf.title), garbageText(garbage)) };
}

function pathFrom(leaf: Certificate, certificates: readonly Certificate[]): Certificate[] {
  const path = [leaf];
  for (let below = leaf; ;) {
    const issuers = certificates.filter((each) => each.subject === below.issuer && !path.includes(each));
    const issuer = latest(issuers);
    if (below.subject === below.issuer || issuer === undefined || issuer.subject === issuer.issuer) return path;
    path.push(issuer);
    below = issuer;
  }
}

/** Of a file of unknown use: a bundle when it begins with a CA, else a chain. */
export function fileReading(pem: Pem, now: number): Reading {
  return pem.certificates[0]?.ca === true ? bundleReading(pem, now) : chainReading(pem, now);
}

/**
 * Of CAs of which each has users of its own: one reading for each, by its name. One that has ended is of no concern
 * while another is good.
 */
export function singleReadings(pem: Pem, now: number): { readonly name: string; readonly reading: Reading }[] {
  const good = pem.certificates.some((each) => isValid(each, now));
  return pem.certificates.map((certificate) => ({
    name: nameOf(certificate),
    reading:
      good && certificate.notAfter <= now
        ? { kind: 'none', note: `ended at ${timeText(certificate.notAfter)}, beside others that are good, and can go` }
        : bundleReading({ certificates: [certificate], garbage: 0 }, now),
  }));
}

function isTooSoon({ notBefore }: Certificate, now: number): boolean {
  return notBefore > now + SKEW_MS;
}

function isValid(certificate: Certificate, now: number): boolean {
  return !isTooSoon(certificate, now) && now < certificate.notAfter;
}

function latest(certificates: readonly Certificate[]): Certificate | undefined {
  return certificates.toSorted((a, b) => b.notAfter - a.notAfter)[0];
}

function endOf({ notBefore, notAfter }: Certificate): { readonly endsAt: number; readonly lifeMs: number } {
  return { endsAt: notAfter, lifeMs: notAfter - notBefore };
}

function garbageText(garbage: number): string {
  return garbage === 0 ? '' : `${garbage} block${garbage === 1 ? ' is' : 's are'} no certificate`;
}

function sentence(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('; ');
}
