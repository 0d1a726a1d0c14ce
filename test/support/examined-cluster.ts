/** A cluster and a Vault of a test's own that are set up as the README says, and what `doctor` tells of them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'chai';
import { after, before } from 'mocha';
import { stringify } from 'yaml';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { type ControlPlane, startControlPlane } from '../../scripts/servers/control-plane.ts';
import { runCommand } from '../../scripts/servers/long-step.ts';
import { type OpenBao, startOpenBao } from '../../scripts/servers/openbao.ts';
import type { KeyPair } from '../../scripts/servers/pki.ts';
import { newSupervisor } from '../../scripts/servers/servers.ts';
import { configFor, runProgram } from '../../scripts/servers/service.ts';
import { applyManifests } from '../../scripts/servers/service-account.ts';
import type { Supervisor } from '../../scripts/servers/supervisor.ts';
import { requireServers } from './servers.ts';

export const BASE = join(import.meta.dirname, '../../manifests/base');
/** The policy of the service. */
export const POLICY = readFileSync(join(BASE, '../vault/service.hcl'), 'utf8');

/** What `doctor -o json` says, and its exit code. */
export interface Report {
  readonly code: number;
  readonly worst: string;
  readonly access: readonly { readonly who: string; readonly createsCsrs: string; readonly approved: string }[];
  readonly findings: readonly {
    readonly code: string;
    readonly severity: string;
    readonly what: string;
    readonly found: string;
    readonly mend: string;
  }[];
}

/** What a run differs in. */
export interface Circumstances {
  /** Changes to the config, section by section. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly kubeconfig?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface ExaminedCluster {
  readonly plane: ControlPlane;
  readonly bao: OpenBao;
  /** For files of the test. */
  readonly dir: string;
  kubectl(...args: string[]): Promise<string>;
  /** Puts a CA key pair where the service finds it. */
  putCa(ca: KeyPair): Promise<unknown>;
  /** A config file that admits as little as it can, changed. */
  configFile(changes?: Circumstances['config']): string;
  report(circumstances?: Circumstances): Promise<Report>;
  /** A report that tells exactly this, besides information. Caches of the API server take a moment to see a change. */
  telling(codes: readonly string[], circumstances?: Circumstances): Promise<Report>;
}

/** Servers of the suite's own: what `doctor` finds depends on every binding and every CSR there is. */
export function requireExaminedCluster(): () => ExaminedCluster {
  requireServers(); // So that no build falls into the times of the tests, and where none can run they are skipped.
  let supervisor: Supervisor | undefined;
  let examined: ExaminedCluster | undefined;
  before('set up as the README says', async () => {
    supervisor = newSupervisor();
    examined = await setUp(supervisor);
  });
  after('end the servers', () => supervisor?.stop());
  return () => {
    if (examined === undefined) throw new Error('the cluster is only there in hooks and tests');
    return examined;
  };
}

async function setUp(supervisor: Supervisor): Promise<ExaminedCluster> {
  const binaries = await findBinaries(['etcd', 'kube-apiserver', 'kubectl', 'bao']);
  const plane = await startControlPlane(supervisor, {
    etcd: binaries.etcd,
    kubeApiserver: binaries['kube-apiserver'],
    bindings: { create: false, nodeclient: false, selfnodeclient: false },
  });
  const bao = await startOpenBao(supervisor, binaries.bao);
  const kubectl = (...args: string[]): Promise<string> =>
    runCommand({ command: binaries.kubectl, args: ['--kubeconfig', plane.adminKubeconfig, ...args] });
  await applyManifests(kubectl);
  await bao.root('POST', 'sys/policies/acl/kubelet-bootstrap', { policy: POLICY });
  await bao.root('POST', 'sys/auth/approle', { type: 'approle' });
  await bao.root('POST', 'auth/approle/role/service', { token_policies: 'kubelet-bootstrap', token_ttl: '1h' });
  await bao.root('POST', 'auth/approle/role/service/role-id', { role_id: 'service' });
  const made = (await bao.root('POST', 'auth/approle/role/service/secret-id', {})) as { data: { secret_id: string } };
  writeFileSync(join(supervisor.dir, 'role-id'), 'service');
  writeFileSync(join(supervisor.dir, 'secret-id'), made.data.secret_id, { mode: 0o600 });
  const putCa = ({ certificate: cert, key }: KeyPair): Promise<unknown> =>
    bao.root('POST', 'secret/data/kubernetes/ca', { data: { cert, key } });
  await putCa(plane.ca);

  function configFile(changes: Readonly<Record<string, unknown>> = {}): string {
    const file = join(supervisor.dir, 'doctor.yaml');
    const auth = {
      method: 'approle',
      roleIdFile: join(supervisor.dir, 'role-id'),
      secretIdFile: join(supervisor.dir, 'secret-id'),
    };
    const config = configFor(
      { controlPlane: plane, openBao: bao },
      {
        serving: { addressRanges: ['10.0.0.0/8'] },
        signer: { ca: { vaultPath: 'kubernetes/ca' } },
        pools: { workers: { nodeNames: 'worker-[0-9]+', maxNodes: 1_000 } },
        vault: { auth },
        ...changes,
      },
    );
    writeFileSync(file, stringify(config));
    return file;
  }

  async function report({ config, kubeconfig, args = [], env }: Circumstances = {}): Promise<Report> {
    const files = ['--config', configFile(config), '--kubeconfig', kubeconfig ?? plane.adminKubeconfig];
    const { code, stdout, stderr } = await runProgram(
      'kubelet-bootstrap',
      ['doctor', '-o', 'json', ...files, ...args],
      env,
    );
    expect(stderr).to.equal('');
    return { code, ...(JSON.parse(stdout) as Omit<Report, 'code'>) };
  }

  async function telling(codes: readonly string[], circumstances: Circumstances = {}): Promise<Report> {
    let last = await report(circumstances);
    for (let attempt = 1; attempt < 20 && !isDeepStrictEqual(told(last), codes); attempt += 1) {
      last = await report(circumstances);
    }
    expect(told(last), JSON.stringify(last.findings, undefined, 1)).to.deep.equal(codes);
    return last;
  }

  return { plane, bao, dir: supervisor.dir, kubectl, putCa, configFile, report, telling };
}

/** Codes of what is worse than information, each once. */
const told = ({ findings }: Report): string[] => [
  ...new Set(findings.filter(({ severity }) => severity !== 'info').map(({ code }) => code)),
];

/** What was looked at and what was found, of the first finding with this code. */
export const found = (given: Report, code: string): string => {
  const { what, found } = given.findings.find((each) => each.code === code) ?? { what: '', found: '' };
  return `${what}: ${found}`;
};

/** Makes something wrong for the time of `work`. */
export async function during<T>(
  wrong: () => Promise<unknown>,
  mend: () => Promise<unknown>,
  work: () => Promise<T>,
): Promise<T> {
  await wrong();
  try {
    return await work();
  } finally {
    await mend();
  }
}
