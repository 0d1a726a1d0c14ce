import { kubeletSubject, subjectAltName } from './certificate-builder.ts';
import type { CertificatePlan } from './certificate-plan.ts';
import { bitString, der, objectIdentifier, sequence, set, unsignedInteger } from './der-writer.ts';
import { OID } from './oids.ts';

const VERSION_1 = unsignedInteger(Uint8Array.of(0));
const ECDSA_WITH_SHA256 = sequence(objectIdentifier(OID.ecdsaWithSha256));

/** CertificationRequestInfo of PKCS#10, DER, as a kubelet asks for what is planned. */
export function requestToBeSigned(
  plan: Pick<CertificatePlan, 'nodeName' | 'publicKeyDer' | 'dnsNames' | 'ipAddresses'>,
): Uint8Array {
  const names = subjectAltName(plan);
  const attributes =
    names.length === 0 ? [] : [sequence(objectIdentifier(OID.extensionRequest), set(sequence(...names)))];
  return sequence(VERSION_1, kubeletSubject(plan.nodeName), plan.publicKeyDer, der(0xa0, ...attributes));
}

/** The request, DER, from that and its signature by ECDSA with SHA-256. */
export function signedRequest(toBeSigned: Uint8Array, signature: Uint8Array): Uint8Array {
  return sequence(toBeSigned, ECDSA_WITH_SHA256, bitString(signature));
}
