import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { isIP } from 'node:net';
import {
  bitString,
  der,
  directoryString,
  nullValue,
  objectIdentifier,
  octetString,
  sequence,
  set,
  unsignedInteger,
} from '../../src/pki/der-writer.ts';
import { OID } from '../../src/pki/oids.ts';
import { formatPem } from '../../src/pki/pem.ts';

export {
  testAuthority,
  type TestAuthority,
  type TestAuthorityKind,
  type TestAuthorityOptions,
} from './test-authority.ts';

export type TestKeyName =
  | 'P-256'
  | 'P-384'
  | 'P-521'
  | 'Ed25519'
  | 'RSA-1024'
  | 'RSA-2040'
  | 'RSA-2048'
  | 'secp256k1'
  | 'RSA-PSS';

export interface TestKey {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const keys = new Map<string, TestKey>();

/** A real key pair; the same one for the same name and number in one run, because RSA keys take their time. */
export function testKey(name: TestKeyName, number = 0): TestKey {
  const id = `${name}#${number}`;
  const key = keys.get(id) ?? generate(name);
  keys.set(id, key);
  return key;
}

function generate(name: TestKeyName): TestKey {
  switch (name) {
    case 'Ed25519':
      return generateKeyPairSync('ed25519');
    case 'RSA-PSS':
      return generateKeyPairSync('rsa-pss', { modulusLength: 2048 });
    case 'RSA-1024':
    case 'RSA-2040':
    case 'RSA-2048':
      return generateKeyPairSync('rsa', { modulusLength: Number(name.slice(4)) });
    default:
      return generateKeyPairSync('ec', { namedCurve: name });
  }
}

/** One RDN with one attribute. */
export function rdn(type: string, value: Uint8Array | string): Uint8Array {
  return set(attribute(type, value));
}

/** AttributeTypeAndValue; text becomes PrintableString where it can, as Go has it. */
export function attribute(type: string, value: Uint8Array | string): Uint8Array {
  return sequence(objectIdentifier(type), typeof value === 'string' ? directoryString(value) : value);
}

/** GeneralName `[tag] IMPLICIT`: 1 e-mail, 2 DNS, 6 URI, 7 IP, 8 registeredID. */
export function generalName(tag: number, content: Uint8Array | string): Uint8Array {
  return der(0x80 | tag, typeof content === 'string' ? Buffer.from(content) : content);
}

/** Extension with these bytes in its OCTET STRING. */
export function csrExtension(id: string, value: Uint8Array): Uint8Array {
  return sequence(objectIdentifier(id), octetString(value));
}

/** An Attribute of a request (RFC 2986). */
export function csrAttribute(id: string, ...values: readonly Uint8Array[]): Uint8Array {
  return sequence(objectIdentifier(id), der(0x31, ...values));
}

/** An extensionRequest for these extensions. */
export function extensionRequest(...extensions: readonly Uint8Array[]): Uint8Array {
  return csrAttribute(OID.extensionRequest, sequence(...extensions));
}

/** What a CSR says; whatever is left out is as a kubelet has it. The values called `…Der` take any bytes. */
export interface CsrParts {
  readonly organization?: string;
  readonly commonName?: string;
  readonly dns?: readonly string[];
  /** `10.0.0.1`, `2001:db8::1`, or bytes. */
  readonly ips?: readonly (string | Uint8Array)[];
  readonly key?: TestKeyName | TestKey;

  readonly versionDer?: Uint8Array;
  readonly subjectDer?: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly publicKeyDer?: Uint8Array;
  /** GeneralNames after those of `dns` and `ips`. */
  readonly moreNamesDer?: readonly Uint8Array[];
  /** Instead of the SAN. */
  readonly extensionsDer?: readonly Uint8Array[];
  /** Instead of the one extensionRequest. */
  readonly attributesDer?: readonly Uint8Array[];
  /** Instead of `[0]` with the attributes. */
  readonly attributesField?: Uint8Array;
  /** Between the attributes and the end of CertificationRequestInfo. */
  readonly trailingInfoDer?: Uint8Array;
  readonly signatureAlgorithmDer?: Uint8Array;
  readonly hash?: string;
  /** Instead of the signature, or what is made of it. */
  readonly signature?: Uint8Array | ((good: Buffer) => Uint8Array);
  /** Signs instead of `key`. */
  readonly signer?: TestKey;
  /** The last word on the bytes. */
  readonly change?: (request: Buffer) => Uint8Array;
}

/** PEM of a CSR as a kubelet makes it, but for the parts that are given. */
export function buildCsrPem(parts: CsrParts = {}): string {
  return formatPem('CERTIFICATE REQUEST', buildCsrDer(parts));
}

/** The DER in `buildCsrPem`. */
export function buildCsrDer(parts: CsrParts = {}): Uint8Array {
  const key = typeof parts.key === 'object' ? parts.key : testKey(parts.key ?? 'P-256');
  const subject = sequence(
    rdn(OID.organization, parts.organization ?? 'system:nodes'),
    rdn(OID.commonName, parts.commonName ?? 'system:node:worker-1'),
  );
  const info = sequence(
    parts.versionDer ?? unsignedInteger(Uint8Array.of(0)),
    parts.subjectDer ?? subject,
    parts.publicKeyDer ?? key.publicKey.export({ type: 'spki', format: 'der' }),
    parts.attributesField ?? der(0xa0, ...attributesOf(parts)),
    parts.trailingInfoDer ?? new Uint8Array(),
  );
  const signer = parts.signer ?? key;
  const hash = parts.hash ?? defaultHash(signer.privateKey);
  const signature =
    parts.signature instanceof Uint8Array
      ? parts.signature
      : (parts.signature ?? ((good: Buffer) => good))(sign(hash, info, signer.privateKey));
  const algorithm = parts.signatureAlgorithmDer ?? signatureAlgorithm(signer.privateKey, hash);
  const request = Buffer.from(sequence(info, algorithm, bitString(signature)));
  return parts.change?.(request) ?? request;
}

function attributesOf(parts: CsrParts): readonly Uint8Array[] {
  if (parts.attributesDer !== undefined) return parts.attributesDer;
  if (parts.extensionsDer !== undefined) return [extensionRequest(...parts.extensionsDer)];
  const names = [
    ...(parts.dns ?? []).map((name) => generalName(2, name)),
    ...(parts.ips ?? []).map((address) =>
      generalName(7, typeof address === 'string' ? addressBytes(address) : address),
    ),
    ...(parts.moreNamesDer ?? []),
  ];
  return names.length === 0 ? [] : [extensionRequest(csrExtension(OID.subjectAltName, sequence(...names)))];
}

/** What a kubelet signs with: the hash of the size of the key; null for Ed25519, which has its own. */
export function defaultHash(key: KeyObject): string | null {
  if (key.asymmetricKeyType === 'ed25519') return null;
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return curve === 'secp384r1' ? 'sha384' : curve === 'secp521r1' ? 'sha512' : 'sha256';
}

const ECDSA: Readonly<Record<string, string>> = {
  sha1: '1.2.840.10045.4.1',
  sha224: '1.2.840.10045.4.3.1',
  sha256: OID.ecdsaWithSha256,
  sha384: OID.ecdsaWithSha384,
  sha512: OID.ecdsaWithSha512,
};
const RSA: Readonly<Record<string, string>> = {
  md5: '1.2.840.113549.1.1.4',
  sha1: '1.2.840.113549.1.1.5',
  sha224: '1.2.840.113549.1.1.14',
  sha256: OID.sha256WithRsa,
  sha384: OID.sha384WithRsa,
  sha512: OID.sha512WithRsa,
};

function signatureAlgorithm(key: KeyObject, hash: string | null): Uint8Array {
  if (hash === null) return sequence(objectIdentifier(OID.ed25519));
  return key.asymmetricKeyType === 'ec'
    ? sequence(objectIdentifier(ECDSA[hash] ?? ''))
    : sequence(objectIdentifier(RSA[hash] ?? ''), nullValue);
}

/** 4 or 16 bytes of an IP address in text. */
export function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Uint8Array.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const missing = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: missing }, () => '0'), ...groups(tail)];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
