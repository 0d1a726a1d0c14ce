/** Approves every serving CSR that a watch shows, without a check: what kube-controller-manager leaves to others. */
import { readFileSync } from 'node:fs';
import PQueue from 'p-queue';
import { Agent, request } from 'undici';
import { SERVING_SIGNER } from '../../src/ports.ts';
import { HttpsClient } from '../servers/https-client.ts';
import { readKubeconfig } from '../servers/kubeconfig.ts';

const CSRS = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const AT_ONCE = 16;

interface Bare {
  readonly metadata: { readonly name: string };
  readonly status: { readonly conditions?: readonly object[] };
}

const { kubeconfig } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Record<string, string>;
const access = readKubeconfig(kubeconfig ?? '');
const client = new HttpsClient(access);
const gate = new PQueue({ concurrency: AT_ONCE });
const dispatcher = new Agent({
  connect: { ca: access.ca, cert: access.certificate, key: access.key },
  bodyTimeout: 0,
  allowH2: false,
});
const query = `watch=true&timeoutSeconds=7200&fieldSelector=spec.signerName%3D${SERVING_SIGNER}`;
const { body } = await request(`${access.server}${CSRS}?${query}`, { dispatcher });
let rest = '';
for await (const chunk of body.setEncoding('utf8')) {
  const lines = (rest + String(chunk)).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) {
    const { type, object } = JSON.parse(line) as { type: string; object: Bare };
    if (type === 'ADDED' && object.status.conditions === undefined) void gate.add(() => approve(object));
  }
}

async function approve(csr: Bare): Promise<void> {
  const conditions = [{ type: 'Approved', status: 'True', reason: 'Bench', message: '' }];
  await client.send('PUT', `${CSRS}/${csr.metadata.name}/approval`, { ...csr, status: { conditions } });
}
