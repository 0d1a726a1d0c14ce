/** The steps of the demo, each against the real servers; each throws StepError when it does not hold. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { buildCsrPem } from '../../test/support/csr-builder.ts';
import { csrBody, CSRS, type SeenCsr, seenCsrs } from '../../test/support/crowd.ts';
import { HttpsClient } from '../servers/https-client.ts';
import { readKubeconfig } from '../servers/kubeconfig.ts';
import { runProgram } from '../servers/service.ts';
import type { Supervisor } from '../servers/supervisor.ts';
import { must, type Narrator, waitFor } from './narrator.ts';
import type { DemoNode } from './node.ts';
import type { Stage } from './stage.ts';

const FETCH = join(
  dirname(fileURLToPath(import.meta.url)),
  '..',
  '..',
  'manifests',
  'cloud-init',
  'fetch-bootstrap-token',
);
export const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client-kubelet';
export const SERVING_SIGNER = 'kubernetes.io/kubelet-serving';

const OTHER_NODE = 'demo-worker-2';

/** An admin issues a token for one node. */
export async function issueToken(narrator: Narrator, stage: Stage, node: string): Promise<string> {
  narrator.step(`An admin runs: bootstrap-token issue --for-node ${node}`);
  const result = await runProgram('bootstrap-token', ['issue', '--for-node', node, '-o', 'json'], stage.adminEnv);
  narrator.quote(result.stdout + result.stderr);
  must(result.code === 0, `bootstrap-token ended with ${result.code}`);
  const { id } = JSON.parse(result.stdout) as { id: string };
  const secret = await stage.kubectl('-n', 'kube-system', 'get', 'secret', `bootstrap-token-${id}`, '--no-headers');
  narrator.tell(`Secret in kube-system: ${secret.trim().replaceAll(/\s+/g, ' ')}`);
  const path = `secret/metadata/kubelet-bootstrap/nodes/${node}`;
  const entry = (await stage.servers.openBao.root('GET', path)) as {
    data: { custom_metadata: Record<string, string> };
  };
  must(entry.data.custom_metadata['token-id'] === id, 'the entry in Vault is of another token');
  narrator.tell(`entry in Vault: ${path.replace('metadata/', '')}, token ID ${id}`);
  return id;
}

/** A machine with nothing but the cloud-init script and a credential for its own path fetches the token. */
export async function fetchToken(
  narrator: Narrator,
  stage: Stage,
  supervisor: Supervisor,
  node: string,
): Promise<string> {
  narrator.step('A new machine runs the cloud-init script with a Vault credential that can read only its own path');
  const dir = supervisor.folder(`machine-${node}`);
  const kubeconfig = join(dir, 'bootstrap-kubelet.conf');
  const { openBao } = stage.servers;
  const credential = await stage.machineCredential(node);
  const settings = {
    VAULT_ADDR: openBao.address,
    VAULT_CACERT: openBao.caFile,
    ROLE_ID_FILE: credential.roleIdFile,
    SECRET_ID_FILE: credential.secretIdFile,
    NODE_NAME: node,
    KUBELET_CLIENT_CERT: join(dir, 'none.pem'),
    BOOTSTRAP_KUBECONFIG: kubeconfig,
    SPREAD: '0',
    DEADLINE: '60',
  };
  const settingsFile = join(dir, 'fetch.env');
  writeFileSync(
    settingsFile,
    Object.entries(settings)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  );
  const { code, output } = await runScript(FETCH, [settingsFile], { RUNTIME_DIRECTORY: dir });
  narrator.quote(output);
  must(code === 0 && existsSync(kubeconfig), `the script ended with ${code}`);
  const mode = (statSync(kubeconfig).mode & 0o777).toString(8);
  narrator.tell(`bootstrap kubeconfig written, mode 0${mode}`);
  must(mode === '600', 'the kubeconfig can be read by others');
  const neighbour = `secret/data/kubelet-bootstrap/nodes/${OTHER_NODE}`;
  const status = await readWith(credential, openBao, neighbour);
  must(status === 403, `the credential reads ${neighbour}: ${status}`);
  narrator.tell(`the same credential at the path of another node, ${neighbour}: 403, permission denied`);
  return kubeconfig;
}

/** What status a read gets with the credential of a machine. */
async function readWith(
  { roleIdFile, secretIdFile }: { roleIdFile: string; secretIdFile: string },
  { address, ca }: Stage['servers']['openBao'],
  path: string,
): Promise<number> {
  const anonymous = new HttpsClient({ server: address, ca });
  const login = (await anonymous.must('POST', '/v1/auth/approle/login', {
    role_id: readFileSync(roleIdFile, 'utf8'),
    secret_id: readFileSync(secretIdFile, 'utf8'),
  })) as { auth: { client_token: string } };
  await anonymous.close();
  const client = new HttpsClient({ server: address, ca, headers: { 'x-vault-token': login.auth.client_token } });
  const { status } = await client.send('GET', `/v1/${path}`);
  await client.close();
  return status;
}

function runScript(
  file: string,
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number; output: string }> {
  const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, output }));
  });
}

/** From the token to a registered Node, told step by step from what the API server has. */
export async function watchBootstrap(narrator: Narrator, stage: Stage, node: DemoNode, name: string): Promise<void> {
  narrator.tell(`started: ${node.what}`);
  const csr = await waitFor(narrator, 'the CSR of the node', 90, async () => {
    const all = await seenCsrs(stage.servers.controlPlane);
    return all.find(({ spec }) => spec.signerName === CLIENT_SIGNER && spec.username.startsWith('system:bootstrap:'));
  });
  const full = (await stage.servers.controlPlane.admin.must('GET', `${CSRS}/${csr.metadata.name}`)) as {
    spec: { groups: string[] };
  };
  narrator.tell(`authenticated with its token as ${csr.spec.username}`);
  narrator.tell(`the token is mapped to the groups ${full.spec.groups.join(', ')}`);
  narrator.tell(`it created CSR ${csr.metadata.name}`);
  const issued = await settled(narrator, stage, csr.metadata.name);
  const reviews = await stage.service.metric('kubelet_bootstrap_api_call_seconds_count', {
    resource: 'subjectaccessreviews',
    status: '201',
  });
  must(reviews > 0, 'RBAC was not asked');
  narrator.tell(
    'RBAC of its creator was checked: system:bootstrappers may create certificatesigningrequests/nodeclient',
  );
  narrator.tell(`approved: ${approvalOf(issued)}`);
  const calls = await stage.service.metric('kubelet_bootstrap_vault_call_seconds_count', {
    operation: stage.signsWith.operation,
    outcome: 'ok',
  });
  must(calls > 0, 'the service has not used the CA in Vault');
  narrator.tell(`signed with ${stage.signsWith.text}`);
  await waitFor(narrator, 'the downloaded certificate', 60, async () => node.clientCertificate());
  narrator.tell('the kubelet downloaded its certificate and authenticates with it');
  await waitFor(narrator, 'the registered Node', 90, async () => {
    const nodes = await stage.kubectl('get', 'nodes', '--no-headers', '--ignore-not-found', name);
    return nodes === '' ? undefined : nodes;
  });
  narrator.tell(
    `Node registered: ${(await stage.kubectl('get', 'node', name, '--no-headers')).trim().replaceAll(/\s+/g, ' ')}`,
  );
}

/** The serving certificate, asked for by the node itself. */
export async function watchServing(narrator: Narrator, stage: Stage, node: DemoNode, name: string): Promise<void> {
  narrator.step(`Its serving certificate is asked for by system:node:${name}`);
  const csr = await waitFor(narrator, 'the serving CSR', 90, async () => {
    const all = await seenCsrs(stage.servers.controlPlane);
    return all.find(({ spec }) => spec.signerName === SERVING_SIGNER && spec.username === `system:node:${name}`);
  });
  const issued = await settled(narrator, stage, csr.metadata.name);
  narrator.tell(`CSR ${csr.metadata.name} by ${csr.spec.username}: ${approvalOf(issued)}`);
  await waitFor(narrator, 'the serving certificate', 60, async () => node.servingCertificate());
  narrator.tell('signed and downloaded');
}

/** A renewal by the node's own certificate, without a restart. */
export async function watchRenewal(narrator: Narrator, stage: Stage, node: DemoNode, name: string): Promise<void> {
  narrator.step('The kubelet renews its client certificate as system:nodes, 0.6 to 2.2 minutes after it got it');
  const before = node.clientCertificate();
  const identity = node.identity();
  const csr = await waitFor(narrator, 'the renewal (the lifetime in this demo is 3 minutes)', 180, async () => {
    const all = await seenCsrs(stage.servers.controlPlane);
    return all.find(({ spec }) => spec.signerName === CLIENT_SIGNER && spec.username === `system:node:${name}`);
  });
  const issued = await settled(narrator, stage, csr.metadata.name);
  narrator.tell(`CSR ${csr.metadata.name} by ${csr.spec.username}: ${approvalOf(issued)}`);
  await waitFor(narrator, 'the new certificate', 60, async () => {
    const now = node.clientCertificate();
    return now !== undefined && now !== before ? now : undefined;
  });
  must(node.identity() === identity, 'the kubelet was restarted');
  narrator.tell('the kubelet uses the new certificate and was not restarted');
}

/** Another node's name with this token is left waiting, and says why. */
export async function meetImpostor(narrator: Narrator, stage: Stage, supervisor: Supervisor): Promise<void> {
  narrator.step("An impostor asks for another node's certificate with a token that it got hold of");
  const args = ['issue', '--for-node', OTHER_NODE, '-o', 'bootstrap-kubeconfig'];
  const issued = await runProgram('bootstrap-token', args, stage.adminEnv);
  must(issued.code === 0, `bootstrap-token ended with ${issued.code}`);
  const stolen = join(supervisor.folder('impostor'), 'bootstrap-kubelet.conf');
  writeFileSync(stolen, issued.stdout, { mode: 0o600 });
  narrator.tell(`bootstrap-token issue --for-node ${OTHER_NODE}: its machine has not used it yet`);
  const client = new HttpsClient(readKubeconfig(stolen));
  const body = csrBody('csr-impostor', buildCsrPem({ commonName: 'system:node:control-plane-1' }));
  await client.must('POST', CSRS, body);
  await client.close();
  narrator.tell('CSR csr-impostor created for system:node:control-plane-1');
  const event = await waitFor(narrator, 'its Event', 30, async () => {
    const list = (await stage.servers.controlPlane.admin.must(
      'GET',
      '/apis/events.k8s.io/v1/namespaces/default/events',
    )) as {
      items: { reason: string; note: string; regarding: { name: string } }[];
    };
    return list.items.find(({ regarding }) => regarding.name === 'csr-impostor');
  });
  narrator.tell(`Event ${event.reason}: ${event.note}`);
  must(event.reason === 'TokenBoundToOtherNode', 'the Event gives another reason');
  const [csr] = await seenCsrs(stage.servers.controlPlane, 'csr-impostor');
  must(csr !== undefined && (csr.status.conditions ?? []).length === 0, 'the impostor was decided on');
  const explained = await runProgram('kubelet-bootstrap', ['explain', 'csr-impostor'], stage.adminEnv);
  narrator.tell('kubelet-bootstrap explain csr-impostor:');
  narrator.quote(explained.stdout + explained.stderr);
  must(explained.code === 0 && explained.stdout.includes('TokenBoundToOtherNode'), 'explain does not tell why');
}

async function settled(narrator: Narrator, stage: Stage, name: string): Promise<SeenCsr> {
  return waitFor(narrator, `the certificate of ${name}`, 60, async () => {
    const [csr] = await seenCsrs(stage.servers.controlPlane, name);
    return (csr?.status.certificate ?? '') === '' ? undefined : csr;
  });
}

function approvalOf(csr: SeenCsr): string {
  const approved = csr.status.conditions?.find(({ type }) => type === 'Approved');
  return `${approved?.reason ?? '?'} (${approved?.message ?? ''})`;
}

/** The token in a bootstrap kubeconfig, to prove that no output holds it. */
export function secretsIn(bootstrapKubeconfig: string): string[] {
  const config = parse(readFileSync(bootstrapKubeconfig, 'utf8')) as { users: { user: { token?: string } }[] };
  return config.users.flatMap(({ user }) => (user.token === undefined ? [] : [user.token, user.token.slice(7)]));
}
