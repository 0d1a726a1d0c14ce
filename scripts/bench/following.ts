/** When each CSR got its certificate or went, as one watch on all of them shows it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { CSRS } from '../../test/support/crowd.ts';
import { readKubeconfig } from '../servers/kubeconfig.ts';

/** Times in ms since `performance.timeOrigin`. */
export interface Following {
  readonly issuedAt: ReadonlyMap<string, number>;
  /** How many of them have a name that begins with `kind` and a dash. */
  issuedOf(kind: string): number;
  /** Calls `then` once, with the PEM, when that CSR has its certificate. */
  once(name: string, then: (certificatePem: string) => void): void;
  /** Of CSRs that were put into etcd and are gone since `forget`. */
  readonly gone: { count: number; firstAt: number; lastAt: number };
  /** Resolves with true when `holds`, with false after `mostMs`; looks at every change. */
  until(holds: () => boolean, mostMs: number): Promise<boolean>;
  forget(): void;
  close(): Promise<void>;
}

/** Between two attempts to watch. */
const AGAIN_MS = 100;

/** How the names of CSRs begin that were put into etcd. */
export const STORED = 'stored-';

/** Watches from now on. */
export async function follow(kubeconfig: string): Promise<Following> {
  const access = readKubeconfig(kubeconfig);
  const agent = new Agent({
    connect: { ca: access.ca, cert: access.certificate, key: access.key },
    bodyTimeout: 0,
    allowH2: false,
  });
  const first = await request(`${access.server}${CSRS}?limit=1`, { dispatcher: agent });
  const { metadata } = (await first.body.json()) as { metadata: { resourceVersion: string } };
  let version = metadata.resourceVersion;
  const issuedAt = new Map<string, number>();
  const counts = new Map<string, number>();
  const wanted = new Map<string, (pem: string) => void>();
  const looks = new Set<() => void>();
  const gone = { count: 0, firstAt: NaN, lastAt: NaN };

  const take = (line: string, now: number): void => {
    const name = /"name":"([^"]+)"/.exec(line)?.[1] ?? '';
    version = /"resourceVersion":"([0-9]+)"/.exec(line)?.[1] ?? version;
    if (line.startsWith('{"type":"ADDED"')) return;
    if (line.startsWith('{"type":"ERROR"')) throw new Error(line);
    if (line.startsWith('{"type":"DELETED"')) {
      // The others were of the case before.
      if (!name.startsWith(STORED)) return;
      gone.count += 1;
      gone.firstAt = gone.count === 1 ? now : gone.firstAt;
      gone.lastAt = now;
      return;
    }
    const certificate = /"certificate":"([^"]+)"/.exec(line)?.[1];
    if (certificate === undefined || issuedAt.has(name)) return;
    issuedAt.set(name, now);
    const kind = name.slice(0, name.indexOf('-'));
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    const then = wanted.get(name);
    wanted.delete(name);
    then?.(Buffer.from(certificate, 'base64').toString());
  };
  const read = async (): Promise<void> => {
    const query = `watch=true&timeoutSeconds=7200&resourceVersion=${version}`;
    const { body } = await request(`${access.server}${CSRS}?${query}`, { dispatcher: agent });
    let rest = '';
    for await (const chunk of body.setEncoding('utf8')) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(line, performance.now());
      for (const look of looks) look();
    }
  };
  const closing = new AbortController();
  // The API server ends watches that are too slow for what happens.
  const readOn = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await read().catch((error: unknown) => {
        if (!closing.signal.aborted) process.stderr.write(`the watch of the load ended: ${String(error)}\n`);
      });
      await sleep(AGAIN_MS, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  };
  const reading = readOn();

  return {
    issuedAt,
    gone,
    issuedOf: (kind) => counts.get(kind) ?? 0,
    once: (name, then) => void wanted.set(name, then),
    until: (holds, mostMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => done(false), mostMs);
        const look = (): void => {
          if (holds()) done(true);
        };
        const done = (answer: boolean): void => {
          clearTimeout(timer);
          looks.delete(look);
          resolve(answer);
        };
        looks.add(look);
        look();
      }),
    forget: () => {
      issuedAt.clear();
      counts.clear();
      wanted.clear();
      Object.assign(gone, { count: 0, firstAt: NaN, lastAt: NaN });
    },
    close: async () => {
      closing.abort();
      await agent.destroy();
      await reading;
    },
  };
}
