/** `npm run bench:tokens`: tokens for many nodes by `bootstrap-token issue --nodes`, beside a bare loop on the same stores. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { formatTable } from '../../src/cli/output.ts';
import { bundle } from '../bundle.ts';
import { startServers } from '../servers/servers.ts';
import { configFor } from '../servers/service.ts';
import type { BareTokens } from './bare-tokens.ts';

const { values: flags } = parseArgs({
  options: { count: { type: 'string', default: '2500' }, rounds: { type: 'string', default: '3' } },
});
const [COUNT, ROUNDS] = [Number(flags.count), Number(flags.rounds)];
/** As many at once as `issue --nodes` has under way. */
const AT_ONCE = 16;
const GOAL = 0.6;
const OURS = 'bootstrap-token issue --nodes';
const CONTESTANTS = [
  { name: OURS, run: issueNodes },
  { name: 'bare loop: Secret, metadata, entry', run: (nodes, name) => bareLoop(nodes, name, true) },
  { name: 'bare loop: Secret, entry', run: (nodes, name) => bareLoop(nodes, name, false) },
] as const satisfies readonly { name: string; run: (nodes: readonly string[], name: string) => Promise<void> }[];
const SECRETS = '/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken';

const folder = mkdtempSync(join(tmpdir(), 'kubelet-bootstrap-bench-'));
const servers = await startServers();
try {
  await bundle(folder);
  const rates = new Map<string, number[]>();
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const [index, { name, run }] of CONTESTANTS.entries()) {
      const rate = await measured(`run-${round}-${index}`, run);
      process.stderr.write(`${name}: ${rate.toFixed(0)} tokens/s\n`);
      rates.set(name, [...(rates.get(name) ?? []), rate]);
    }
  }
  report(rates);
} finally {
  await servers.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** Tokens a second, from start to end of the process. */
async function measured(name: string, run: (nodes: readonly string[], name: string) => Promise<void>): Promise<number> {
  const nodes = Array.from({ length: COUNT }, (_, index) => `${name}-${index}.example.internal`);
  const startedAt = performance.now();
  await run(nodes, name);
  const rate = COUNT / ((performance.now() - startedAt) / 1_000);
  const { items } = (await servers.controlPlane.admin.must('GET', SECRETS)) as { items: unknown[] };
  if (items.length !== COUNT) throw new Error(`${items.length} Secrets after ${COUNT} tokens`);
  await servers.controlPlane.admin.must('DELETE', SECRETS);
  return rate;
}

async function bareLoop(nodes: readonly string[], name: string, withMetadata: boolean): Promise<void> {
  const { controlPlane, openBao } = servers;
  const { address: server, ca, rootToken: token } = openBao;
  const settings: BareTokens = {
    kubeconfig: controlPlane.adminKubeconfig,
    vault: { server, ca, token, prefix: name },
    nodes,
    atOnce: AT_ONCE,
    withMetadata,
  };
  const file = join(folder, 'bare.json');
  writeFileSync(file, JSON.stringify(settings), { mode: 0o600 });
  await ended([join(import.meta.dirname, 'bare-tokens.ts'), file]);
}

async function issueNodes(nodes: readonly string[], name: string): Promise<void> {
  const [config, list] = [join(folder, 'config.yaml'), join(folder, 'nodes')];
  writeFileSync(config, stringify(configFor(servers, { vault: { prefix: name } })));
  writeFileSync(list, nodes.map((node) => `${node}\n`).join(''));
  const { adminKubeconfig } = servers.controlPlane;
  const program = join(folder, 'bootstrap-token.mjs');
  await ended([program, 'issue', '--nodes', list, '--config', config, '--kubeconfig', adminKubeconfig]);
}

async function ended(args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2_000)));
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}:\n${said}`);
}

function report(rates: ReadonlyMap<string, readonly number[]>): void {
  const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
  const ours = rates.get(OURS) ?? [];
  const rows = [...rates].map(([name, of]) => {
    const share = median(ours.map((rate, index) => rate / (of[index] ?? NaN)));
    return [name, median(of).toFixed(0), share.toFixed(2), of.map((rate) => rate.toFixed(0)).join(', ')];
  });
  process.stdout.write(formatTable([`${COUNT} NODE TOKENS`, 'PER SECOND', 'OURS OF IT', 'ROUNDS'], rows));
  process.stdout.write(`goal: ${GOAL} of the bare loop that writes what has to stand there in the end\n`);
  process.stdout.write(`machine: ${cpus().length} cores, shared with all servers; ${AT_ONCE} nodes at once\n`);
}
