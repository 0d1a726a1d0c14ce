import { createHash } from 'node:crypto';
import { ALGORITHMS, attribute, extension, type IssuerAlgorithm } from './certificate-builder.ts';
import {
  bitString,
  booleanTrue,
  der,
  objectIdentifier,
  octetString,
  sequence,
  time,
  unsignedInteger,
} from './der-writer.ts';
import { OID } from './oids.ts';
import { derElements } from './strict-der.ts';

/** What a root certificate will say. */
export interface RootPlan {
  /** Name, DER. */
  readonly subjectDer: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyDer: Uint8Array;
  /** Of the key; as of RFC 5280 §4.2.1.2 (1) where it is left out. */
  readonly subjectKeyId?: Uint8Array | undefined;
  readonly algorithm: IssuerAlgorithm;
  /** ms since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

const VERSION_3 = der(0xa0, unsignedInteger(Uint8Array.of(2)));
const IS_CA = extension(OID.basicConstraints, true, sequence(booleanTrue));
/** digitalSignature, keyCertSign, cRLSign: bits 0, 5 and 6. */
const SIGNS_CERTIFICATES = extension(OID.keyUsage, true, Uint8Array.of(0x03, 0x02, 0x01, 0x86));

/** The name of a CA that is called so. */
export function commonNameOnly(commonName: string): Uint8Array {
  return sequence(attribute(objectIdentifier(OID.commonName), commonName));
}

/** TBSCertificate, DER, of a CA that signs itself. `serial`: 16 random octets. */
export function rootToBeSigned(plan: RootPlan, serial: Uint8Array): Uint8Array {
  const { subjectDer, publicKeyDer, algorithm } = plan;
  const keyId = plan.subjectKeyId ?? keyIdOf(publicKeyDer);
  return sequence(
    VERSION_3,
    unsignedInteger(serial),
    ALGORITHMS[algorithm],
    subjectDer,
    sequence(time(plan.notBefore), time(plan.notAfter)),
    subjectDer,
    publicKeyDer,
    der(0xa3, sequence(SIGNS_CERTIFICATES, IS_CA, extension(OID.subjectKeyIdentifier, false, octetString(keyId)))),
  );
}

/** The certificate, DER, from what `rootToBeSigned` answered and the signature over it. */
export function signedRoot({ algorithm }: RootPlan, toBeSigned: Uint8Array, signature: Uint8Array): Uint8Array {
  return sequence(toBeSigned, ALGORITHMS[algorithm], bitString(signature));
}

/** SHA-1 of the BIT STRING's octets; a name for the key, and no protection. */
function keyIdOf(publicKeyDer: Uint8Array): Uint8Array {
  const key = derElements(derElements(publicKeyDer)?.[0]?.content ?? new Uint8Array())?.[1]?.content;
  return createHash('sha1')
    .update(key?.subarray(1) ?? publicKeyDer)
    .digest();
}
