import { AsnConvert } from '@peculiar/asn1-schema';
import { Extensions } from '@peculiar/asn1-x509';
import { OID } from './oids.ts';
import { derElements } from './strict-der.ts';

/** What node:crypto does not tell of a CA certificate. */
export interface AuthorityFields {
  /** The subject, byte for byte. */
  readonly subjectDer: Uint8Array;
  readonly subjectKeyId: Uint8Array | undefined;
}

const VERSION_TAG = 0xa0;
const EXTENSIONS_TAG = 0xa3;
const EMPTY = new Uint8Array();

/** Reads a CA certificate (DER, X.509 v3) that node:crypto could read; undefined when it is anything else. */
export function readAuthorityCertificate(der: Uint8Array): AuthorityFields | undefined {
  const [certificate] = derElements(der) ?? [];
  const [tbs] = derElements(certificate?.content ?? EMPTY) ?? [];
  const [version, , , , , subject, , ...optional] = derElements(tbs?.content ?? EMPTY) ?? [];
  const extensions = optional.find((element) => element.tag === EXTENSIONS_TAG);
  if (version?.tag !== VERSION_TAG || subject === undefined || extensions === undefined) return undefined;
  const list = AsnConvert.parse(extensions.content, Extensions);
  const keyId = list.find((extension) => extension.extnID === OID.subjectKeyIdentifier)?.extnValue.buffer;
  return {
    subjectDer: subject.raw,
    subjectKeyId: keyId === undefined ? undefined : derElements(new Uint8Array(keyId))?.[0]?.content,
  };
}
