import { AsnConvert } from '@peculiar/asn1-schema';
import { messageOf } from '../../src/errors.ts';
import { checkStrictDer } from '../../src/pki/strict-der.ts';

/** A value that was read to its last byte, or why it could not be. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };

/**
 * Parses DER by a schema and holds that the schema names every byte of it: the schema library passes over elements at
 * the end of a SEQUENCE, encoded defaults and much of what is not valid in a string, but writing the parsed value back
 * then gives other bytes. Never throws.
 */
export function parseExactly<T>(der: Uint8Array, schema: new () => T): Parsed<T> {
  const problem = checkStrictDer(der);
  if (problem !== undefined) return { problem };
  try {
    const value = AsnConvert.parse(der, schema);
    const written = new Uint8Array(AsnConvert.serialize(value));
    if (Buffer.compare(written, der) !== 0) return { problem: `it holds more than a ${schema.name} has` };
    return { value };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}
