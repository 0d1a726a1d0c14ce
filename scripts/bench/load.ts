/** The load of the bench, in a process of its own: what it costs is counted apart. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Answer, Call, LoadCalls, LoadSettings } from './load-calls.ts';
import { cpuSeconds } from './stage.ts';

export type Load = LoadCalls & {
  /** CPU seconds so far. */
  cpu(): number;
  stop(): void;
};

/** Starts it; it follows every CSR from then on. */
export async function startLoad(settings: LoadSettings): Promise<Load> {
  const child = fork(join(import.meta.dirname, 'load-process.ts'), { serialization: 'advanced' });
  const waiting = new Map<number, (answer: Answer) => void>();
  let ended: string | undefined;
  child.on('message', (answer: Answer) => {
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  child.on('exit', (code) => {
    ended = `the load ended with ${code}`;
    for (const [id, done] of waiting) done({ id, error: ended });
  });
  await send(child, settings);
  let calls = 0;
  const call = (name: keyof LoadCalls, args: readonly unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = (calls += 1);
      waiting.set(id, ({ value, error }) => (error === undefined ? resolve(value) : reject(new Error(error))));
      if (ended === undefined) void send(child, { id, name, args } satisfies Call).catch(reject);
      else reject(new Error(ended));
    });
  const proxy = new Proxy({} as LoadCalls, {
    get:
      (_, name) =>
      (...args: unknown[]) =>
        call(name as keyof LoadCalls, args),
  });
  await proxy.forget();
  const of = <K extends keyof LoadCalls>(name: K): LoadCalls[K] => proxy[name];
  return {
    make: of('make'),
    oneByOne: of('oneByOne'),
    pace: of('pace'),
    paceUntilGone: of('paceUntilGone'),
    flood: of('flood'),
    join: of('join'),
    issued: of('issued'),
    waited: of('waited'),
    gone: of('gone'),
    inFlight: of('inFlight'),
    heartbeats: of('heartbeats'),
    forget: of('forget'),
    cpu: () => cpuSeconds(child.pid ?? 0),
    stop: () => void child.kill(),
  };
}

function send(child: ChildProcess, message: object): Promise<void> {
  return new Promise((resolve, reject) => child.send(message, (error) => (error === null ? resolve() : reject(error))));
}
