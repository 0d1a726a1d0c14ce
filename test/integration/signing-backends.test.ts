import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { pairFromFiles } from '../../src/local-ca/files.ts';
import { localSigner } from '../../src/local-ca/signer.ts';
import { certificateCheck } from '../../src/pki/certificate-check.ts';
import { readCertificate } from '../../src/pki/certificate-fields.ts';
import { planCertificate, planValidity } from '../../src/pki/certificate-plan.ts';
import { OID } from '../../src/pki/oids.ts';
import { readPemBlocks } from '../../src/pki/pem.ts';
import { readKubeletCsr } from '../../src/pki/pkcs10.ts';
import { derElements } from '../../src/pki/strict-der.ts';
import { type CertificateSigner, CLIENT_SIGNER, SERVING_SIGNER } from '../../src/ports.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { VaultCaPair } from '../../src/vault/ca-pair.ts';
import { KeyValue } from '../../src/vault/key-value.ts';
import { pkiSigner } from '../../src/vault/pki/signer.ts';
import { csrBody, CSRS, seenCsrs, until } from '../support/crowd.ts';
import { buildCsrPem, type CsrParts, type TestKeyName } from '../support/csr-builder.ts';
import { type ManagedCluster, requireManagedCluster } from '../support/managed-cluster.ts';
import { ISSUER, PkiEngine, ROLES } from '../../scripts/servers/pki-engine.ts';
import { requireOpenBao } from '../support/servers.ts';

const never = new AbortController().signal;
const YEAR = 31_536_000;
const MOUNT = 'backends-pki';
const CA_PATH = 'backends/ca';

interface Row {
  readonly title: string;
  readonly usage: 'client' | 'serving';
  readonly request: string;
  readonly usages: readonly string[];
  readonly seconds: number | undefined;
}

function row(usage: Row['usage'], key: TestKeyName, parts: CsrParts = {}, seconds?: number, enciphers = false): Row {
  const names = [
    ...(parts.commonName === undefined ? [] : ['long name']),
    ...(parts.dns ?? []),
    ...(parts.ips ?? []),
  ].join(' ');
  return {
    title: [usage, key, names, seconds === undefined ? '' : `${seconds} s`, enciphers ? 'key encipherment' : '']
      .filter((part) => part !== '')
      .join(', '),
    usage,
    request: buildCsrPem({ ...parts, key }),
    usages: [
      'digital signature',
      ...(enciphers ? ['key encipherment'] : []),
      usage === 'client' ? 'client auth' : 'server auth',
    ],
    seconds,
  };
}

const NAMES: CsrParts = { dns: ['worker-1'], ips: ['10.0.0.7'] };
const MANY: CsrParts = {
  dns: ['worker-1.example.internal', 'worker-1', 'a.worker-1.example.internal'],
  ips: ['fd00::7', '10.0.0.9', '10.0.0.7', '2001:db8::1'],
};
const ROWS: readonly Row[] = [
  ...(['P-256', 'P-384', 'P-521', 'Ed25519', 'RSA-2048'] as const).flatMap((key) => [
    row('client', key),
    row('client', key, {}, undefined, true),
    row('serving', key, NAMES),
    row('serving', key, NAMES, undefined, true),
  ]),
  row('serving', 'P-256', { dns: ['worker-1'] }),
  row('serving', 'P-256', { ips: ['10.0.0.7'] }),
  row('serving', 'P-256', { ips: ['fd00::7'] }),
  row('serving', 'P-256', MANY),
  row('client', 'P-256', { commonName: `system:node:${'w'.repeat(63)}.example.internal` }),
  ...[600, 3_600, 28_799, 28_800, 28_801, 86_400, YEAR].flatMap((seconds) => [
    row('client', 'P-256', {}, seconds),
    row('serving', 'P-256', NAMES, seconds),
  ]),
];

/** A certificate by fields, byte for byte, but for those that no two certificates share. */
interface Fields {
  readonly bytes: Readonly<Record<string, string>>;
  readonly extensions: readonly string[];
  readonly notBefore: number;
  readonly seconds: number;
}

function fieldsOf(pem: string, without: readonly string[]): Fields {
  const blocks = readPemBlocks(pem, 'CERTIFICATE');
  if ('problem' in blocks) throw new Error(blocks.problem);
  const [leaf = new Uint8Array()] = blocks.ders;
  const read = readCertificate(leaf);
  if ('problem' in read) throw new Error(read.problem);
  const [tbs] = derElements(derElements(leaf)?.[0]?.content ?? leaf) ?? [];
  const [version, , algorithm, issuer, , subject, publicKey] = derElements(tbs?.content ?? leaf) ?? [];
  const parts = { version, algorithm, issuer, subject, publicKey };
  const hex = (bytes: Uint8Array = new Uint8Array()): string => Buffer.from(bytes).toString('hex');
  return {
    bytes: Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, hex(part?.raw)])),
    extensions: read.extensions
      .filter(({ id }) => !without.includes(id))
      .map(({ id, critical, value }) => `${id} ${critical ? 'critical ' : ''}${hex(value)}`),
    notBefore: read.notBefore,
    seconds: (read.notAfter - read.notBefore) / 1000,
  };
}

describe("certificates of every backend, beside kube-controller-manager's own", function () {
  this.timeout(120_000);
  const cluster = requireManagedCluster();
  const openBao = requireOpenBao();
  let plane: ManagedCluster['plane'];
  let engine: PkiEngine;
  let backends: Readonly<Record<'files' | 'vault-kv' | 'vault-pki', CertificateSigner>>;
  let theirs = new Map<string, string>();

  before('have kube-controller-manager sign every request', async () => {
    ({ plane } = cluster());
    await cluster().runManager('*,-certificatesigningrequest-approving-controller', 'all');
    for (const [index, { usage, request, usages, seconds }] of ROWS.entries()) {
      const name = `backends-${index}`;
      const signerName = usage === 'client' ? CLIENT_SIGNER : SERVING_SIGNER;
      const more = seconds === undefined ? {} : { expirationSeconds: seconds };
      const csr = await plane.admin.must('POST', CSRS, csrBody(name, request, { signerName, usages, ...more }));
      const conditions = [{ type: 'Approved', status: 'True', reason: 'ByAnAdmin', message: '' }];
      await plane.admin.must('PUT', `${CSRS}/${name}/approval`, { ...(csr as object), status: { conditions } });
    }
    await until('it has signed them all', async () => {
      const seen = await seenCsrs(plane, 'backends-');
      theirs = new Map(seen.map(({ metadata, status }) => [metadata.name, status.certificate ?? '']));
      return theirs.size === ROWS.length && ![...theirs.values()].includes('');
    });
  });

  before('open every backend with the same CA', async () => {
    const pair = { cert: readFileSync(plane.caFile, 'utf8'), key: readFileSync(plane.caKeyFile, 'utf8') };
    engine = new PkiEngine(openBao(), MOUNT, YEAR * 1000);
    await engine.setUp(pair.cert + pair.key);
    await openBao().root('POST', `secret/data/${CA_PATH}`, { data: pair });
    const clock = systemClock;
    const onProblem = (message: string): void => expect.fail(message);
    const longestMs = { client: YEAR * 1000, serving: YEAR * 1000 };
    backends = {
      files: localSigner({ source: pairFromFiles(plane.caFile, plane.caKeyFile), clock, onProblem }),
      'vault-kv': localSigner({
        source: new VaultCaPair(new KeyValue(engine.session, 'secret'), CA_PATH),
        clock,
        onProblem,
      }),
      'vault-pki': pkiSigner({
        caller: engine.session,
        place: { mount: MOUNT, issuer: ISSUER, roles: ROLES },
        canary: () => ({ longestMs, dnsNames: ['canary'], ipAddresses: [] }),
        clock,
        refreshMs: 60_000,
        concurrency: 8,
        onProblem,
      }),
    };
  });
  after('remove the engine and the pair', async () => {
    await engine.remove();
    await openBao().root('DELETE', `secret/metadata/${CA_PATH}`);
  });

  for (const [index, { title, usage, request, usages, seconds }] of ROWS.entries()) {
    it(title, async () => {
      const reference = fieldsOf(Buffer.from(theirs.get(`backends-${index}`) ?? '', 'base64').toString(), []);
      const { csr } = readKubeletCsr(Buffer.from(request));
      if (csr === undefined) throw new Error('the request is none');
      for (const [name, backend] of Object.entries(backends)) {
        const authority = await backend.authority(never);
        const now = systemClock.now();
        const validity = planValidity({
          now,
          lifetimeMs: YEAR * 1000,
          requestedSeconds: seconds,
          authorityNotAfter: authority.notAfter,
        });
        const nodeName = csr.commonName.replace('system:node:', '');
        const plan = planCertificate({ csr, nodeName, usage, usages, validity });
        const pem = await backend.sign(plan, Buffer.from(request), never);
        const { extras, timesMs } = authority.latitude;
        expect(certificateCheck(authority.certificatePem, authority.latitude)(pem, plan), name).to.deep.equal([]);
        const ours = fieldsOf(pem, extras);
        expect(ours.bytes, name).to.deep.equal(reference.bytes);
        expect(ours.extensions, name).to.deep.equal(reference.extensions);
        expect(ours.notBefore, name).to.be.closeTo(now - 300_000, timesMs + 1_000);
        expect(reference.seconds - ours.seconds, name).to.be.within(0, timesMs / 1000);
      }
    });
  }

  it('the PKI engine adds the key identifier of the subject, and nothing else where the issuer has no URLs', async () => {
    const [first] = ROWS;
    if (first === undefined) return;
    const { csr } = readKubeletCsr(Buffer.from(first.request));
    if (csr === undefined) throw new Error('the request is none');
    const backend = backends['vault-pki'];
    const { notAfter: authorityNotAfter } = await backend.authority(never);
    const now = systemClock.now();
    const validity = planValidity({ now, lifetimeMs: 86_400_000, requestedSeconds: undefined, authorityNotAfter });
    const plan = planCertificate({ csr, nodeName: 'worker-1', usage: 'client', usages: first.usages, validity });
    const added = async (): Promise<string[]> => {
      const pem = await backend.sign(plan, Buffer.from(first.request), never);
      const ids = (of: Fields): string[] => of.extensions.map((each) => each.split(' ')[0] ?? '');
      const reference = ids(fieldsOf(Buffer.from(theirs.get('backends-0') ?? '', 'base64').toString(), []));
      return ids(fieldsOf(pem, [])).filter((id) => !reference.includes(id));
    };
    expect(await added()).to.deep.equal([OID.subjectKeyIdentifier]);
    await engine.root('POST', `issuer/${await engine.issuerId()}`, {
      issuer_name: ISSUER,
      usage: 'read-only,issuing-certificates',
      issuing_certificates: ['https://vault.example.internal/v1/pki/ca'],
      crl_distribution_points: ['https://vault.example.internal/v1/pki/crl'],
    });
    expect(await added()).to.have.members([
      OID.subjectKeyIdentifier,
      OID.authorityInformationAccess,
      OID.crlDistributionPoints,
    ]);
  });
});
