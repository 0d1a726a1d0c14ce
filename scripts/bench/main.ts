/** `npm run bench`: how fast waiting bootstrap CSRs are approved and signed, beside the servers on this machine. */
import { readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { createBootstrapCsrs, nodeNames, seenCsrs, tokenClient, until } from '../../test/support/crowd.ts';
import { bundle } from '../bundle.ts';
import { newSupervisor, startServers } from '../servers/servers.ts';
import { configFor, residentBytes, startService } from '../servers/service.ts';

const WAITING = 1_000;
const ROUNDS = 3;

const write = (text: string): void => void process.stderr.write(`${text}\n`);

const ROOT = resolve(import.meta.dirname, '..', '..');

interface Row {
  readonly perSecond: number;
  readonly peakMiB: number;
}

const folder = join(tmpdir(), `kubelet-bootstrap-bundle-${process.pid}`);
await bundle(folder);
/** The program as the image has it, with the flags that the Deployment starts it with. */
const program = { file: join(folder, 'kubelet-bootstrap.mjs'), nodeFlags: nodeFlags() };
const rows: Row[] = [];
for (let round = 1; round <= ROUNDS; round += 1) {
  write(`round ${round} of ${ROUNDS}: ${WAITING} waiting bootstrap CSRs, about 20 s`);
  rows.push(await drain());
}
rmSync(folder, { recursive: true, force: true });
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
const perSecond = median(rows.map((row) => row.perSecond));
const peakMiB = median(rows.map((row) => row.peakMiB));
process.stdout.write(
  `case                          certificates/s   peak resident MiB   rounds\n` +
    `drain ${WAITING} bootstrap CSRs    ${perSecond.toFixed(0).padStart(14)}   ${peakMiB.toFixed(0).padStart(17)}   ${rows.map((row) => row.perSecond.toFixed(0)).join(', ')}\n` +
    `machine: ${cpus().length} cores, shared with etcd, kube-apiserver and OpenBao\n`,
);

/** Makes the CSRs while nobody decides, then starts the service and takes the time from its first list to the last certificate. */
async function drain(): Promise<Row> {
  const servers = await startServers({ write });
  const supervisor = newSupervisor();
  try {
    const { controlPlane } = servers;
    const { client } = await tokenClient(controlPlane, { kind: 'pool', pool: 'bench' });
    await createBootstrapCsrs(client, nodeNames('bench', WAITING));
    const config = configFor(servers, { pools: { bench: { nodeNames: 'bench-[0-9]+' } }, ops: { logLevel: 'warn' } });
    const service = await startService(
      supervisor,
      { name: 'bench', kubeconfig: controlPlane.adminKubeconfig, config, ...program },
      false,
    );
    const issued = (): Promise<number> => service.metric('kubelet_bootstrap_issue_seconds_count');
    await until('the first certificate', async () => (await issued()) > 0, 5);
    const first = performance.now();
    const before = await issued();
    await until('the last certificate', async () => (await issued()) >= WAITING, 20);
    const seconds = (performance.now() - first) / 1000;
    const memory = residentBytes(service.process.pid);
    const seen = await seenCsrs(controlPlane, 'csr-bench-');
    const certificates = seen.filter(({ status }) => (status.certificate ?? '') !== '').length;
    if (certificates !== WAITING) throw new Error(`${certificates} of ${WAITING} CSRs have a certificate`);
    return { perSecond: (WAITING - before) / seconds, peakMiB: memory.peak / 2 ** 20 };
  } finally {
    await supervisor.stop();
    await servers.stop();
  }
}

function nodeFlags(): string[] {
  const deployment = parse(readFileSync(join(ROOT, 'manifests', 'base', '40-deployment.yaml'), 'utf8')) as {
    spec: { template: { spec: { containers: { env: { name: string; value: string }[] }[] } } };
  };
  const env = deployment.spec.template.spec.containers[0]?.env ?? [];
  return env.find(({ name }) => name === 'NODE_OPTIONS')?.value.split(' ') ?? [];
}
