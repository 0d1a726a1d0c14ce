import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { deadline } from '../runtime/clock.ts';
import { checkHealth, type HealthCheck } from './health.ts';

export interface OpsServerOptions {
  /** `<IP address>:<port>`; port 0 takes a free one. */
  readonly listen: string;
  readonly registry: Registry;
  readonly readiness: readonly HealthCheck[];
}

const CHECK_MS = 5_000;

/** `/livez`, `/readyz` and `/metrics` over plain HTTP; GET and HEAD only. */
export class OpsServer {
  readonly #options: OpsServerOptions;
  readonly #server: Server;

  constructor(options: OpsServerOptions) {
    this.#options = options;
    this.#server = createServer(
      { requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8_192 },
      (request, response) => {
        const [path = ''] = (request.url ?? '').split('?');
        this.#answer(request.method ?? '', path, response).catch(() => {
          if (!response.headersSent) response.writeHead(500);
          response.end();
        });
      },
    );
  }

  /** Resolves with the port. Rejects when the address cannot be had. */
  start(): Promise<number> {
    const separator = this.#options.listen.lastIndexOf(':');
    const host = this.#options.listen.slice(0, separator).replaceAll(/[[\]]/g, '');
    const port = Number(this.#options.listen.slice(separator + 1));
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(method: string, path: string, response: ServerResponse): Promise<void> {
    if (method !== 'GET' && method !== 'HEAD') return send(response, 405, 'GET and HEAD only\n');
    switch (path) {
      case '/livez':
        return send(response, 200, 'ok\n');
      case '/readyz': {
        const { ready, checks } = await checkHealth(this.#options.readiness, deadline(CHECK_MS));
        const lines = checks.map(
          ({ name, problem }) => `[${problem === undefined ? '+' : '-'}]${name} ${problem ?? 'ok'}\n`,
        );
        return send(response, ready ? 200 : 503, lines.join(''));
      }
      case '/metrics':
        response.setHeader('content-type', this.#options.registry.contentType);
        return send(response, 200, await this.#options.registry.metrics());
      default:
        return send(response, 404, '/livez /readyz /metrics\n');
    }
  }
}

function send(response: ServerResponse, status: number, text: string): void {
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.writeHead(status);
  response.end(text);
}
