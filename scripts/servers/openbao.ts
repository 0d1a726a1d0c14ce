import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HttpsClient } from './https-client.ts';
import { waitUntil } from './long-step.ts';
import { createCa, LOOPBACK_HOSTS } from './pki.ts';
import { withFreePorts } from './ports.ts';
import type { ServerProcess } from './process.ts';
import type { Supervisor } from './supervisor.ts';

/** A real OpenBao on loopback, over TLS with a CA of its own, KV v2 at `secret/`. Its data outlives a restart. */
export interface OpenBao {
  /** `https://127.0.0.1:PORT`. */
  readonly address: string;
  readonly port: number;
  /** PEM of the CA that its certificate comes from, and where that lies. */
  readonly ca: string;
  readonly caFile: string;
  readonly rootToken: string;
  /** Holds the root token, mode 0600. */
  readonly rootTokenFile: string;
  /** A call as root; the path is everything after `/v1/`. Throws unless the status is 2xx. */
  root(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'LIST', path: string, body?: unknown): Promise<unknown>;
  /** From then on everything but `sys/seal-status` and `sys/health` answers 503. */
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** Ends the process; connections are refused from then on. */
  stop(): Promise<void>;
  /** Starts it again on the same port and unseals it. */
  start(): Promise<void>;
  /** `stop` and `start`. */
  restart(): Promise<void>;
  /** Closes the connections of these calls and leaves the server running. */
  close(): Promise<void>;
}

interface Running {
  readonly port: number;
  process: ServerProcess | undefined;
}

/** Starts OpenBao from `binary` under the supervisor, initialised and unsealed. Takes about 3 s. */
export async function startOpenBao(supervisor: Supervisor, binary: string): Promise<OpenBao> {
  const dir = supervisor.folder('openbao');
  const ca = await createCa('local OpenBao CA');
  const serving = await ca.server('openbao', LOOPBACK_HOSTS);
  const caFile = join(dir, 'ca.crt');
  writeFileSync(caFile, ca.certificate);
  writeFileSync(join(dir, 'tls.crt'), serving.certificate);
  writeFileSync(join(dir, 'tls.key'), serving.key, { mode: 0o600 });
  supervisor.folder('openbao/data');

  const launch = async (port: number): Promise<ServerProcess> => {
    const started = supervisor.start({
      name: 'openbao',
      command: binary,
      args: ['server', `-config=${join(dir, 'config.json')}`],
    });
    const probe = new HttpsClient({ server: `https://127.0.0.1:${port}`, ca: ca.certificate });
    try {
      await supervisor.ready(started, async () => (await probe.send('GET', '/v1/sys/seal-status')).status === 200);
    } catch (error) {
      await supervisor.end(started);
      throw error;
    } finally {
      await probe.close();
    }
    return started;
  };
  const running: Running = await withFreePorts(2, async ([port = 0, clusterPort = 0]) => {
    writeFileSync(join(dir, 'config.json'), configOf(dir, port, clusterPort), { mode: 0o600 });
    return { port, process: await launch(port) };
  });
  const address = `https://127.0.0.1:${running.port}`;

  const anonymous = new HttpsClient({ server: address, ca: ca.certificate });
  const { keys, root_token: rootToken } = (await anonymous.must('PUT', '/v1/sys/init', {
    secret_shares: 1,
    secret_threshold: 1,
  })) as { keys: string[]; root_token: string };
  const client = new HttpsClient({ server: address, ca: ca.certificate, headers: { 'x-vault-token': rootToken } });
  const close = async (): Promise<void> => {
    await anonymous.close();
    await client.close();
  };
  supervisor.onStop(close);
  const rootTokenFile = join(dir, 'root-token');
  writeFileSync(rootTokenFile, rootToken, { mode: 0o600 });

  const active = async (): Promise<boolean> => (await anonymous.send('GET', '/v1/sys/health')).status === 200;
  const root: OpenBao['root'] = (method, path, body) => client.must(method, `/v1/${path}`, body);
  const ready = async (): Promise<void> => {
    if (running.process !== undefined) await supervisor.ready(running.process, active);
  };
  const unseal = async (): Promise<void> => {
    await anonymous.must('PUT', '/v1/sys/unseal', { key: keys[0] });
    await ready();
  };
  const stop = async (): Promise<void> => {
    if (running.process !== undefined) await supervisor.end(running.process);
    running.process = undefined;
  };
  const start = async (): Promise<void> => {
    running.process ??= await launch(running.port);
    await unseal();
  };
  await unseal();
  await root('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  // Until a new mount is upgraded to version 2, everything below it is answered with 400.
  await waitUntil(
    () =>
      root('GET', 'secret/config').then(
        () => true,
        () => false,
      ),
    AbortSignal.timeout(30_000),
    20,
  );
  return {
    address,
    port: running.port,
    ca: ca.certificate,
    caFile,
    rootToken,
    rootTokenFile,
    root,
    seal: async () => {
      await root('PUT', 'sys/seal');
    },
    unseal,
    stop,
    start,
    restart: async () => {
      await stop();
      await start();
    },
    close,
  };
}

/** JSON is HCL, too. Raft is the storage of OpenBao 2.7 that keeps data on disk; a multiplier of 1 elects in 2 s, not 5. */
function configOf(dir: string, port: number, clusterPort: number): string {
  return JSON.stringify({
    storage: { raft: { path: join(dir, 'data'), node_id: 'local', performance_multiplier: '1' } },
    listener: {
      tcp: {
        address: `127.0.0.1:${port}`,
        cluster_address: `127.0.0.1:${clusterPort}`,
        tls_cert_file: join(dir, 'tls.crt'),
        tls_key_file: join(dir, 'tls.key'),
      },
    },
    api_addr: `https://127.0.0.1:${port}`,
    cluster_addr: `https://127.0.0.1:${clusterPort}`,
  });
}
