/** The end of the demo: clean-up shown with a shortened retention, and the summary. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { formatTable } from '../../src/cli/output.ts';
import { type SeenCsr, seenCsrs } from '../../test/support/crowd.ts';
import { configFor, startService } from '../servers/service.ts';
import type { Supervisor } from '../servers/supervisor.ts';
import { must, type Narrator, waitFor } from './narrator.ts';
import type { DemoNode } from './node.ts';
import type { Stage } from './stage.ts';

const run = promisify(execFile);
const RETENTION = '5s';

/** A second service, the cleaner alone, with five seconds of retention. */
export async function cleanUp(narrator: Narrator, stage: Stage, supervisor: Supervisor): Promise<void> {
  narrator.step(`Stale CSRs are removed (retention shortened from hours to ${RETENTION} for this demo)`);
  const before = await seenCsrs(stage.servers.controlPlane);
  narrator.tell(`${before.length} CSRs are in the cluster`);
  const ages = ['issued', 'denied', 'failed', 'pending', 'approvedUnissued', 'superseded'];
  const retention = Object.fromEntries(ages.map((age) => [age, RETENTION]));
  const cleaner = await startService(supervisor, {
    name: 'cleaner',
    kubeconfig: stage.servers.controlPlane.adminKubeconfig,
    config: configFor(
      { controlPlane: stage.servers.controlPlane },
      { controllers: ['cleaner'], cleaner: { interval: '1s', retention } },
    ),
  });
  const stale = new Set(before.map(({ metadata }) => metadata.name));
  await waitFor(narrator, 'their removal', 60, async () => {
    const left = (await seenCsrs(stage.servers.controlPlane)).filter(({ metadata }) => stale.has(metadata.name));
    return left.length === 0 ? true : undefined;
  });
  const removed = await waitFor(narrator, 'the log of it', 10, async () => {
    const lines = cleaner.lines().filter(({ csr, message }) => message === 'CSR removed' && stale.has(csr ?? ''));
    return lines.length === stale.size ? lines : undefined;
  });
  for (const line of removed) {
    narrator.tell(`removed ${line.csr} (${line.why})`);
  }
  await cleaner.stop();
}

/** The table of all CSRs, the verified chain, and where to look next. */
export async function summarise(
  narrator: Narrator,
  stage: Stage,
  node: DemoNode,
  csrs: readonly SeenCsr[],
  supervisor: Supervisor,
): Promise<void> {
  narrator.step('Summary');
  const lines = stage.service.lines();
  const rows = csrs.map(({ metadata, spec, status }) => {
    const decided = lines.find(({ csr, verdict }) => csr === metadata.name && verdict !== undefined);
    const issued = lines.find(({ csr, message }) => csr === metadata.name && message === 'certificate issued');
    return [
      metadata.name,
      spec.signerName.replace('kubernetes.io/', ''),
      spec.username,
      decided?.verdict ?? '?',
      decided?.reason ?? '?',
      issued === undefined ? ((status.certificate ?? '') === '' ? 'waiting' : '?') : `${issued.seconds?.toFixed(3)} s`,
    ];
  });
  narrator.quote(formatTable(['CSR', 'SIGNER', 'REQUESTER', 'DECISION', 'REASON', 'CREATED TO ISSUED'], rows));
  await verifyChain(narrator, stage, node, supervisor);
  narrator.tell(`metrics: ${stage.service.opsUrl}/metrics, readiness: ${stage.service.opsUrl}/readyz`);
}

async function verifyChain(narrator: Narrator, stage: Stage, node: DemoNode, supervisor: Supervisor): Promise<void> {
  const dir = supervisor.folder('chain');
  for (const [purpose, pem] of [
    ['sslclient', node.clientCertificate()],
    ['sslserver', node.servingCertificate()],
  ] as const) {
    must(pem !== undefined, `no certificate for ${purpose}`);
    const file = join(dir, `${purpose}.pem`);
    writeFileSync(file, `${pem}\n`);
    const args = ['verify', '-purpose', purpose, '-CAfile', stage.servers.controlPlane.caFile, file];
    const { stdout } = await run('openssl', args);
    const { stdout: subject } = await run('openssl', ['x509', '-in', file, '-noout', '-subject', '-enddate']);
    must(stdout.trim().endsWith(': OK'), `openssl verify: ${stdout}`);
    narrator.tell(`openssl verify -purpose ${purpose}: OK, ${subject.trim().replaceAll('\n', ', ')}`);
  }
}
