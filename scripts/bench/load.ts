/** The load of the bench: CSRs made as the real identities, and when each of them got its certificate. */
import { createPrivateKey, sign } from 'node:crypto';
import { Agent, request } from 'undici';
import PQueue from 'p-queue';
import { readPair } from '../../src/local-ca/pair.ts';
import { formatPem } from '../../src/pki/pem.ts';
import { CLIENT_SIGNER, SERVING_SIGNER } from '../../src/ports.ts';
import { buildCsrPem, testKey } from '../../test/support/csr-builder.ts';
import { CSRS, csrBody } from '../../test/support/crowd.ts';
import type { ControlPlane } from '../servers/control-plane.ts';
import { HttpsClient } from '../servers/https-client.ts';
import { readKubeconfig } from '../servers/kubeconfig.ts';

export type Kind = 'bootstrap' | 'renewal' | 'serving';

const AT_ONCE = 16;
const SERVING_USAGES = ['digital signature', 'server auth'];

/** Makes one CSR of this kind for each node, as the token or the node itself; renewals and serving need `addNodes`. */
export async function makeCsrs(
  plane: ControlPlane,
  kind: Kind,
  nodes: readonly string[],
  token: HttpsClient,
): Promise<void> {
  const gate = new PQueue({ concurrency: AT_ONCE });
  const clientOf = kind === 'bootstrap' ? undefined : nodeClients(plane);
  await gate.addAll(
    nodes.map((node, index) => async () => {
      const client = clientOf?.(node) ?? token;
      const commonName = `system:node:${node}`;
      const pem =
        kind === 'serving'
          ? buildCsrPem({ commonName, dns: [node], ips: [addressOf(index)] })
          : buildCsrPem({ commonName });
      const options =
        kind === 'serving' ? { signerName: SERVING_SIGNER, usages: SERVING_USAGES } : { signerName: CLIENT_SIGNER };
      await client.must('POST', CSRS, csrBody(`csr-${kind}-${node}`, pem, options));
      if (clientOf !== undefined) await client.close();
    }),
  );
}

const addressOf = (index: number): string => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;

/** Node objects: what renews or serves is there. */
export async function addNodes({ admin }: ControlPlane, nodes: readonly string[]): Promise<void> {
  const gate = new PQueue({ concurrency: AT_ONCE });
  await gate.addAll(nodes.map((name) => () => admin.must('POST', '/api/v1/nodes', { metadata: { name } }, [409])));
}

/** Clients that are logged in with a certificate of their node. */
function nodeClients(plane: ControlPlane): (node: string) => HttpsClient {
  const { certificate: certPem, key: keyPem } = plane.ca;
  const { builder } = readPair({ certPem, keyPem }, Date.now());
  const caKey = createPrivateKey(keyPem);
  const { publicKey, privateKey } = testKey('P-256');
  const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  let serial = 0;
  return (nodeName) => {
    serial += 1;
    const now = Math.floor(Date.now() / 1_000) * 1_000;
    const names = { dnsNames: [], ipAddresses: [] };
    const plan = {
      nodeName,
      usage: 'client',
      publicKeyDer,
      keyEncipherment: false,
      ...names,
      notBefore: now - 300_000,
      notAfter: now + 86_400_000,
    } as const;
    const tbs = builder.toBeSigned(plan, Uint8Array.of(1, serial >> 16, (serial >> 8) & 255, serial & 255));
    const certificate = formatPem('CERTIFICATE', builder.certificate(tbs, sign('sha256', tbs, caKey)));
    return new HttpsClient({ server: plane.server, ca: plane.ca.certificate, certificate, key });
  };
}

/** When each CSR got its certificate, as a watch shows it: name to ms since `performance.timeOrigin`. */
export interface Followed {
  readonly issuedAt: ReadonlyMap<string, number>;
  /** Resolves when this many of those that `counts` names have one, or after `mostMs`; true for the former. */
  until(count: number, mostMs: number): Promise<boolean>;
  close(): Promise<void>;
}

/** Watches from now on. */
export async function follow(plane: ControlPlane): Promise<Followed> {
  const access = readKubeconfig(plane.adminKubeconfig);
  const agent = new Agent({ connect: { ca: access.ca, cert: access.certificate, key: access.key }, bodyTimeout: 0 });
  const { metadata } = (await plane.admin.must('GET', `${CSRS}?limit=1`)) as { metadata: { resourceVersion: string } };
  const url = `${plane.server}${CSRS}?watch=true&resourceVersion=${metadata.resourceVersion}`;
  const { body } = await request(url, { dispatcher: agent });
  const issuedAt = new Map<string, number>();
  const wanted = new Set<() => void>();
  const read = async (): Promise<void> => {
    let rest = '';
    for await (const chunk of body.setEncoding('utf8')) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      const now = performance.now();
      for (const line of lines) {
        if (!line.includes('"certificate":"')) continue;
        const name = /"name":"([^"]+)"/.exec(line)?.[1] ?? '';
        if (!issuedAt.has(name)) issuedAt.set(name, now);
      }
      for (const look of wanted) look();
    }
  };
  const reading = read().catch(() => undefined);
  return {
    issuedAt,
    until: (count, mostMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => done(false), mostMs);
        const look = (): void => {
          if (issuedAt.size >= count) done(true);
        };
        const done = (all: boolean): void => {
          clearTimeout(timer);
          wanted.delete(look);
          resolve(all);
        };
        wanted.add(look);
        look();
      }),
    close: async () => {
      await agent.destroy();
      await reading;
    },
  };
}

/** Removes every CSR. */
export async function clear({ admin }: ControlPlane): Promise<void> {
  await admin.must('DELETE', CSRS);
}
