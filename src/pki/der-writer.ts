/** DER of the few types that a kubelet's certificate is made of (X.690). Pure concatenation; input is trusted. */

/** One value: tag, minimal length, content. */
export function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Uint8Array.of(tag), lengthOctets(length), ...content]);
}

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array => der(0x30, ...parts);
export const set = (one: Uint8Array): Uint8Array => der(0x31, one);
export const octetString = (content: Uint8Array): Uint8Array => der(0x04, content);
export const booleanTrue = Uint8Array.of(0x01, 0x01, 0xff);
export const nullValue = Uint8Array.of(0x05, 0x00);

/** A BIT STRING of whole octets. */
export const bitString = (content: Uint8Array): Uint8Array => der(0x03, Uint8Array.of(0), content);

/** A non-negative INTEGER from its big-endian octets, with as few as it takes. */
export function unsignedInteger(octets: Uint8Array): Uint8Array {
  const first = octets.findIndex((octet) => octet !== 0);
  const magnitude = first === -1 ? Uint8Array.of(0) : octets.subarray(first);
  return (magnitude[0] ?? 0) >= 0x80 ? der(0x02, Uint8Array.of(0), magnitude) : der(0x02, magnitude);
}

/** OBJECT IDENTIFIER from its dotted text. */
export function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const octets = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return der(0x06, Uint8Array.from(octets));
}

/** What a PrintableString may hold (X.680 §41.4); Go, too, goes by it. */
export const PRINTABLE = /^[A-Za-z0-9 '()+,./:=?-]*$/;

/** PrintableString where the text allows it, else UTF8String. */
export function directoryString(text: string): Uint8Array {
  return der(PRINTABLE.test(text) ? 0x13 : 0x0c, Buffer.from(text, 'utf8'));
}

/** UTCTime through 2049, GeneralizedTime after it (RFC 5280 §4.1.2.5). Milliseconds are cut off. */
export function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  const short = Number(digits.slice(0, 4)) < 2050;
  return der(short ? 0x17 : 0x18, Buffer.from(short ? digits.slice(2) : digits, 'latin1'));
}

function lengthOctets(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const octets: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) octets.unshift(left & 0xff);
  return Uint8Array.of(0x80 | octets.length, ...octets);
}
