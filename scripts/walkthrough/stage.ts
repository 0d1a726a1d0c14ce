/** The stage of the demo: servers, rights, Vault policies, and the service with no more rights than it has in a cluster. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ISSUER, PkiEngine } from '../servers/pki-engine.ts';
import type { Servers } from '../servers/servers.ts';
import { type Service, startService } from '../servers/service.ts';
import { accountKubeconfig, applyManifests } from '../servers/service-account.ts';
import type { Supervisor } from '../servers/supervisor.ts';

const run = promisify(execFile);
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

const CA_PATH = 'kubernetes/ca';
const PKI_MOUNT = 'pki';
const HOUR_MS = 3_600_000;

/** What the service signs with. */
export const SIGNERS = ['vault-kv', 'vault-pki'] as const;
export type SignerName = (typeof SIGNERS)[number];
/** The kubelet renews at 70 to 90 % of the 8 minutes that this makes (5 of them lie before the issue). */
export const CLIENT_LIFETIME = '3m';

export interface Stage {
  readonly servers: Servers;
  readonly service: Service;
  /** Where the CA key is that the service signs with, for people, and the calls to Vault that show it. */
  readonly signsWith: { readonly text: string; readonly operation: 'kv-read' | 'pki-sign' };
  /** kubectl as the admin. */
  kubectl(...args: string[]): Promise<string>;
  /** Environment of an admin for `bootstrap-token`. */
  readonly adminEnv: Readonly<Record<string, string>>;
  /** Credential files of a machine that may read the path of this node and nothing else. */
  machineCredential(node: string): Promise<{ roleIdFile: string; secretIdFile: string }>;
}

/** Sets everything up on running servers. */
export async function setStage(
  servers: Servers,
  supervisor: Supervisor,
  addressRange: string,
  signer: SignerName,
): Promise<Stage> {
  const { controlPlane, openBao } = servers;
  const dir = supervisor.folder('demo');
  const kubectl = async (...args: string[]): Promise<string> =>
    (await run(servers.kubectl, ['--kubeconfig', controlPlane.adminKubeconfig, ...args])).stdout;

  await applyManifests(kubectl);
  const pair = { cert: readFileSync(controlPlane.caFile, 'utf8'), key: readFileSync(controlPlane.caKeyFile, 'utf8') };
  if (signer === 'vault-kv') {
    await openBao.root('POST', `secret/data/${CA_PATH}`, { data: pair });
  } else {
    const engine = new PkiEngine(openBao, PKI_MOUNT, HOUR_MS);
    await engine.setUp(pair.cert + pair.key);
    engine.close();
  }
  await openBao.root('POST', 'sys/auth/approle', { type: 'approle' });
  const mounts = (await openBao.root('GET', 'sys/auth')) as { data: Record<string, { accessor: string }> };
  const policy = async (name: string, ...files: string[]): Promise<void> => {
    const text = files.map((file) => readFileSync(join(ROOT, 'manifests', 'vault', file), 'utf8')).join('\n');
    const accessor = mounts.data['approle/']?.accessor ?? '';
    await openBao.root('POST', `sys/policies/acl/${name}`, { policy: text.replaceAll('APPROLE_ACCESSOR', accessor) });
  };
  await policy('kubelet-bootstrap', 'service.hcl', ...(signer === 'vault-pki' ? ['service-pki.hcl'] : []));
  await policy('bootstrap-token-admin', 'admin.hcl');
  await policy('kubelet-bootstrap-node', 'node.hcl');

  const credential = async (role: string, settings: object): Promise<{ roleIdFile: string; secretIdFile: string }> => {
    await openBao.root('POST', `auth/approle/role/${role}`, settings);
    await openBao.root('POST', `auth/approle/role/${role}/role-id`, { role_id: role });
    const made = (await openBao.root('POST', `auth/approle/role/${role}/secret-id`, {})) as {
      data: { secret_id: string };
    };
    const files = { roleIdFile: join(dir, `${role}.role-id`), secretIdFile: join(dir, `${role}.secret-id`) };
    writeFileSync(files.roleIdFile, role, { mode: 0o600 });
    writeFileSync(files.secretIdFile, made.data.secret_id, { mode: 0o600 });
    return files;
  };
  const login = await credential('kubelet-bootstrap', { token_policies: 'kubelet-bootstrap', token_ttl: '1h' });
  const adminToken = (await openBao.root('POST', 'auth/token/create', {
    policies: ['bootstrap-token-admin'],
    ttl: '1h',
  })) as { auth: { client_token: string } };

  const service = await startService(supervisor, {
    name: 'kubelet-bootstrap',
    kubeconfig: await accountKubeconfig(controlPlane, kubectl, 'service-account'),
    config: {
      cluster: { server: controlPlane.server, caFile: controlPlane.caFile },
      vault: { address: openBao.address, caFile: openBao.caFile, auth: { method: 'approle', ...login } },
      serving: { addressRanges: [addressRange] },
      signer: {
        ca: signer === 'vault-kv' ? { vaultPath: CA_PATH } : { pki: { mount: PKI_MOUNT, issuer: ISSUER } },
        lifetime: { client: CLIENT_LIFETIME, serving: '1h' },
      },
      pools: { workers: { nodeNames: 'pool-worker-[0-9]+' } },
    },
  });
  return {
    servers,
    service,
    signsWith:
      signer === 'vault-kv'
        ? { operation: 'kv-read', text: `the CA key that the service read from Vault (secret/${CA_PATH})` }
        : { operation: 'pki-sign', text: `the CA key in Vault's PKI engine (${PKI_MOUNT}/issuer/${ISSUER})` },
    kubectl,
    adminEnv: {
      KUBELET_BOOTSTRAP_CONFIG: service.configFile,
      KUBECONFIG: controlPlane.adminKubeconfig,
      VAULT_TOKEN: adminToken.auth.client_token,
    },
    machineCredential: (node) =>
      credential(node, {
        token_policies: 'kubelet-bootstrap-node',
        token_no_default_policy: true,
        token_type: 'batch',
        token_ttl: '5m',
        secret_id_ttl: '1h',
      }),
  };
}
