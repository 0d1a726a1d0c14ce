/** Reads of values that `checkStrictDer` has passed. Nothing here throws. */
import { type DerElement, derElements } from './strict-der.ts';

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  sequence: 0x30,
  set: 0x31,
  /** `[0]`, constructed. */
  context0: 0xa0,
} as const;

/** Longer than any that is in use; the work to print one grows with the square of its length. */
const LONGEST_IDENTIFIER = 32;

/** The elements, when they have these tags, each one and no more; else undefined. */
export function elementsWith<const T extends readonly number[]>(
  elements: readonly DerElement[],
  tags: T,
): { readonly [K in keyof T]: DerElement } | undefined {
  const fits = elements.length === tags.length && elements.every(({ tag }, index) => tag === tags[index]);
  return fits ? (elements as unknown as { [K in keyof T]: DerElement }) : undefined;
}

/** The values in these bytes or this value, when they have these tags, each one and no more; else undefined. */
export function derFields<const T extends readonly number[]>(
  inside: Uint8Array | DerElement,
  tags: T,
): { readonly [K in keyof T]: DerElement } | undefined {
  const elements = derElements(inside);
  return elements === undefined ? undefined : elementsWith(elements, tags);
}

/** The octets of a BIT STRING (its content), undefined when it does not hold whole octets. */
export function wholeOctets(content: Uint8Array): Uint8Array | undefined {
  return content[0] === 0 ? content.subarray(1) : undefined;
}

/** `1.2.840` from the content of an OBJECT IDENTIFIER; one that is absurdly long is only measured. */
export function dotted(content: Uint8Array): string {
  if (content.length > LONGEST_IDENTIFIER) return `(identifier of ${content.length} octets)`;
  let text = '';
  let arc: number | bigint = 0;
  for (const octet of content) {
    // Few arcs need more than a number holds, and bigints take ten times as long.
    if (typeof arc === 'number' && arc >= 2 ** 46) arc = BigInt(arc);
    arc = typeof arc === 'number' ? arc * 128 + (octet & 0x7f) : (arc << 7n) | BigInt(octet & 0x7f);
    if (octet >= 0x80) continue;
    text = text === '' ? firstArcs(arc) : `${text}.${arc}`;
    arc = 0;
  }
  return text === '' ? '0.0' : text;
}

/** The two that are written as one. */
function firstArcs(both: number | bigint): string {
  const top = both < 40 ? 0 : both < 80 ? 1 : 2;
  return `${top}.${typeof both === 'number' ? both - top * 40 : both - BigInt(top * 40)}`;
}

/** AlgorithmIdentifier (RFC 5280 §4.1.1.2). */
export interface Algorithm {
  readonly id: string;
  /** DER of the parameters in hex; '' when there are none. */
  readonly parameters: string;
}

/** Reads the content of an AlgorithmIdentifier; undefined when it is none. */
export function readAlgorithm(content: Uint8Array): Algorithm | undefined {
  const [id, parameters, ...more] = derElements(content) ?? [];
  if (id?.tag !== TAG.objectIdentifier || more.length > 0) return undefined;
  return { id: dotted(id.content), parameters: hex(parameters?.raw ?? new Uint8Array()) };
}

const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;

/** A Time in ms since the epoch (RFC 5280 §4.1.2.5); undefined when it is none. */
export function readTime(element: DerElement | undefined): number | undefined {
  if (element === undefined || (element.tag !== UTC_TIME && element.tag !== GENERALIZED_TIME)) return undefined;
  const text = Buffer.from(element.content).toString('latin1');
  const century = element.tag === GENERALIZED_TIME ? '' : text < '5' ? '20' : '19';
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(century + text) ?? [];
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Two digits an octet, lower case. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
