import { quote } from './quote.ts';

/** The DER of a PEM block, or what is wrong with the text. */
export type PemReading = { readonly der: Uint8Array } | { readonly problem: string };

/** A certificate in text that may hold anything besides. */
export const CERTIFICATE_BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

const BASE64_LINE = /^[A-Za-z0-9+/]+={0,2}$/;
const BEGIN_LINE = /^-----BEGIN ([^\n]*)-----$/;

/**
 * Reads text that is exactly one PEM block of this label: nothing before it, nothing behind it but one optional
 * newline, no headers, canonical base64 (RFC 7468 §3, "strict", but lines of any length).
 */
export function readOnePem(text: string, label: string): PemReading {
  const reading = readPemBlocks(text, label);
  if ('problem' in reading) return reading;
  const [der, second] = reading.ders;
  if (der === undefined) return { problem: 'there is no PEM block' };
  return second === undefined ? { der } : { problem: `there are ${reading.ders.length} PEM blocks` };
}

/** Reads text that is nothing but PEM blocks of this label, one right after the other. */
export function readPemBlocks(
  text: string,
  label: string,
): { readonly ders: readonly Uint8Array[] } | { readonly problem: string } {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const ders: Uint8Array[] = [];
  let body: string[] | undefined;
  for (const line of lines) {
    if (body === undefined) {
      const found = BEGIN_LINE.exec(line)?.[1];
      if (found === undefined) return { problem: `${quote(line)} stands outside of a PEM block` };
      if (found !== label) return { problem: `the label of the PEM block is ${quote(found)}, not ${quote(label)}` };
      body = [];
    } else if (line === `-----END ${label}-----`) {
      const der = decodeBase64(body.join(''));
      if (der === undefined) return { problem: 'the PEM block is not canonical base64' };
      ders.push(der);
      body = undefined;
    } else {
      if (!BASE64_LINE.test(line)) return { problem: `${quote(line)} in the PEM block is not base64` };
      body.push(line);
    }
  }
  return body === undefined ? { ders } : { problem: 'the PEM block has no end' };
}

/** The PEM text of a DER value: lines of 64, a newline at the end. */
export function formatPem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  return `-----BEGIN ${label}-----\n${base64.replaceAll(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`;
}

function decodeBase64(text: string): Uint8Array | undefined {
  const der = Buffer.from(text, 'base64');
  if (der.length === 0 || der.toString('base64') !== text) return undefined;
  // Parts of a Buffer are Buffers, which take three times as long to make.
  return new Uint8Array(der.buffer, der.byteOffset, der.byteLength);
}
