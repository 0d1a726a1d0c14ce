import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';

/** Where a request was about to go although it is not Vault; `message` names the place. */
export class ForeignHostError extends Error {
  readonly code = 'FOREIGN_HOST';
}

export interface PinnedAgentOptions {
  /** PEM of the CAs to trust instead of the host's. */
  readonly caPem: string | undefined;
  readonly maxSockets: number;
}

type Created = (error: Error | null, socket?: Duplex) => void;
type Connect = (created: Created) => Duplex | null | undefined;

/**
 * Agents that connect to `address` and to nothing else. node-vault follows a redirect to any host and sends
 * X-Vault-Token there, and axios reads proxies from the environment; neither can be switched off through node-vault,
 * so both end here, before a byte is sent. An empty `proxyEnv` is how axios is told that the agent sees to proxies.
 */
export function pinnedAgents(
  address: URL,
  options: PinnedAgentOptions,
): { httpAgent: http.Agent; httpsAgent: https.Agent } {
  const shared = { keepAlive: true, maxSockets: options.maxSockets, proxyEnv: {} };
  const guard = (protocol: string, target: http.ClientRequestArgs, created: Created, connect: Connect) => {
    const host = target.host ?? target.hostname ?? '';
    const port = String(target.port ?? '');
    if (protocol === address.protocol && host === hostOf(address) && port === portOf(address)) {
      return connect(created);
    }
    created(new ForeignHostError(`sent on to ${protocol}//${host}:${port}, which was not followed`));
    return undefined;
  };

  class PinnedHttpAgent extends http.Agent {
    override createConnection(target: http.ClientRequestArgs, created: Created): Duplex | null | undefined {
      return guard('http:', target, created, (done) => super.createConnection(target, done));
    }
  }
  class PinnedHttpsAgent extends https.Agent {
    override createConnection(target: https.RequestOptions, created: Created): Duplex | null | undefined {
      return guard('https:', target, created, (done) => super.createConnection(target, done));
    }
  }
  return {
    httpAgent: new PinnedHttpAgent(shared),
    httpsAgent: new PinnedHttpsAgent({
      ...shared,
      rejectUnauthorized: true,
      ...(options.caPem === undefined ? {} : { ca: options.caPem }),
    }),
  };
}

function hostOf(address: URL): string {
  return address.hostname.replace(/^\[(.*)\]$/, '$1');
}

function portOf(address: URL): string {
  if (address.port !== '') {
    return address.port;
  }
  return address.protocol === 'https:' ? '443' : '80';
}
