/** A gate before the real OpenBao, over TLS with a CA of its own: it lets calls through, or does what a test says. */
import { request as forward, createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { OpenBao } from '../../scripts/servers/openbao.ts';
import { createCa } from '../../scripts/servers/pki.ts';

export type GateFault = (response: ServerResponse) => void;

export interface VaultGate {
  readonly address: string;
  /** PEM of the CA that its certificate comes from now. */
  readonly ca: string;
  /** What becomes of calls other than for the seal's status; undefined: they go through. */
  fault: GateFault | undefined;
  /** Calls that came, the seal's status left out. */
  readonly calls: number;
  /** Has a new CA from now on, for new connections; ends the others. */
  renewCa(): Promise<void>;
  close(): Promise<void>;
}

/** Opens it on a free port of loopback. */
export async function openGate(bao: OpenBao): Promise<VaultGate> {
  let ca = await createCa('CA of the gate');
  let serving = await ca.server('gate', ['127.0.0.1', 'localhost']);
  let calls = 0;
  const server: Server = createServer({ cert: serving.certificate, key: serving.key }, (request, response) => {
    const isStatus = request.url === '/v1/sys/seal-status';
    if (!isStatus) calls += 1;
    if (gate.fault === undefined || isStatus) pass(request, response, bao);
    else gate.fault(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const gate: VaultGate = {
    address: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get ca() {
      return ca.certificate;
    },
    get calls() {
      return calls;
    },
    fault: undefined,
    renewCa: async () => {
      ca = await createCa('next CA of the gate');
      serving = await ca.server('gate', ['127.0.0.1', 'localhost']);
      server.setSecureContext({ cert: serving.certificate, key: serving.key });
      server.closeAllConnections();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return gate;
}

function pass(request: IncomingMessage, response: ServerResponse, bao: OpenBao): void {
  const { method, url, headers } = request;
  const onward = forward(`${bao.address}${url}`, { method, headers, ca: bao.ca }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  request.pipe(onward);
}
