import { readNames } from './csr-names.ts';
import { checkSignature, readKey } from './csr-key.ts';
import { readSubject } from './csr-subject.ts';
import { derFields, TAG, wholeOctets } from './der-reader.ts';
import type { CsrProblem, CsrReading, KubeletCsr, Report } from './kubelet-csr.ts';
import { readOnePem } from './pem.ts';
import { checkStrictDer, type DerElement } from './strict-der.ts';

/** A kubelet's request has 1 to 2 KiB. */
export const LARGEST_REQUEST_BYTES = 16 * 1024;

/**
 * Reads the bytes of `spec.request` as DESIGN D4 says: exactly one PEM block, strict DER, the subject a kubelet sends,
 * no attribute or extension but one SAN with DNS names and IP addresses, key and signature algorithm from a list, proof
 * of possession verified. Collects every problem it can; never throws.
 *
 * Whether O is `system:nodes` and CN a node's name is not judged here.
 */
export function readKubeletCsr(request: Uint8Array): CsrReading {
  const problems: CsrProblem[] = [];
  const report: Report = (code, message) => {
    problems.push({ code, message });
  };
  const parts = open(request, report);
  const seen = parts === undefined ? {} : readParts(parts, report);
  return problems.length === 0 && isComplete(seen)
    ? { csr: seen, seen, problems: [] }
    : { csr: undefined, seen, problems };
}

/**
 * The common name alone, the same that `readKubeletCsr` sees, for a twentieth of the time with the P-256 key that a
 * kubelet draws itself: neither key nor signature is looked at. So it tells requests apart, and says nothing about who
 * made them.
 */
export function readCommonName(request: Uint8Array): string | undefined {
  const parts = open(request, unreported);
  return parts === undefined ? undefined : readSubject(parts.subject, unreported).commonName;
}

function unreported(): void {
  // Whoever asks for the name alone leaves it to the whole reading to say what is wrong.
}

function open(request: Uint8Array, report: Report): Parts | undefined {
  if (request.length > LARGEST_REQUEST_BYTES) {
    report('RequestTooLarge', `the request has more than ${LARGEST_REQUEST_BYTES} bytes`);
    return undefined;
  }
  const pem = readOnePem(Buffer.from(request).toString('latin1'), 'CERTIFICATE REQUEST');
  if ('problem' in pem) {
    report('PemMalformed', pem.problem);
    return undefined;
  }
  const parts = split(pem.der);
  if (typeof parts !== 'string') return parts;
  report('DerMalformed', `the request is not the DER of a PKCS#10 request: ${parts}`);
  return undefined;
}

/** CertificationRequest (RFC 2986 §4) by its fields; `algorithm` and what is not a whole value are contents. */
interface Parts {
  readonly info: DerElement;
  readonly subject: Uint8Array;
  readonly publicKey: DerElement;
  readonly attributes: Uint8Array;
  readonly algorithm: Uint8Array;
  readonly signature: Uint8Array;
}

function split(der: Uint8Array): Parts | string {
  const problem = checkStrictDer(der);
  if (problem !== undefined) return problem;
  const [request] = derFields(der, [TAG.sequence]) ?? [];
  const outer = request && derFields(request, [TAG.sequence, TAG.sequence, TAG.bitString]);
  if (outer === undefined) return 'it is not information, algorithm and signature';
  const [info, algorithm, bits] = outer;
  const fields = derFields(info, [TAG.integer, TAG.sequence, TAG.sequence, TAG.context0]);
  if (fields === undefined) return 'its information is not version, subject, public key and attributes';
  const [version, subject, publicKey, attributes] = fields;
  if (version.content.length !== 1 || version.content[0] !== 0) return 'the version is not 0';
  const signature = wholeOctets(bits.content);
  if (signature === undefined) return 'the signature does not hold whole octets';
  return {
    info,
    subject: subject.content,
    publicKey,
    attributes: attributes.content,
    algorithm: algorithm.content,
    signature,
  };
}

function readParts(parts: Parts, report: Report): Partial<KubeletCsr> {
  const key = readKey(parts.publicKey, report);
  if (key !== undefined) checkSignature(key, parts.algorithm, parts.info.raw, parts.signature, report);
  return {
    ...readSubject(parts.subject, report),
    ...readNames(parts.attributes, report),
    // A copy: what is kept of a request does not hold on to the rest of it.
    publicKeyDer: Uint8Array.from(parts.publicKey.raw),
    ...(key === undefined ? {} : { key: key.kind }),
  };
}

function isComplete(seen: Partial<KubeletCsr>): seen is KubeletCsr {
  return seen.organization !== undefined && seen.commonName !== undefined && seen.key !== undefined;
}
