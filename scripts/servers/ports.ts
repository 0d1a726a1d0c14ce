import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { StartError } from './supervisor.ts';

const FIRST_PORT = 15_000;
const LAST_PORT = 32_000;

/** Ports of loopback that are free now, all different. Somebody else may take one before it is used: see `withFreePorts`. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, listen));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Calls `start` with free ports, and again with others when one was taken meanwhile; three times at most. */
export async function withFreePorts<T>(count: number, start: (ports: readonly number[]) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePorts(count));
    } catch (error) {
      const clash = error instanceof StartError && error.log.includes('address already in use');
      if (!clash || attempt === 3) throw error;
    }
  }
}

/**
 * A port below those that Linux gives to outgoing connections (from 32768 on): one of these could take it between two
 * starts of the same server.
 */
function listen(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    const tryAny = (): void => void server.listen(randomInt(FIRST_PORT, LAST_PORT), '127.0.0.1');
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') tryAny();
      else reject(error);
    });
    server.once('listening', () => resolve(server));
    tryAny();
  });
}
