/** What is in the cluster before a case begins. */
import PQueue from 'p-queue';
import { CLIENT_SIGNER } from '../../src/ports.ts';
import { buildCsrPem } from '../../test/support/csr-builder.ts';
import type { ControlPlane } from '../servers/control-plane.ts';
import { BOOTSTRAP_BINDINGS, CLUSTER_ROLE_BINDINGS } from '../servers/rbac.ts';
import { STORED } from './following.ts';
import { certifier } from './identities.ts';
import { cpuSeconds } from './stage.ts';
import { message, stored } from './storage-format.ts';

const AT_ONCE = 16;

/** CPU seconds of these processes together. */
export const cpuOf = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);

/** Node objects: what renews or serves is there. */
export async function addNodes({ admin }: ControlPlane, nodes: readonly string[]): Promise<void> {
  const gate = new PQueue({ concurrency: AT_ONCE });
  await gate.addAll(nodes.map((name) => () => admin.must('POST', '/api/v1/nodes', { metadata: { name } }, [409])));
}

const [, ROTATION] = BOOTSTRAP_BINDINGS.selfnodeclient;

/** Runs `during` while nobody may have renewals approved, by whatever binding: the talk's incident. */
export async function withoutRotation<T>({ admin }: ControlPlane, during: () => Promise<T>): Promise<T> {
  const { items } = (await admin.must('GET', CLUSTER_ROLE_BINDINGS)) as {
    items: { metadata: { name: string }; roleRef: { name: string } }[];
  };
  const held = items.filter(({ roleRef }) => roleRef.name === ROTATION);
  for (const { metadata } of held) await admin.must('DELETE', `${CLUSTER_ROLE_BINDINGS}/${metadata.name}`);
  try {
    return await during();
  } finally {
    for (const { metadata, ...rest } of held) {
      await admin.must('POST', CLUSTER_ROLE_BINDINGS, { ...rest, metadata: { name: metadata.name } });
    }
  }
}

const NODES = 5_000;

/** Between two certificates of one node. */
const RENEWED_AFTER_MS = 5 * 60_000;
/** The names of CSRs, by which they are listed, say nothing of their order in time. */
const ORDER = [3, 8, 0, 5, 9, 1, 6, 2, 7, 4] as const;

/** CSRs with their certificates, issued to 5,000 nodes `ageMs` ago and before, as they lie in etcd. */
export function* issuedCsrs(
  ca: ControlPlane['ca'],
  count: number,
  ageMs: number,
): Generator<readonly [key: string, value: Buffer]> {
  const certificate = certifier(ca);
  const now = Date.now();
  for (let index = 0; index < count; index += 1) {
    const round = ORDER[Math.floor(index / NODES) % ORDER.length] ?? 0;
    const at = now - ageMs - round * RENEWED_AFTER_MS;
    const node = `old-${index % NODES}`;
    const name = `${STORED}${index}`;
    yield [`certificatesigningrequests/${name}`, issuedCsr(name, node, at, certificate(node, at))];
  }
}

/** The numbers are those of generated.proto in k8s.io/api/certificates/v1 and k8s.io/apimachinery/pkg/apis/meta/v1. */
function issuedCsr(name: string, node: string, at: number, certificate: string): Buffer {
  const username = `system:node:${node}`;
  const time = message([1, Math.floor(at / 1_000)]);
  const metadata = message([1, name], [5, crypto.randomUUID()], [8, time]);
  const spec = message(
    [1, buildCsrPem({ commonName: username })],
    [2, username],
    [4, 'system:nodes'],
    [4, 'system:authenticated'],
    [5, 'digital signature'],
    [5, 'client auth'],
    [7, CLIENT_SIGNER],
  );
  const approved = message(
    [1, 'Approved'],
    [2, 'AutoApproved'],
    [3, 'auto-approved'],
    [4, time],
    [5, time],
    [6, 'True'],
  );
  const csr = message([1, metadata], [2, spec], [3, message([1, approved], [2, certificate])]);
  return stored('certificates.k8s.io/v1', 'CertificateSigningRequest', csr);
}
