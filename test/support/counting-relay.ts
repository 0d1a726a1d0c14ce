import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Passes TCP connections on to a port of loopback, and counts their bytes: what TLS adds is counted, too. */
export interface CountingRelay {
  /** Bytes so far, to the server and from it. */
  readonly bytes: { readonly sent: number; readonly received: number };
  /** Writes a copy of a kubeconfig whose server is the relay. */
  kubeconfig(of: string, file: string): string;
  close(): Promise<void>;
}

export async function startCountingRelay(port: number): Promise<CountingRelay> {
  const bytes = { sent: 0, received: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', ({ length }: Buffer) => (bytes.sent += length)).pipe(upstream);
    upstream.on('data', ({ length }: Buffer) => (bytes.received += length)).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const relayPort = (server.address() as AddressInfo).port;
  return {
    bytes,
    kubeconfig: (of, file) => {
      const text = readFileSync(of, 'utf8').replace(`127.0.0.1:${port}`, `127.0.0.1:${relayPort}`);
      writeFileSync(file, text, { mode: 0o600 });
      return file;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
