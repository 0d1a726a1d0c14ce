/** Attackers and honest nodes on the real API server, each as the identity that it has. */
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { readKubeconfig } from '../../scripts/servers/kubeconfig.ts';
import { buildCsrPem, type CsrParts } from '../support/csr-builder.ts';
import { csrBody, CSRS, type SeenCsr, seenCsrs, tokenClient, until } from '../support/crowd.ts';
import { nodesAreKnown, type Running } from '../support/running-service.ts';
import type { Binding } from '../../src/tokens/binding.ts';

const NODES = '/api/v1/nodes';
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
export const SERVING = { signerName: 'kubernetes.io/kubelet-serving', usages: ['digital signature', 'server auth'] };

type Asked = Parameters<typeof csrBody>[2] & { readonly parts?: CsrParts; readonly pem?: string };

export class Scene {
  readonly #running: () => Running;
  #count = 0;
  readonly tokens: string[] = [];

  constructor(running: () => Running) {
    this.#running = running;
  }

  get admin(): HttpsClient {
    return this.#running().controlPlane.admin;
  }

  /** A client with a bootstrap token. */
  async holder(binding: Binding | undefined): Promise<HttpsClient> {
    const { client, id } = await tokenClient(this.#running().controlPlane, binding);
    this.tokens.push(id);
    return client;
  }

  /** A client with a node's certificate, as the cluster's CA made it. */
  async node(name: string): Promise<HttpsClient> {
    return new HttpsClient(readKubeconfig(await this.#running().controlPlane.nodeKubeconfig(name)));
  }

  async register(name: string): Promise<void> {
    await this.admin.must('POST', NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name } });
    await nodesAreKnown(this.#running());
  }

  /** The node's Lease, renewed so long ago. */
  async beat(name: string, agoMs: number): Promise<void> {
    const renewTime = new Date(Date.now() - agoMs).toISOString().replace('Z', '000Z');
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name } };
    await this.admin.send('DELETE', `${LEASES}/${name}`);
    await this.admin.must('POST', LEASES, { ...lease, spec: { holderIdentity: name, renewTime } });
  }

  /** Asks for a certificate of that node; answers the name of the CSR. */
  async ask(client: HttpsClient, node: string, asked: Asked = {}): Promise<string> {
    this.#count += 1;
    const name = `attack-${this.#count}`;
    await this.askAs(name, client, node, asked);
    return name;
  }

  async askAs(name: string, client: HttpsClient, node: string, { parts, pem, ...options }: Asked = {}): Promise<void> {
    const request = pem ?? buildCsrPem({ commonName: `system:node:${node}`, ...parts });
    await client.must('POST', CSRS, csrBody(name, request, options));
  }

  /** The reason that the service gave first. */
  reasonOf(name: string): Promise<string> {
    const line = (): string | undefined =>
      this.#running()
        .service()
        .lines()
        .find(({ csr, verdict }) => csr === name && verdict !== undefined)?.reason;
    return until(`${name} is decided on`, () => Promise.resolve(line()));
  }

  async one(name: string): Promise<SeenCsr> {
    const csr = (await seenCsrs(this.#running().controlPlane, name)).find(({ metadata }) => metadata.name === name);
    if (csr === undefined) throw new Error(`${name} is gone`);
    return csr;
  }

  /** PEM of its certificate, when there is one. */
  issued(name: string): Promise<string> {
    return until(`${name} is issued`, async () => {
      const { certificate = '' } = (await this.one(name)).status;
      return certificate === '' ? undefined : Buffer.from(certificate, 'base64').toString();
    });
  }

  /** What the service has of this CSR: an unsigned one with no condition of ours. */
  async isUntouched(name: string): Promise<boolean> {
    const { status } = await this.one(name);
    return (status.certificate ?? '') === '' && (status.conditions ?? []).length === 0;
  }
}
