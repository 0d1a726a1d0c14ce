/** How deep and how many: a bound on the work that a hostile buffer can cause. */
export interface DerLimits {
  readonly maxDepth: number;
  readonly maxNodes: number;
}

const DEFAULT_LIMITS: DerLimits = { maxDepth: 16, maxNodes: 512 };

/** One DER value: `raw` is the whole of it, `content` what stands behind its tag and length. */
export interface DerElement {
  /** The identifier octet: class, constructed bit and number. */
  readonly tag: number;
  readonly raw: Uint8Array;
  readonly content: Uint8Array;
  /** The content again: `bytes` from `start` to `end`. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Views are made when they are asked for: of most values only one is, and making one takes longer than reading it. */
class DerValue implements DerElement {
  readonly tag: number;
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly start: number;
  readonly end: number;

  constructor(tag: number, bytes: Uint8Array, offset: number, start: number, end: number) {
    this.tag = tag;
    this.bytes = bytes;
    this.offset = offset;
    this.start = start;
    this.end = end;
  }

  get raw(): Uint8Array {
    return this.bytes.subarray(this.offset, this.end);
  }

  get content(): Uint8Array {
    return this.bytes.subarray(this.start, this.end);
  }
}

const CONSTRUCTED = 0x20;
const CLASS = 0xc0;
const HIGH_TAG = 0x1f;

const SEQUENCE = 0x10;
const SET = 0x11;
/** Universal types that X.509 and PKCS#10 use and that have no inner values: in DER they are primitive. */
const PRIMITIVE_TYPES: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 10, 12, 18, 19, 20, 22, 23, 24, 26, 28, 30]);

/**
 * Holds a whole buffer against DER (X.690 §8, §10, §11): one value and not a byte more, definite and minimal lengths,
 * minimal integers and object identifiers, BOOLEAN 00 or FF, primitive strings, zero unused bits, SET OF in order,
 * one-octet tags of the types that X.509 uses. Answers what is wrong first, or undefined.
 *
 * The schema library below accepts BER, and bytes that it does not look at; nothing reaches it before this.
 */
export function checkStrictDer(bytes: Uint8Array, limits: DerLimits = DEFAULT_LIMITS): string | undefined {
  const budget = { nodes: limits.maxNodes };
  const one = readElement(bytes, 0, bytes.length);
  if (typeof one === 'string') return one;
  if (one.end !== bytes.length) return `${bytes.length - one.end} bytes follow the value`;
  return checkElement(one, limits.maxDepth, budget);
}

/**
 * The values that follow each other in these bytes, or in the content of this value. Meant for what `checkStrictDer` has
 * passed; where a value cannot be read the answer is undefined.
 */
export function derElements(inside: Uint8Array | DerElement): readonly DerElement[] | undefined {
  const isValue = 'bytes' in inside;
  const bytes = isValue ? inside.bytes : inside;
  const end = isValue ? inside.end : inside.length;
  const elements: DerElement[] = [];
  for (let offset = isValue ? inside.start : 0; offset < end;) {
    const element = readElement(bytes, offset, end);
    if (typeof element === 'string') return undefined;
    elements.push(element);
    offset = element.end;
  }
  return elements;
}

/** Whether the content of a value is just this. */
export function hasContent({ bytes, start, end }: DerElement, expected: Uint8Array): boolean {
  if (end - start !== expected.length) return false;
  for (let at = 0; at < expected.length; at += 1) if (bytes[start + at] !== expected[at]) return false;
  return true;
}

/** The value at `offset` of what ends at `limit`. */
function readElement(bytes: Uint8Array, offset: number, limit: number): DerValue | string {
  if (offset + 2 > limit) return `value cut off at byte ${offset}`;
  const tag = bytes[offset] ?? 0;
  const first = bytes[offset + 1] ?? 0;
  if ((tag & HIGH_TAG) === HIGH_TAG) return `tag of several octets at byte ${offset}`;
  let start = offset + 2;
  let length = first;
  if (first >= 0x80) {
    const octets = first & 0x7f;
    if (octets === 0) return `indefinite length at byte ${offset}`;
    if (octets > 4) return `length of ${octets} octets at byte ${offset}`;
    length = 0;
    for (let at = start; at < Math.min(start + octets, limit); at += 1) length = length * 256 + (bytes[at] ?? 0);
    start += octets;
    if (length < 0x80 || length < 256 ** (octets - 1)) return `length not minimal at byte ${offset}`;
  }
  const end = start + length;
  if (end > limit) return `value at byte ${offset} is longer than what holds it`;
  return new DerValue(tag, bytes, offset, start, end);
}

function checkElement(element: DerValue, depth: number, budget: { nodes: number }): string | undefined {
  budget.nodes -= 1;
  if (budget.nodes < 0) return 'too many values';
  if (depth === 0) return 'values nested too deep';
  const { tag } = element;
  const constructed = (tag & CONSTRUCTED) !== 0;
  if ((tag & CLASS) === 0) {
    const problem = checkUniversal(tag & HIGH_TAG, constructed, element);
    if (problem !== undefined) return problem;
  }
  return constructed ? checkChildren(element, depth, budget) : undefined;
}

function checkChildren(parent: DerValue, depth: number, budget: { nodes: number }): string | undefined {
  const { bytes, start, end } = parent;
  const isSet = parent.tag === (SET | CONSTRUCTED);
  let before: Uint8Array | undefined;
  for (let offset = start; offset < end;) {
    const child = readElement(bytes, offset, end);
    if (typeof child === 'string') return child;
    const problem = checkElement(child, depth - 1, budget);
    if (problem !== undefined) return problem;
    if (isSet) {
      const { raw } = child;
      if (before !== undefined && Buffer.compare(before, raw) > 0) return 'SET not in order';
      before = raw;
    }
    offset = child.end;
  }
  return undefined;
}

function checkUniversal(type: number, constructed: boolean, element: DerValue): string | undefined {
  if (type === SEQUENCE || type === SET) return constructed ? undefined : 'SEQUENCE or SET that is not constructed';
  if (!PRIMITIVE_TYPES.has(type)) return `universal type ${type}, which X.509 does not use`;
  if (constructed) return `universal type ${type} in constructed form`;
  if (type === 1) return checkBoolean(element);
  if (type === 2 || type === 10) return checkInteger(element);
  if (type === 3) return checkBitString(element);
  if (type === 5) return element.start === element.end ? undefined : 'NULL with content';
  if (type === 6) return checkObjectIdentifier(element);
  return undefined;
}

function checkBoolean({ bytes, start, end }: DerValue): string | undefined {
  return end - start === 1 && (bytes[start] === 0 || bytes[start] === 0xff) ? undefined : 'BOOLEAN not 00 or FF';
}

function checkInteger({ bytes, start, end }: DerValue): string | undefined {
  if (start === end) return 'INTEGER without content';
  if (end - start === 1) return undefined;
  const [first, second] = [bytes[start] ?? 0, bytes[start + 1] ?? 0];
  const padded = (first === 0 && second < 0x80) || (first === 0xff && second >= 0x80);
  return padded ? 'INTEGER not minimal' : undefined;
}

function checkBitString({ bytes, start, end }: DerValue): string | undefined {
  const unused = start < end ? (bytes[start] ?? 0) : undefined;
  if (unused === undefined || unused > 7) return 'BIT STRING without a sane count of unused bits';
  if (unused === 0) return undefined;
  const last = end - start > 1 ? bytes[end - 1] : undefined;
  return last === undefined || (last & ((1 << unused) - 1)) !== 0
    ? 'BIT STRING with unused bits that are not zero'
    : undefined;
}

function checkObjectIdentifier({ bytes, start, end }: DerValue): string | undefined {
  let atStart = true;
  for (let at = start; at < end; at += 1) {
    const octet = bytes[at] ?? 0;
    if (atStart && octet === 0x80) return 'OBJECT IDENTIFIER not minimal';
    atStart = octet < 0x80;
  }
  return start < end && atStart ? undefined : 'OBJECT IDENTIFIER cut off';
}
