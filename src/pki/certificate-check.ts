import { X509Certificate } from 'node:crypto';
import { Certificate, type Extension, type Name, type TBSCertificate } from '@peculiar/asn1-x509';
import { AsnConvert } from '@peculiar/asn1-schema';
import { messageOf } from '../errors.ts';
import { type AuthorityFields, readAuthorityCertificate } from './authority-certificate.ts';
import type { CertificatePlan } from './certificate-plan.ts';
import { OID } from './oids.ts';
import { parseExactly } from './parse-exactly.ts';
import { readPemBlocks } from './pem.ts';
import { listed, quote } from './quote.ts';
import { checkStrictDer, derElements } from './strict-der.ts';

/**
 * Holds an issued certificate against its plan, by parsing it afresh (DESIGN D5): key, subject, names, usages, validity,
 * issuer, signature, and nothing else in it. Answers every difference; an empty list means "as planned".
 *
 * `pem` is what a signer answered: the leaf, then at most the CA's chain. `authorityPem` is the CA's certificate and,
 * after it, its chain. `allowedExtras` are dotted identifiers of extensions that the backend may add, not critical.
 */
export function checkAgainstPlan(
  pem: string,
  plan: CertificatePlan,
  authorityPem: string,
  allowedExtras: readonly string[] = [],
): string[] {
  try {
    return differences(pem, plan, authorityPem, allowedExtras);
  } catch (error) {
    return [`the certificate cannot be read: ${messageOf(error)}`];
  }
}

function differences(
  pem: string,
  plan: CertificatePlan,
  authorityPem: string,
  allowedExtras: readonly string[],
): string[] {
  const blocks = readPemBlocks(pem, 'CERTIFICATE');
  if ('problem' in blocks) return [`the certificate is not plain PEM: ${blocks.problem}`];
  const authority = readPemBlocks(authorityPem, 'CERTIFICATE');
  const [issuerDer, ...rest] = 'problem' in authority ? [] : authority.ders;
  const [leaf, ...following] = blocks.ders;
  if (leaf === undefined) return ['there is no certificate'];
  if (issuerDer === undefined) return ['the certificate of the CA is not plain PEM'];
  const parsed = parseExactly(leaf, Certificate);
  if ('problem' in parsed) return [`the certificate is not the DER of one: ${parsed.problem}`];

  const issuer = readAuthorityCertificate(issuerDer);
  if (issuer === undefined) return ['the certificate of the CA is not an X.509 v3 certificate'];
  const tbs = parsed.value.tbsCertificate;
  return [
    ...checkChain(following, [issuerDer, ...rest]),
    ...checkFrame(tbs, parsed.value),
    ...checkSubject(tbs.subject, plan),
    ...expectBytes('public key', AsnConvert.serialize(tbs.subjectPublicKeyInfo), plan.publicKeyDer),
    ...checkValidity(tbs, plan),
    ...checkExtensions(tbs.extensions ?? [], expectedExtensions(plan, issuer), allowedExtras),
    ...expectBytes('issuer', AsnConvert.serialize(tbs.issuer), issuer.subjectDer),
    ...checkSignature(leaf, issuerDer),
  ];
}

function checkChain(following: readonly Uint8Array[], authority: readonly Uint8Array[]): string[] {
  const intermediates = authority.filter((der) => {
    const certificate = new X509Certificate(der);
    return !certificate.checkIssued(certificate);
  });
  const fits = following.every((der, index) => {
    const expected = intermediates[index];
    return expected !== undefined && Buffer.compare(der, expected) === 0;
  });
  return fits ? [] : [`the ${following.length} certificate(s) after the leaf are not the chain of the CA`];
}

function checkFrame(tbs: TBSCertificate, certificate: Certificate): string[] {
  const serial = new Uint8Array(tbs.serialNumber);
  const positive = (serial[0] ?? 0x80) < 0x80 && serial.some((octet) => octet !== 0);
  return [
    ...expect('version', tbs.version + 1, 3),
    ...(positive && serial.length <= 20 ? [] : [`the serial number is ${Buffer.from(serial).toString('hex')}`]),
    ...(tbs.signature.isEqual(certificate.signatureAlgorithm) ? [] : ['the two signature algorithms differ']),
    ...(tbs.issuerUniqueID === undefined && tbs.subjectUniqueID === undefined ? [] : ['there is a unique identifier']),
  ];
}

function checkSubject(subject: Name, plan: CertificatePlan): string[] {
  const found = subject.map((rdn) =>
    rdn.map(({ type, value }) => [type, value.utf8String ?? value.printableString ?? '(no text)']),
  );
  const planned = [[[OID.organization, 'system:nodes']], [[OID.commonName, `system:node:${plan.nodeName}`]]];
  return expect('subject', JSON.stringify(found), JSON.stringify(planned));
}

function checkValidity(tbs: TBSCertificate, plan: CertificatePlan): string[] {
  return [
    ...expect('notBefore', tbs.validity.notBefore.getTime().toISOString(), new Date(plan.notBefore).toISOString()),
    ...expect('notAfter', tbs.validity.notAfter.getTime().toISOString(), new Date(plan.notAfter).toISOString()),
  ];
}

interface Expected {
  readonly critical: boolean;
  readonly value: string;
}

/** The extensions that must be there, by identifier; values are DER in hex, SubjectAltName as a list of names. */
function expectedExtensions(plan: CertificatePlan, issuer: AuthorityFields): ReadonlyMap<string, Expected> {
  const names = [
    ...plan.dnsNames.map((name) => `82:${Buffer.from(name, 'latin1').toString('hex')}`),
    ...plan.ipAddresses.map((bytes) => `87:${Buffer.from(bytes).toString('hex')}`),
  ];
  const expected = new Map<string, Expected>([
    [OID.keyUsage, { critical: true, value: plan.keyEncipherment ? '030205a0' : '03020780' }],
    [OID.extKeyUsage, { critical: false, value: plan.usage === 'client' ? CLIENT_AUTH : SERVER_AUTH }],
    [OID.basicConstraints, { critical: true, value: '3000' }],
  ]);
  const keyId = issuer.subjectKeyId;
  if (keyId !== undefined) {
    const value = Buffer.concat([Uint8Array.of(0x30, keyId.length + 2, 0x80, keyId.length), keyId]);
    expected.set(OID.authorityKeyIdentifier, { critical: false, value: value.toString('hex') });
  }
  if (names.length > 0) expected.set(OID.subjectAltName, { critical: false, value: names.join() });
  return expected;
}

const CLIENT_AUTH = '300a06082b06010505070302';
const SERVER_AUTH = '300a06082b06010505070301';

function checkExtensions(
  extensions: readonly Extension[],
  expected: ReadonlyMap<string, Expected>,
  allowedExtras: readonly string[],
): string[] {
  const found: string[] = [];
  const seen = new Set<string>();
  for (const extension of extensions) {
    const id = extension.extnID;
    if (seen.has(id)) found.push(`extension ${id} is there twice`);
    seen.add(id);
    const planned = expected.get(id);
    if (planned === undefined) {
      if (!allowedExtras.includes(id)) found.push(`extension ${id} was not planned`);
      else if (extension.critical) found.push(`extension ${id} is critical`);
    } else {
      found.push(
        ...expect(`extension ${id} critical`, extension.critical, planned.critical),
        ...expect(`extension ${id}`, valueOf(extension), planned.value),
      );
    }
  }
  const missing = [...expected.keys()].filter((id) => !seen.has(id));
  return missing.length === 0 ? found : [...found, `there is no extension ${listed(missing)}`];
}

function valueOf(extension: Extension): string {
  const bytes = new Uint8Array(extension.extnValue.buffer);
  if (extension.extnID !== OID.subjectAltName) return Buffer.from(bytes).toString('hex');
  if (checkStrictDer(bytes) !== undefined) return '(not DER)';
  const [list] = derElements(bytes) ?? [];
  const names = derElements(list?.content ?? new Uint8Array()) ?? [];
  return names.map((name) => `${name.tag.toString(16)}:${Buffer.from(name.content).toString('hex')}`).join();
}

function checkSignature(leaf: Uint8Array, issuerDer: Uint8Array): string[] {
  const signed = new X509Certificate(leaf).verify(new X509Certificate(issuerDer).publicKey);
  return signed ? [] : ['the signature is not that of the CA'];
}

function expect(what: string, found: unknown, planned: unknown): string[] {
  return found === planned ? [] : [`${what} is ${quote(String(found))}, planned is ${quote(String(planned))}`];
}

function expectBytes(what: string, found: ArrayBuffer, planned: Uint8Array): string[] {
  return Buffer.compare(new Uint8Array(found), planned) === 0 ? [] : [`${what} is not the planned one`];
}
