/** A cluster of a suite's own whose CA stands in Vault KV and is rotated: others would see it trust another one. */
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before } from 'mocha';
import { findBinaries } from '../../scripts/servers/binaries.ts';
import { type ControlPlane, startControlPlane } from '../../scripts/servers/control-plane.ts';
import type { OpenBao } from '../../scripts/servers/openbao.ts';
import { newSupervisor } from '../../scripts/servers/servers.ts';
import {
  type CommandResult,
  configFor,
  runProgram,
  type Service,
  startService,
} from '../../scripts/servers/service.ts';
import type { Supervisor } from '../../scripts/servers/supervisor.ts';
import { until } from './crowd.ts';
import { requireServers } from './servers.ts';

/** What `ca status -o json` says, as far as the tests read it. */
export interface SeenStanding {
  readonly step: string;
  readonly safeToDrop: boolean | null;
  readonly objections: readonly { readonly code: string }[];
  readonly cas: readonly {
    readonly role: string;
    readonly keyId: string;
    readonly trusted: boolean;
    readonly held: readonly { readonly node: string; readonly usage: string; readonly replaced: boolean }[];
  }[];
}

export interface RotationScene {
  readonly supervisor: Supervisor;
  readonly plane: ControlPlane;
  readonly service: Service;
  /** Runs `kubelet-bootstrap ca ...` as an admin. */
  ca(...args: readonly string[]): Promise<CommandResult>;
  standing(): Promise<SeenStanding>;
  /** Waits until `ca status` names this step. */
  reach(step: string): Promise<SeenStanding>;
  /** The entry in Vault KV. */
  entry(): Promise<Readonly<Record<string, string>>>;
  /** The published bundle. */
  bundle(): Promise<string>;
  /** Has the API server trust these besides, or in place of, what it trusts. */
  trust(pem: string, instead?: boolean): void;
}

const PATH = 'rotation/ca';
export const BUNDLE = '/api/v1/namespaces/kubelet-bootstrap/configmaps/kubelet-bootstrap-cas';

/** Servers and the service, with client certificates of this life. */
export function requireRotation(lifetime: string): () => RotationScene {
  const shared = requireServers();
  let supervisor: Supervisor | undefined;
  let scene: RotationScene | undefined;
  before('start a cluster and the service', async function () {
    this.timeout(120_000);
    supervisor = newSupervisor();
    scene = await start(supervisor, shared().openBao, lifetime);
  });
  after('end them', async function () {
    this.timeout(60_000);
    await supervisor?.stop();
  });
  return () => {
    if (scene === undefined) throw new Error('the scene is only there in hooks and tests');
    return scene;
  };
}

async function start(supervisor: Supervisor, openBao: OpenBao, lifetime: string): Promise<RotationScene> {
  const { etcd, 'kube-apiserver': kubeApiserver } = await findBinaries(['etcd', 'kube-apiserver']);
  const plane = await startControlPlane(supervisor, { etcd, kubeApiserver });
  const { certificate: cert, key } = plane.ca;
  await openBao.root('POST', `secret/data/${PATH}`, { data: { cert, key, note: 'kept' } });
  const config = configFor(
    { controlPlane: plane, openBao },
    {
      vault: { prefix: 'rotation' },
      signer: { ca: { vaultPath: PATH, refresh: '1s' }, lifetime: { client: lifetime, serving: lifetime } },
    },
  );
  const service = await startService(supervisor, { name: 'service', kubeconfig: plane.adminKubeconfig, config });
  const ca: RotationScene['ca'] = (...args) =>
    runProgram('kubelet-bootstrap', ['ca', ...args, '--config', service.configFile], {
      KUBECONFIG: plane.adminKubeconfig,
    });
  const standing = async (): Promise<SeenStanding> =>
    JSON.parse((await ca('status', '-o', 'json')).stdout) as SeenStanding;
  return {
    supervisor,
    plane,
    service,
    ca,
    standing,
    reach: (step) =>
      until(`the step ${step}`, async () => {
        const now = await standing();
        return now.step === step && now;
      }),
    entry: async () => {
      const reply = (await openBao.root('GET', `secret/data/${PATH}`)) as { data: { data: Record<string, string> } };
      return reply.data.data;
    },
    bundle: async () => {
      const map = (await plane.admin.must('GET', BUNDLE)) as { data: Record<string, string> };
      return map.data['ca.crt'] ?? '';
    },
    trust: (pem, instead = false) =>
      writeFileSync(plane.caFile, instead ? pem : readFileSync(plane.caFile, 'utf8') + pem),
  };
}
