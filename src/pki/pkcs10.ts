import { CertificationRequest } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import { readNames } from './csr-names.ts';
import { checkSignature, readKey } from './csr-key.ts';
import { readSubject } from './csr-subject.ts';
import type { CsrProblem, CsrReading, KubeletCsr, Report } from './kubelet-csr.ts';
import { parseExactly } from './parse-exactly.ts';
import { readOnePem } from './pem.ts';

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
  const seen = readRequest(request, report);
  return problems.length === 0 && isComplete(seen)
    ? { csr: seen, seen, problems: [] }
    : { csr: undefined, seen, problems };
}

function readRequest(request: Uint8Array, report: Report): Partial<KubeletCsr> {
  if (request.length > LARGEST_REQUEST_BYTES) {
    report(
      'RequestTooLarge',
      `the request, or its labels and annotations, have more than ${LARGEST_REQUEST_BYTES} bytes`,
    );
    return {};
  }
  const pem = readOnePem(Buffer.from(request).toString('latin1'), 'CERTIFICATE REQUEST');
  if ('problem' in pem) {
    report('PemMalformed', pem.problem);
    return {};
  }
  const parsed = parseExactly(pem.der, CertificationRequest);
  if ('problem' in parsed) {
    report('DerMalformed', `the request is not the DER of a PKCS#10 request: ${parsed.problem}`);
    return {};
  }
  return readContent(parsed.value, report);
}

function readContent(parsed: CertificationRequest, report: Report): Partial<KubeletCsr> {
  const info = parsed.certificationRequestInfo;
  if (info.version !== 0) report('DerMalformed', `the version is ${info.version}, which PKCS#10 does not know`);
  const publicKeyDer = new Uint8Array(AsnConvert.serialize(info.subjectPKInfo));
  const key = readKey(info.subjectPKInfo, publicKeyDer, report);
  if (key !== undefined) {
    const signed = new Uint8Array(parsed.certificationRequestInfoRaw ?? new ArrayBuffer(0));
    checkSignature(key, parsed.signatureAlgorithm, signed, new Uint8Array(parsed.signature), report);
  }
  return {
    ...readSubject(info.subject, report),
    ...readNames(info.attributes, report),
    publicKeyDer,
    ...(key === undefined ? {} : { key: key.kind }),
  };
}

function isComplete(seen: Partial<KubeletCsr>): seen is KubeletCsr {
  return seen.organization !== undefined && seen.commonName !== undefined && seen.key !== undefined;
}
