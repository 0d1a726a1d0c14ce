/** `scripts/demo`: the whole way of a node, on real servers. */
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/errors.ts';
import { seenCsrs } from '../../test/support/crowd.ts';
import { findBinaries } from '../servers/binaries.ts';
import { canRunKubelet, firstAddress } from '../servers/kubelet.ts';
import { newSupervisor, startServers } from '../servers/servers.ts';
import { cleanUp, summarise } from './closing.ts';
import { must, Narrator } from './narrator.ts';
import { startNode } from './node.ts';
import { setStage, SIGNERS, type SignerName, type Stage } from './stage.ts';
import {
  fetchToken,
  issueToken,
  meetImpostor,
  secretsIn,
  watchBootstrap,
  watchRenewal,
  watchServing,
} from './steps.ts';

const HELP = `usage: ./scripts/demo [--keep] [--signer vault-kv|vault-pki]

Starts etcd, kube-apiserver and OpenBao on loopback and walks a node through its life: bootstrap token, client and serving
certificate, renewal, an impostor, clean-up. The first run builds the servers (about 10 minutes on two cores); after that
it takes about 3 minutes, most of them waiting for the kubelet's own renewal.

  --signer   what the service signs with: the CA key pair in Vault KV (without this), or Vault's PKI engine
  --keep     leave everything running at the end, until ^C, and print what to try next
`;
const NODE = 'demo-worker-1';
/** Where no host address is to be had, the kubelet gets one of this range (scripts/servers/kubelet.ts). */
const FALLBACK_ADDRESS = '198.18.0.10';

const written: string[] = [];
const write = (text: string): void => {
  written.push(text);
  process.stdout.write(text);
};

process.exitCode = await main();
process.exit();

async function main(): Promise<number> {
  let keep: boolean;
  let signer: SignerName;
  try {
    const { values } = parseArgs({
      options: {
        keep: { type: 'boolean', default: false },
        signer: { type: 'string', default: 'vault-kv' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) {
      process.stdout.write(HELP);
      return 0;
    }
    keep = values.keep;
    const named = SIGNERS.find((name) => name === values.signer);
    if (named === undefined) throw new Error(`--signer ${values.signer}: is none of ${SIGNERS.join(', ')}`);
    signer = named;
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${HELP}`);
    return 2;
  }
  const narrator = new Narrator(write);
  const progress = (line: string): void => write(`==> ${line}\n`);
  const supervisor = newSupervisor();
  try {
    progress('preparing etcd, kube-apiserver, kubelet and OpenBao (the first time about 10 minutes, then seconds)');
    const options = { write: progress };
    await findBinaries(canRunKubelet() === undefined ? ['kubelet'] : [], options);
    const servers = await startServers(options);
    try {
      const address = firstAddress() ?? FALLBACK_ADDRESS;
      const range = `${address}/${address.includes(':') ? 128 : 32}`;
      const stage = await setStage(servers, supervisor, range, signer);
      progress(
        `etcd, kube-apiserver ${servers.controlPlane.server}, OpenBao ${servers.openBao.address} and the service run`,
      );
      await walk(narrator, stage, supervisor, address);
      if (keep) await leaveRunning(narrator, stage);
    } finally {
      await servers.stop();
    }
    return 0;
  } catch (error) {
    write(`\nThe demo failed: ${messageOf(error)}\n`);
    return 1;
  } finally {
    await supervisor.stop();
  }
}

async function walk(
  narrator: Narrator,
  stage: Stage,
  supervisor: ReturnType<typeof newSupervisor>,
  address: string,
): Promise<void> {
  const started = performance.now();
  await issueToken(narrator, stage, NODE);
  const bootstrapKubeconfig = await fetchToken(narrator, stage, supervisor, NODE);
  narrator.step('A kubelet starts with it');
  const node = await startNode(stage.servers, supervisor, { name: NODE, address, bootstrapKubeconfig });
  await watchBootstrap(narrator, stage, node, NODE);
  await watchServing(narrator, stage, node, NODE);
  await watchRenewal(narrator, stage, node, NODE);
  await meetImpostor(narrator, stage, supervisor);
  const csrs = await seenCsrs(stage.servers.controlPlane);
  await cleanUp(narrator, stage, supervisor);
  await summarise(narrator, stage, node, csrs, supervisor);
  const output = written.join('') + stage.service.log();
  must(
    secretsIn(bootstrapKubeconfig).every((secret) => !output.includes(secret)),
    'the token stands in the output',
  );
  narrator.tell('neither the output above nor the log of the service holds the secret of the token');
  narrator.plain(`\nEvery step held, in ${((performance.now() - started) / 1000).toFixed(0)} s.`);
}

async function leaveRunning(narrator: Narrator, stage: Stage): Promise<void> {
  const exports = Object.entries(stage.adminEnv).filter(([name]) => name !== 'VAULT_TOKEN');
  narrator.plain(`
Everything runs until ^C. In another shell, in this folder:

${exports.map(([name, value]) => `  export ${name}=${value}`).join('\n')}
  export VAULT_TOKEN="$(cat ${stage.servers.openBao.rootTokenFile})"
  npm run -s bootstrap-token -- list
  npm run -s bootstrap-token -- issue --for-node worker-2
  ${stage.servers.kubectl} get csr,nodes
  npm run -s kubelet-bootstrap -- explain NAME
  curl -s ${stage.service.opsUrl}/metrics | grep kubelet_bootstrap_`);
  // Servers and signal handlers do not keep a process alive.
  const alive = setInterval(() => {}, 60_000);
  // Without a listener of its own, the supervisor's would end the process at once; this way everything ends in order.
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  clearInterval(alive);
}
