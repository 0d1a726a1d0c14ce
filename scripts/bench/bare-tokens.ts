/**
 * The ceilings of `bench:tokens`: a Secret and an entry in Vault for each node, with or without the metadata by which
 * Vault ends the entry, and nothing else: no look at what stands there, no mark of an unfinished publication.
 */
import { readFileSync } from 'node:fs';
import PQueue from 'p-queue';
import { drawToken, formatToken } from '../../src/tokens/bootstrap-token.ts';
import { secretOfToken, TOKEN_SECRET_TYPE } from '../../src/tokens/token-secret.ts';
import { HttpsClient } from '../servers/https-client.ts';
import { readKubeconfig } from '../servers/kubeconfig.ts';

/** What the process is told, in the file that its argument names. */
export interface BareTokens {
  readonly kubeconfig: string;
  readonly vault: { readonly server: string; readonly ca: string; readonly token: string; readonly prefix: string };
  readonly nodes: readonly string[];
  readonly atOnce: number;
  readonly withMetadata: boolean;
}

const SECRETS = '/api/v1/namespaces/kube-system/secrets';
const settings = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as BareTokens;
const { server, ca, token: vaultToken, prefix } = settings.vault;
const cluster = new HttpsClient(readKubeconfig(settings.kubeconfig));
const vault = new HttpsClient({ server, ca, headers: { 'x-vault-token': vaultToken } });
const gate = new PQueue({ concurrency: settings.atOnce });
await gate.addAll(settings.nodes.map((node) => () => issue(node)));
await Promise.all([cluster.close(), vault.close()]);

async function issue(node: string): Promise<void> {
  const token = drawToken((count) => crypto.getRandomValues(new Uint8Array(count)));
  const now = Date.now();
  const { name, labels, annotations, data } = secretOfToken({
    token,
    binding: { kind: 'node', node },
    expiresAt: now + 3_600_000,
    issuedAt: now,
    publishingUntil: now,
    vaultPath: `nodes/${node}`,
    description: undefined,
  });
  const metadata = { name, labels, annotations };
  await cluster.must('POST', SECRETS, { type: TOKEN_SECRET_TYPE, metadata, stringData: data });
  const path = `${prefix}/nodes/${node}`;
  if (settings.withMetadata) {
    const custom = { 'token-id': token.id, 'token-version': '1', 'expires-at': data['expiration'] };
    const body = { max_versions: 1, delete_version_after: '3600s', custom_metadata: custom };
    await vault.must('POST', `/v1/secret/metadata/${path}`, body);
  }
  const entry = {
    token: formatToken(token),
    expires_at: data['expiration'],
    server: 'https://api:6443',
    ca_certificate: ca,
  };
  await vault.must('POST', `/v1/secret/data/${path}`, { options: { cas: 0 }, data: entry });
}
