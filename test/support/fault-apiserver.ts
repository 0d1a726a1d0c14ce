import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createCa, type KeyPair } from '../../scripts/servers/pki.ts';

/** A request as it came over the wire. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** Parsed JSON; undefined when there was no body. */
  readonly body: unknown;
}

export type Answer = (request: SeenRequest, response: ServerResponse) => void;

/** Parts of a kubeconfig that a test replaces. */
export interface KubeconfigParts {
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly user?: Readonly<Record<string, unknown>>;
}

/** An HTTPS server in the place of an API server: for faults that a real one cannot be made to show. */
export interface FaultApiServer {
  readonly server: string;
  readonly caFile: string;
  /** A folder that is gone after `close`. */
  readonly dir: string;
  readonly seen: SeenRequest[];
  /** TLS connections that were opened. */
  readonly connections: () => number;
  /** What is answered from now on. */
  answer: Answer;
  /** A client certificate of the server's CA. */
  client(name: string): Promise<KeyPair>;
  /** Writes a kubeconfig; with a token of its own unless told otherwise. */
  kubeconfig(file: string, parts?: KubeconfigParts): string;
  close(): Promise<void>;
}

export const BEARER = 'abcdef.secret-part-of-it';

export async function startFaultApiServer(answer: Answer = json(200, {})): Promise<FaultApiServer> {
  const ca = await createCa('fault CA');
  const { certificate: cert, key } = await ca.server('fault', ['127.0.0.1']);
  const dir = mkdtempSync(join(tmpdir(), 'fault-apiserver-'));
  const caFile = join(dir, 'ca.crt');
  writeFileSync(caFile, ca.certificate);
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ cert, key, ca: ca.certificate, requestCert: true, rejectUnauthorized: false });
  server.on('secureConnection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('request', (request, response) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'https://fault');
      const seen: SeenRequest = {
        method: request.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: request.headers,
        body: text === '' ? undefined : (JSON.parse(text) as unknown),
      };
      started.seen.push(seen);
      started.answer(seen, response);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const started: FaultApiServer = {
    server: `https://127.0.0.1:${port}`,
    caFile,
    dir,
    seen: [],
    connections: () => connections,
    answer,
    client: (name) => ca.client(name),
    kubeconfig: (file, parts = {}) => {
      const cluster = parts.cluster ?? { server: started.server, 'certificate-authority': caFile };
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'here',
        clusters: [{ name: 'fault', cluster }],
        users: [{ name: 'me', user: parts.user ?? { token: BEARER } }],
        contexts: [{ name: 'here', context: { cluster: 'fault', user: 'me' } }],
      };
      const path = join(dir, file);
      writeFileSync(path, stringify(config));
      return path;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          rmSync(dir, { recursive: true, force: true });
          resolve();
        });
        for (const socket of sockets) socket.destroy();
      }),
  };
  return started;
}

/** Answers with this status and JSON body. */
export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
}

/** Answers with a Status, as the API server says no. */
export function status(
  code: number,
  reason: string,
  message: string,
  headers?: Readonly<Record<string, string>>,
): Answer {
  return json(code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message, code }, headers);
}
