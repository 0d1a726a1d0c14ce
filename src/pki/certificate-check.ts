import { type KeyObject, verify, X509Certificate } from 'node:crypto';
import { messageOf } from '../errors.ts';
import { type AuthorityFields, readAuthorityCertificate } from './authority-certificate.ts';
import { type CertificateExtension, type CertificateFields, readCertificate } from './certificate-fields.ts';
import type { CertificatePlan } from './certificate-plan.ts';
import { hex } from './der-reader.ts';
import { OID } from './oids.ts';
import { readPemBlocks } from './pem.ts';
import { listed, quote } from './quote.ts';
import { checkStrictDer, derElements } from './strict-der.ts';

/** Holds a certificate against its plan; answers every difference, none for "as planned". Never throws. */
export type CertificateCheck = (pem: string, plan: CertificatePlan) => string[];

/** How far the certificates of a backend may be from their plan. */
export interface Latitude {
  /** Dotted identifiers of extensions that it may add, not critical. */
  readonly extras: readonly string[];
  /**
   * For a backend that goes by its own clock, in ms: notBefore is that far from the planned one at most, notAfter that
   * much earlier at most, and never later.
   */
  readonly timesMs: number;
}

/** Of a backend that is told every byte. */
export const EXACT: Latitude = { extras: [], timesMs: 0 };

/** The CA's certificate, read once for all that it signs. */
interface ReadAuthority extends AuthorityFields {
  readonly key: KeyObject;
  readonly intermediates: readonly Uint8Array[];
}

/**
 * Makes the check of certificates of one CA. Each is parsed afresh, by another path than it was made (DESIGN D5): key,
 * subject, names, usages, validity, issuer, signature, and nothing else in it.
 *
 * What is checked is what a signer answered: the leaf, then at most the CA's chain. `authorityPem` is the CA's
 * certificate and, after it, its chain.
 */
export function certificateCheck(authorityPem: string, latitude: Latitude = EXACT): CertificateCheck {
  const authority = attempt('the certificate of the CA', () => readAuthority(authorityPem));
  return (pem, plan) => {
    const found = attempt('the certificate', () => differences(pem, plan, authority, latitude));
    return typeof found === 'string' ? [found] : found;
  };
}

/** `certificateCheck` for one certificate. */
export function checkAgainstPlan(
  pem: string,
  plan: CertificatePlan,
  authorityPem: string,
  latitude: Latitude = EXACT,
): string[] {
  return certificateCheck(authorityPem, latitude)(pem, plan);
}

/** What `read` answers, or why it could not. */
function attempt<T>(what: string, read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    return `${what} cannot be read: ${messageOf(error)}`;
  }
}

function readAuthority(pem: string): ReadAuthority | string {
  const blocks = readPemBlocks(pem, 'CERTIFICATE');
  const [issuerDer, ...rest] = 'problem' in blocks ? [] : blocks.ders;
  if (issuerDer === undefined) return 'the certificate of the CA is not plain PEM';
  const fields = readAuthorityCertificate(issuerDer);
  if (fields === undefined) return 'the certificate of the CA is not an X.509 v3 certificate';
  const isIntermediate = (der: Uint8Array): boolean => {
    const certificate = new X509Certificate(der);
    return !certificate.checkIssued(certificate);
  };
  return {
    ...fields,
    key: new X509Certificate(issuerDer).publicKey,
    intermediates: [issuerDer, ...rest].filter(isIntermediate),
  };
}

function differences(
  pem: string,
  plan: CertificatePlan,
  authority: ReadAuthority | string,
  latitude: Latitude,
): string[] {
  const blocks = readPemBlocks(pem, 'CERTIFICATE');
  if ('problem' in blocks) return [`the certificate is not plain PEM: ${blocks.problem}`];
  const [leaf, ...following] = blocks.ders;
  if (leaf === undefined) return ['there is no certificate'];
  if (typeof authority === 'string') return [authority];
  const fields = readCertificate(leaf);
  if ('problem' in fields) return [`the certificate is not the DER of one: ${fields.problem}`];
  return [
    ...checkChain(following, authority.intermediates),
    ...checkFrame(fields),
    ...checkSubject(fields, plan),
    ...expectBytes('public key', fields.publicKey, plan.publicKeyDer),
    ...checkValidity(fields, plan, latitude.timesMs),
    ...checkExtensions(fields.extensions, expectedExtensions(plan, authority), latitude.extras),
    ...expectBytes('issuer', fields.issuer, authority.subjectDer),
    ...checkSignature(fields, authority.key),
  ];
}

function checkChain(following: readonly Uint8Array[], intermediates: readonly Uint8Array[]): string[] {
  const fits = following.every((der, index) => {
    const expected = intermediates[index];
    return expected !== undefined && Buffer.compare(der, expected) === 0;
  });
  return fits ? [] : [`the ${following.length} certificate(s) after the leaf are not the chain of the CA`];
}

function checkFrame({
  version,
  serial,
  algorithms: [inside, outside],
  hasUniqueIdentifier,
}: CertificateFields): string[] {
  const positive = (serial[0] ?? 0x80) < 0x80 && serial.some((octet) => octet !== 0);
  return [
    ...expect('version', version, 3),
    ...(positive && serial.length <= 20 ? [] : [`the serial number is ${hex(serial)}`]),
    ...(Buffer.compare(inside, outside) === 0 ? [] : ['the two signature algorithms differ']),
    ...(hasUniqueIdentifier ? ['there is a unique identifier'] : []),
  ];
}

function checkSubject({ subject }: CertificateFields, plan: CertificatePlan): string[] {
  const planned = [[[OID.organization, 'system:nodes']], [[OID.commonName, `system:node:${plan.nodeName}`]]];
  return expect('subject', JSON.stringify(subject), JSON.stringify(planned));
}

function checkValidity({ notBefore, notAfter }: CertificateFields, plan: CertificatePlan, withinMs: number): string[] {
  const time = (name: 'notBefore' | 'notAfter', found: number, latestMs: number): string[] =>
    found >= plan[name] - withinMs && found <= plan[name] + latestMs
      ? []
      : expect(name, new Date(found).toISOString(), new Date(plan[name]).toISOString());
  return [...time('notBefore', notBefore, withinMs), ...time('notAfter', notAfter, 0)];
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
  extensions: readonly CertificateExtension[],
  expected: ReadonlyMap<string, Expected>,
  allowedExtras: readonly string[],
): string[] {
  const found: string[] = [];
  const seen = new Set<string>();
  for (const extension of extensions) {
    const { id } = extension;
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

function valueOf({ id, value }: CertificateExtension): string {
  if (id !== OID.subjectAltName) return hex(value);
  if (checkStrictDer(value) !== undefined) return '(not DER)';
  const [list] = derElements(value) ?? [];
  const names = derElements(list?.content ?? new Uint8Array()) ?? [];
  return names.map((name) => `${name.tag.toString(16)}:${hex(name.content)}`).join();
}

/** Hash and kind of key of the signature algorithms that are known; Ed25519 has no hash to choose. */
const ALGORITHMS: Readonly<Record<string, readonly [hash: string | undefined, key: 'rsa' | 'ec' | 'ed25519']>> = {
  [OID.sha256WithRsa]: ['sha256', 'rsa'],
  [OID.sha384WithRsa]: ['sha384', 'rsa'],
  [OID.sha512WithRsa]: ['sha512', 'rsa'],
  [OID.ecdsaWithSha256]: ['sha256', 'ec'],
  [OID.ecdsaWithSha384]: ['sha384', 'ec'],
  [OID.ecdsaWithSha512]: ['sha512', 'ec'],
  [OID.ed25519]: [undefined, 'ed25519'],
};
const NULL = '0500';

function checkSignature({ algorithm, toBeSigned, signature }: CertificateFields, key: KeyObject): string[] {
  const [hash, kind] = Object.hasOwn(ALGORITHMS, algorithm.id) ? (ALGORITHMS[algorithm.id] ?? []) : [];
  // RFC 4055 §5: NULL for RSA; RFC 5758 §3.2 and RFC 8410 §3: nothing for the others.
  if (kind !== key.asymmetricKeyType || algorithm.parameters !== (kind === 'rsa' ? NULL : '')) {
    return [`the signature algorithm ${quote(algorithm.id)} is not one of the CA's key`];
  }
  return verify(hash, toBeSigned, key, signature) ? [] : ['the signature is not that of the CA'];
}

function expect(what: string, found: unknown, planned: unknown): string[] {
  return found === planned ? [] : [`${what} is ${quote(String(found))}, planned is ${quote(String(planned))}`];
}

function expectBytes(what: string, found: Uint8Array, planned: Uint8Array): string[] {
  return Buffer.compare(found, planned) === 0 ? [] : [`${what} is not the planned one`];
}
