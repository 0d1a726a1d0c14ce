import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as x509 from '@peculiar/x509';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import type { HttpsAccess } from '../../scripts/servers/https-client.ts';
import { readKubeconfig } from '../../scripts/servers/kubeconfig.ts';
import type { KeyPair } from '../../scripts/servers/pki.ts';
import { CLIENT_SIGNER, SERVING_SIGNER } from '../../src/ports.ts';

export interface StandInOptions {
  /** Node name. */
  readonly name: string;
  /** Addresses for its Node object and its serving certificate. */
  readonly ips: readonly string[];
  /** For its serving certificate; the node name when absent. */
  readonly dnsNames?: readonly string[];
  readonly bootstrapKubeconfig: string;
  /** Takes its pairs, as `kubelet-client-current.pem` and `kubelet-server-current.pem`. */
  readonly dir: string;
  /** How long to wait for one certificate, ms; 60 s when absent. */
  readonly timeoutMs?: number;
}

/** A CSR that ended without a certificate. */
export class CsrRefusedError extends Error {
  readonly code: 'Denied' | 'Failed' | 'TimedOut' | 'Gone';
  readonly csr: string;

  constructor(code: CsrRefusedError['code'], csr: string, message: string) {
    super(`${csr}: ${code}: ${message}`);
    this.code = code;
    this.csr = csr;
  }
}

interface CsrObject {
  readonly metadata: { readonly name: string };
  readonly status?: {
    readonly certificate?: string;
    readonly conditions?: readonly { readonly type: string; readonly reason?: string; readonly message?: string }[];
  };
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const CSRS = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

/**
 * Speaks the TLS bootstrap protocol as a kubelet does, for hosts where no real one can run: same subject, usages, names
 * and steps (upstream `pkg/kubelet/certificate`), a fresh P-256 key for each request. It runs no containers.
 */
export class KubeletStandIn {
  readonly name: string;
  /** Names of the CSRs that it made, in order. */
  readonly csrs: string[] = [];
  readonly #options: StandInOptions;
  readonly #cluster: HttpsAccess;
  #client: HttpsClient;
  #clientPair: KeyPair | undefined;

  constructor(options: StandInOptions) {
    this.name = options.name;
    this.#options = options;
    this.#cluster = readKubeconfig(options.bootstrapKubeconfig);
    this.#client = new HttpsClient(this.#cluster);
    mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  }

  /** The client certificate in use. */
  get clientPair(): KeyPair | undefined {
    return this.#clientPair;
  }

  /** Asks for a client certificate with the bootstrap token, writes the pair and goes on with it. */
  async bootstrap(): Promise<KeyPair> {
    return this.#takeClientPair(await this.#request(CLIENT_SIGNER, 'client auth'));
  }

  /** Asks for the next client certificate with the current one; call after `bootstrap`. */
  async renew(): Promise<KeyPair> {
    return this.bootstrap();
  }

  /** Asks for a serving certificate for its DNS names and addresses; call after `bootstrap`. */
  async requestServing(): Promise<KeyPair> {
    const { ips, dnsNames = [this.name] } = this.#options;
    const san = new x509.SubjectAlternativeNameExtension([
      ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
      ...ips.map((value) => ({ type: 'ip' as const, value })),
    ]);
    const pair = await this.#request(SERVING_SIGNER, 'server auth', san);
    this.#write('kubelet-server-current.pem', pair);
    return pair;
  }

  /** Creates its Node object and its Lease; those that are there stay. */
  async register(): Promise<void> {
    const node = {
      metadata: { name: this.name, labels: { 'kubernetes.io/hostname': this.name } },
      status: {
        addresses: [
          ...this.#options.ips.map((address) => ({ type: 'InternalIP', address })),
          { type: 'Hostname', address: this.name },
        ],
        nodeInfo: { kubeletVersion: 'stand-in', machineID: hostname() },
      },
    };
    await this.#client.must('POST', '/api/v1/nodes', node, [409]);
    await this.renewLease();
  }

  /** Says that the node is alive, as a kubelet does every 10 s. */
  async renewLease(): Promise<void> {
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
    const now = new Date().toISOString().replace('Z', '000Z');
    const lease = {
      metadata: { name: this.name },
      spec: { holderIdentity: this.name, leaseDurationSeconds: 40, renewTime: now },
    };
    const created = await this.#client.send('POST', leases, lease);
    if (created.status === 201) return;
    const patch = { spec: { renewTime: now } };
    const patched = await this.#client.send('PATCH', `${leases}/${this.name}`, patch, 'application/merge-patch+json');
    if (patched.status !== 200) throw new Error(`renewing the Lease of ${this.name}: ${JSON.stringify(patched.body)}`);
  }

  /** Creates a CSR of any subject with the current credential and answers its name, without waiting: for impostors. */
  async submit(commonName: string): Promise<string> {
    return (await this.#create(CLIENT_SIGNER, 'client auth', commonName)).csr;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async #request(signerName: string, usage: string, san?: x509.Extension): Promise<KeyPair> {
    const { csr, key } = await this.#create(signerName, usage, `system:node:${this.name}`, san);
    return { certificate: await this.#waitFor(csr), key };
  }

  async #create(
    signerName: string,
    usage: string,
    commonName: string,
    san?: x509.Extension,
  ): Promise<{ csr: string; key: string }> {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const request = await x509.Pkcs10CertificateRequestGenerator.create({
      name: new x509.Name([{ O: ['system:nodes'] }, { CN: [commonName] }]),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: san === undefined ? [] : [san],
    });
    const created = (await this.#client.must('POST', CSRS, {
      metadata: { generateName: 'csr-' },
      spec: {
        request: Buffer.from(`${request.toString('pem')}\n`).toString('base64'),
        signerName,
        usages: ['digital signature', usage],
      },
    })) as CsrObject;
    this.csrs.push(created.metadata.name);
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
    return { csr: created.metadata.name, key: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n` };
  }

  async #waitFor(name: string): Promise<string> {
    const giveUpAt = performance.now() + (this.#options.timeoutMs ?? 60_000);
    while (performance.now() < giveUpAt) {
      const answer = await this.#client.send('GET', `${CSRS}/${name}`);
      if (answer.status === 404) throw new CsrRefusedError('Gone', name, 'deleted while it was waited for');
      const { certificate, conditions = [] } = (answer.body as CsrObject).status ?? {};
      if (certificate !== undefined) return Buffer.from(certificate, 'base64').toString();
      const refusal = conditions.find(({ type }) => type === 'Denied' || type === 'Failed');
      if (refusal !== undefined) {
        throw new CsrRefusedError(refusal.type === 'Denied' ? 'Denied' : 'Failed', name, refusal.message ?? '');
      }
      await sleep(50);
    }
    throw new CsrRefusedError('TimedOut', name, 'neither approved nor refused in time');
  }

  async #takeClientPair(pair: KeyPair): Promise<KeyPair> {
    this.#write('kubelet-client-current.pem', pair);
    const before = this.#client;
    this.#client = new HttpsClient({ server: this.#cluster.server, ca: this.#cluster.ca, ...pair });
    this.#clientPair = pair;
    await before.close();
    return pair;
  }

  #write(file: string, pair: KeyPair): void {
    const path = join(this.#options.dir, file);
    writeFileSync(`${path}.tmp`, pair.certificate + pair.key, { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  }
}
