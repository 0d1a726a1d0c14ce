/** Many CSRs at once on the real API server, made as the real identities. */
import PQueue from 'p-queue';
import type { ControlPlane } from '../../scripts/servers/control-plane.ts';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { readKubeconfig } from '../../scripts/servers/kubeconfig.ts';
import { SERVING_SIGNER } from '../../src/ports.ts';
import { drawToken } from '../../src/tokens/bootstrap-token.ts';
import { type Binding, groupOfBinding } from '../../src/tokens/binding.ts';
import { buildCsrPem } from './csr-builder.ts';

export const CSRS = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
export const CLIENT_USAGES = ['digital signature', 'client auth'] as const;

/** What `csrBody` needs for a serving certificate. */
export const SERVING = { signerName: SERVING_SIGNER, usages: ['digital signature', 'server auth'] } as const;

/** What is read of a CSR. */
export interface SeenCsr {
  readonly metadata: { readonly name: string; readonly uid: string; readonly creationTimestamp: string };
  readonly spec: { readonly username: string; readonly signerName: string };
  readonly status: {
    readonly certificate?: string;
    readonly conditions?: readonly { readonly type: string; readonly reason?: string; readonly message?: string }[];
  };
}

/** Creates a bootstrap token's Secret as an admin would by hand, and answers a client that is logged in with it. */
export async function tokenClient(
  plane: ControlPlane,
  binding: Binding | undefined,
  expiresInMs = 3_600_000,
  annotations: Readonly<Record<string, string>> = {},
): Promise<{ client: HttpsClient; id: string; kubeconfig: string }> {
  const token = drawToken((count) => crypto.getRandomValues(new Uint8Array(count)));
  await plane.admin.must('POST', '/api/v1/namespaces/kube-system/secrets', {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'bootstrap.kubernetes.io/token',
    metadata: { name: `bootstrap-token-${token.id}`, annotations },
    stringData: {
      'token-id': token.id,
      'token-secret': token.secret,
      'usage-bootstrap-authentication': 'true',
      expiration: new Date(Date.now() + expiresInMs).toISOString().replace(/\.\d+Z/, 'Z'),
      ...(binding === undefined ? {} : { 'auth-extra-groups': groupOfBinding(binding) }),
    },
  });
  const kubeconfig = plane.tokenKubeconfig(`token-${token.id}`, `${token.id}.${token.secret}`);
  const client = new HttpsClient(readKubeconfig(kubeconfig));
  // The API server learns of it by a watch of its own. One that never logs in is for the caller to find out.
  const logsIn = async (): Promise<boolean> => (await client.send('GET', '/api')).status !== 401;
  if (expiresInMs > 0) await until('the token logs in', logsIn);
  return { client, id: token.id, kubeconfig };
}

/** The body of a CSR as a kubelet sends it. */
export function csrBody(
  name: string,
  request: string,
  options: { signerName?: string; usages?: readonly string[]; expirationSeconds?: number } = {},
): object {
  const {
    signerName = 'kubernetes.io/kube-apiserver-client-kubelet',
    usages = CLIENT_USAGES,
    expirationSeconds,
  } = options;
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name },
    spec: {
      request: Buffer.from(request).toString('base64'),
      signerName,
      usages,
      ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
    },
  };
}

/** Creates one first-certificate CSR for each node, 16 at a time. */
export async function createBootstrapCsrs(client: HttpsClient, nodes: readonly string[]): Promise<void> {
  const gate = new PQueue({ concurrency: 16 });
  await gate.addAll(
    nodes.map((node) => async () => {
      await client.must('POST', CSRS, csrBody(`csr-${node}`, buildCsrPem({ commonName: `system:node:${node}` })));
    }),
  );
}

/** `prefix-0`, `prefix-1`, ... */
export function nodeNames(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

/** Every CSR whose name begins with `prefix`. */
export async function seenCsrs(plane: ControlPlane, prefix = ''): Promise<SeenCsr[]> {
  const list = (await plane.admin.must('GET', CSRS)) as { items: SeenCsr[] };
  return list.items.filter(({ metadata }) => metadata.name.startsWith(prefix));
}

/** Deletes every CSR whose name begins with `prefix`: one that waits here may be right for the next service. */
export async function removeCsrs(plane: ControlPlane, prefix: string): Promise<void> {
  for (const { metadata } of await seenCsrs(plane, prefix))
    await plane.admin.send('DELETE', `${CSRS}/${metadata.name}`);
}

/** Polls until `probe` answers something, for two minutes at most unless told. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  everyMs = 50,
  mostMs = 120_000,
): Promise<T> {
  const giveUpAt = performance.now() + mostMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > giveUpAt) throw new Error(`gave up waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
