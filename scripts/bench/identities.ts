/** As whom the load of the bench speaks: tokens, and nodes with certificates of their own. */
import { createPrivateKey, sign } from 'node:crypto';
import { Agent, request } from 'undici';
import { readPair } from '../../src/local-ca/pair.ts';
import { formatPem } from '../../src/pki/pem.ts';
import { testKey } from '../../test/support/csr-builder.ts';
import { CSRS } from '../../test/support/crowd.ts';

/** Where the cluster is, and its CA: nodes that were there before the bench have certificates of it. */
export interface Cluster {
  readonly server: string;
  readonly ca: { readonly certificate: string; readonly key: string };
}

/** Creates CSRs as one identity. */
export interface Identity {
  create(csr: object): Promise<void>;
  close(): Promise<void>;
}

const CONNECTIONS = 32;

/** Every bearer token over the same connections. */
export function tokenIdentities(cluster: Cluster): (token: string) => Identity {
  const agent = new Agent({ allowH2: false, connections: CONNECTIONS, connect: { ca: cluster.ca.certificate } });
  return (token) => ({
    create: (csr) => create(cluster.server, agent, { authorization: `Bearer ${token}` }, csr),
    close: () => Promise.resolve(),
  });
}

/** The node that has this certificate for the key that every CSR of the load is made with. */
export function nodeIdentity({ server, ca }: Cluster, certificatePem: string): Identity {
  const key = testKey('P-256').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const agent = new Agent({
    allowH2: false,
    connections: 4,
    connect: { ca: ca.certificate, cert: certificatePem, key },
  });
  return { create: (csr) => create(server, agent, {}, csr), close: () => agent.destroy() };
}

async function create(
  server: string,
  dispatcher: Agent,
  headers: Readonly<Record<string, string>>,
  csr: object,
): Promise<void> {
  const answer = await request(server + CSRS, {
    method: 'POST',
    dispatcher,
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(csr),
  });
  const text = await answer.body.text();
  if (answer.statusCode !== 201) throw new Error(`POST ${CSRS}: ${answer.statusCode} ${text}`);
}

/** Makes client certificates of nodes that were there before, as their CA would have. */
export function certifier(ca: Cluster['ca']): (nodeName: string, issuedAt?: number) => string {
  const { builder } = readPair({ certPem: ca.certificate, keyPem: ca.key }, Date.now());
  const caKey = createPrivateKey(ca.key);
  const publicKeyDer = testKey('P-256').publicKey.export({ type: 'spki', format: 'der' });
  let serial = 0;
  return (nodeName, issuedAt = Date.now()) => {
    serial += 1;
    const from = Math.floor(issuedAt / 1_000) * 1_000;
    const plan = {
      nodeName,
      usage: 'client',
      publicKeyDer,
      keyEncipherment: false,
      dnsNames: [],
      ipAddresses: [],
      notBefore: from - 300_000,
      notAfter: from + 86_400_000,
    } as const;
    const tbs = builder.toBeSigned(plan, Uint8Array.of(1, serial >> 16, (serial >> 8) & 255, serial & 255));
    return formatPem('CERTIFICATE', builder.certificate(tbs, sign('sha256', tbs, caKey)));
  };
}
