import { after, afterEach, before, beforeEach } from 'mocha';
import { connectCluster } from '../../src/kubernetes/kubeconfig.ts';
import type { ApiCall, ApiRequest, Transport } from '../../src/kubernetes/transport.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import { type FaultApiServer, json, startFaultApiServer } from '../support/fault-apiserver.ts';

export const never = new AbortController().signal;
export const GET: ApiRequest = { verb: 'get', resource: 'things', path: '/api/v1/things/a' };

/** One server for a suite, answering `{}` at the beginning of every test, and transports that are closed at its end. */
export class TransportFixture {
  readonly calls: ApiCall[] = [];
  readonly #open: Transport[] = [];
  #server: FaultApiServer | undefined;

  constructor() {
    before(async () => {
      this.#server = await startFaultApiServer();
    });
    beforeEach(() => {
      this.server.answer = json(200, {});
      this.server.seen.length = 0;
      this.calls.length = 0;
    });
    afterEach(async () => {
      await Promise.all(this.#open.splice(0).map((transport) => transport.close()));
    });
    after(() => this.server.close());
  }

  get server(): FaultApiServer {
    if (this.#server === undefined) throw new Error('only in hooks and tests');
    return this.#server;
  }

  transport(options: { kubeconfig?: string; timeoutMs?: number; connections?: number; clock?: Clock } = {}): Transport {
    const { transport } = connectCluster(options.kubeconfig ?? this.server.kubeconfig('kubeconfig'), {
      clock: options.clock ?? systemClock,
      timeoutMs: options.timeoutMs ?? 20_000,
      connections: options.connections ?? 1,
      onCall: (call) => this.calls.push(call),
    });
    this.#open.push(transport);
    return transport;
  }
}
