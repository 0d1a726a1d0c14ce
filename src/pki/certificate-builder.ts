import type { CertificatePlan } from './certificate-plan.ts';
import {
  bitString,
  booleanTrue,
  der,
  directoryString,
  nullValue,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  unsignedInteger,
} from './der-writer.ts';
import { OID } from './oids.ts';

/** How a CA signs; the algorithm follows from its key (Go's defaults, which kube-controller-manager takes). */
export type IssuerAlgorithm = 'ecdsa-with-SHA256' | 'ecdsa-with-SHA384' | 'sha256WithRSAEncryption';

/** What of a CA goes into every certificate it issues. */
export interface Issuer {
  /** Its subject as it stands in its certificate, byte for byte. */
  readonly subjectDer: Uint8Array;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly algorithm: IssuerAlgorithm;
}

/** AlgorithmIdentifier of each, DER. */
export const ALGORITHMS: Readonly<Record<IssuerAlgorithm, Uint8Array>> = {
  'ecdsa-with-SHA256': sequence(objectIdentifier(OID.ecdsaWithSha256)),
  'ecdsa-with-SHA384': sequence(objectIdentifier(OID.ecdsaWithSha384)),
  sha256WithRSAEncryption: sequence(objectIdentifier(OID.sha256WithRsa), nullValue),
};

const VERSION_3 = der(0xa0, unsignedInteger(Uint8Array.of(2)));
const ORGANIZATION = attribute(objectIdentifier(OID.organization), 'system:nodes');

/** Unused bits, then bits: digitalSignature is bit 0, keyEncipherment bit 2 (RFC 5280 §4.2.1.3). */
const SIGN_ONLY = extension(OID.keyUsage, true, Uint8Array.of(0x03, 0x02, 0x07, 0x80));
const SIGN_AND_ENCIPHER = extension(OID.keyUsage, true, Uint8Array.of(0x03, 0x02, 0x05, 0xa0));
const EXT_KEY_USAGE = {
  client: extension(OID.extKeyUsage, false, sequence(objectIdentifier(OID.clientAuth))),
  serving: extension(OID.extKeyUsage, false, sequence(objectIdentifier(OID.serverAuth))),
};
const COMMON_NAME = objectIdentifier(OID.commonName);
const SUBJECT_ALT_NAME = objectIdentifier(OID.subjectAltName);
const NO_CA = extension(OID.basicConstraints, true, sequence());

/** Makes the certificates of one CA; what is the same in all of them is encoded once. */
export interface CertificateBuilder {
  /**
   * TBSCertificate, DER, as kube-controller-manager issues it: KeyUsage, ExtKeyUsage, BasicConstraints,
   * AuthorityKeyIdentifier, SubjectAltName. `serial` is 16 random octets, big-endian, not all zero.
   */
  toBeSigned(plan: CertificatePlan, serial: Uint8Array): Uint8Array;
  /** The certificate, DER, from what `toBeSigned` answered and the signature over it. */
  certificate(toBeSigned: Uint8Array, signature: Uint8Array): Uint8Array;
}

/** A builder for the certificates of this CA. */
export function certificateBuilder(issuer: Issuer): CertificateBuilder {
  const algorithm = ALGORITHMS[issuer.algorithm];
  const authorityKeyId =
    issuer.subjectKeyId === undefined
      ? []
      : [extension(OID.authorityKeyIdentifier, false, sequence(der(0x80, issuer.subjectKeyId)))];
  return {
    toBeSigned: (plan, serial) =>
      sequence(
        VERSION_3,
        unsignedInteger(serial),
        algorithm,
        issuer.subjectDer,
        sequence(time(plan.notBefore), time(plan.notAfter)),
        kubeletSubject(plan.nodeName),
        plan.publicKeyDer,
        der(
          0xa3,
          sequence(
            plan.keyEncipherment ? SIGN_AND_ENCIPHER : SIGN_ONLY,
            EXT_KEY_USAGE[plan.usage],
            NO_CA,
            ...authorityKeyId,
            ...subjectAltName(plan),
          ),
        ),
      ),
    certificate: (toBeSigned, signature) => sequence(toBeSigned, algorithm, bitString(signature)),
  };
}

/** The subject of every kubelet's certificate, and of its requests, DER. */
export function kubeletSubject(nodeName: string): Uint8Array {
  return sequence(ORGANIZATION, attribute(COMMON_NAME, `system:node:${nodeName}`));
}

/** The extension with the names of a plan, DER; empty where it has none. */
export function subjectAltName(plan: Pick<CertificatePlan, 'dnsNames' | 'ipAddresses'>): Uint8Array[] {
  if (plan.dnsNames.length === 0 && plan.ipAddresses.length === 0) return [];
  const dnsNames = plan.dnsNames.map((name) => der(0x82, Buffer.from(name, 'latin1')));
  const ipAddresses = plan.ipAddresses.map((bytes) => der(0x87, bytes));
  return [extension(SUBJECT_ALT_NAME, false, sequence(...dnsNames, ...ipAddresses))];
}

/** An RDN of one attribute, DER. */
export function attribute(type: Uint8Array, value: string): Uint8Array {
  return set(sequence(type, directoryString(value)));
}

/** An extension around its DER value; `id` dotted, or in DER. */
export function extension(id: Uint8Array | string, critical: boolean, value: Uint8Array): Uint8Array {
  return sequence(
    typeof id === 'string' ? objectIdentifier(id) : id,
    ...(critical ? [booleanTrue] : []),
    octetString(value),
  );
}
