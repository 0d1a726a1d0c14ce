/** What the other parsers make of a request, in the same words as ours. */
import 'reflect-metadata';
import { execFile } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { OID } from '../../src/pki/oids.ts';
import type { KubeletCsr } from '../../src/pki/kubelet-csr.ts';
import type { GoReading } from '../../scripts/servers/csr-reader.ts';
import { addressBytes } from '../support/csr-builder.ts';

/** Everything in a request, after its signature was found to be right. */
export interface Seen {
  /** Identifier and value, in order. */
  readonly subject: readonly (readonly [string, string])[];
  readonly dnsNames: readonly string[];
  /** Hex. */
  readonly ipAddresses: readonly string[];
  /** Names of other kinds. */
  readonly others: number;
  /** SubjectPublicKeyInfo, hex. */
  readonly publicKey: string;
}

const hex = (bytes: Uint8Array | ArrayBuffer): string => Buffer.from(bytes as Uint8Array).toString('hex');
const hexOfAddress = (text: string): string => hex(addressBytes(text));

export function seenByUs(csr: KubeletCsr): Seen {
  return {
    subject: [
      [OID.organization, csr.organization],
      [OID.commonName, csr.commonName],
    ],
    dnsNames: csr.dnsNames,
    ipAddresses: csr.ipAddresses.map(hex),
    others: 0,
    publicKey: hex(csr.publicKeyDer),
  };
}

/** Why it was refused, or what was seen; so do the others answer. */
export function seenByGo(reading: GoReading): Seen | string {
  if (reading.error !== '') return reading.error;
  const { subject, dnsNames, ipAddresses, others, publicKey } = reading;
  return { subject: subject ?? [], dnsNames: dnsNames ?? [], ipAddresses: ipAddresses ?? [], others, publicKey };
}

/** By the library that the service itself uses where speed does not matter. */
export async function seenByPeculiar(request: Uint8Array): Promise<Seen | string> {
  try {
    const csr = new x509.Pkcs10CertificateRequest(Buffer.from(request).toString('latin1'));
    if (!(await csr.verify())) return 'the signature is wrong';
    const san = csr.getExtension(OID.subjectAltName);
    const names = san instanceof x509.SubjectAlternativeNameExtension ? san.names.items : [];
    const of = (type: string): string[] => names.filter((name) => name.type === type).map(({ value }) => value);
    return {
      subject: csr.subjectName
        .toJSON()
        .flatMap((rdn) =>
          Object.entries(rdn).flatMap(([type, values]) => values.map((value) => [identifierOf(type), value] as const)),
        ),
      dnsNames: of('dns'),
      ipAddresses: of('ip').map(hexOfAddress),
      others: names.filter(({ type }) => type !== 'dns' && type !== 'ip').length,
      publicKey: hex(csr.publicKey.rawData),
    };
  } catch (error) {
    return String(error);
  }
}

function identifierOf(type: string): string {
  return { O: OID.organization, CN: OID.commonName }[type] ?? type;
}

const OPENSSL = ['req', '-verify', '-noout', '-subject', '-pubkey', '-text'];
const NAMES = ['-nameopt', 'dump_all,dump_der,sep_comma_plus,oid'];

/** By the `openssl` of this machine. */
export async function seenByOpenssl(request: Uint8Array): Promise<Seen | string> {
  const { output, errors } = await new Promise<{ output: string; errors: string }>((resolve, reject) => {
    const child = execFile('openssl', [...OPENSSL, ...NAMES], (error, output, errors) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ output, errors });
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(request);
  });
  if (!/verify OK/.test(errors)) return errors;
  const names = /Subject Alternative Name: *\n *(.*)\n/.exec(output)?.[1]?.split(', ') ?? [];
  const of = (kind: string): string[] =>
    names.filter((name) => name.startsWith(kind)).map((name) => name.slice(kind.length));
  const addresses = of('IP Address:');
  const [pem = ''] = /-----BEGIN PUBLIC KEY-----[^]*-----END PUBLIC KEY-----\n/.exec(output) ?? [];
  return {
    subject: [...(/^subject=(.*)$/m.exec(output)?.[1]?.matchAll(/([\d.]+)=#([0-9A-F]+)/g) ?? [])].map(
      ([, type = '', value = '']) => [type, textOf(Buffer.from(value, 'hex'))],
    ),
    dnsNames: of('DNS:'),
    ipAddresses: addresses.map((address) => hexOfAddress(address.toLowerCase())),
    others: names.length - of('DNS:').length - addresses.length,
    publicKey: hex(createPublicKey(pem).export({ type: 'spki', format: 'der' })),
  };
}

/** The text of a short UTF8String or PrintableString. */
function textOf(der: Buffer): string {
  const start = (der[1] ?? 0) < 0x80 ? 2 : 2 + ((der[1] ?? 0) & 0x7f);
  return der.toString('utf8', start);
}
