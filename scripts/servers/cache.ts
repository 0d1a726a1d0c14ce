import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { longStep, waitUntil } from './long-step.ts';
import type { LongStep } from './long-step.ts';
import { isRunning, startTimeOf } from './process.ts';

/** One folder of the cache: its name changes whenever its content would. */
export interface CacheEntry {
  readonly path: string;
  readonly step: LongStep;
  readonly signal?: AbortSignal | undefined;
  /** Fills `dir`, an empty folder beside the entry, which becomes the entry only when this resolves. */
  readonly fill: (dir: string) => Promise<void>;
}

/** `kubelet-bootstrap/servers` below `XDG_CACHE_HOME` or `~/.cache`. */
export function cacheRoot(env: NodeJS.ProcessEnv): string {
  const configured = env['XDG_CACHE_HOME'];
  const cache = configured === undefined || configured === '' ? join(homedir(), '.cache') : configured;
  return join(cache, 'kubelet-bootstrap', 'servers');
}

/**
 * Answers the entry's path, filling it first when it is not there. It appears by one rename: an interrupted fill leaves
 * none. One process fills and others wait for it; when it dies, another takes over.
 */
export async function cached(entry: CacheEntry): Promise<string> {
  if (existsSync(entry.path)) return entry.path;
  await mkdir(dirname(entry.path), { recursive: true });
  if (await lock(entry.path)) {
    try {
      // Between the look above and the lock, another process may have finished.
      if (!existsSync(entry.path)) await longStep(entry.step, () => fillAndRename(entry));
    } finally {
      await rm(lockFile(entry.path), { force: true });
    }
    return entry.path;
  }
  await longStep({ ...entry.step, what: `waiting for another process that is ${entry.step.what}` }, () =>
    waitUntil(async () => existsSync(entry.path) || !(await lockIsHeld(entry.path)), entry.signal),
  );
  return cached(entry);
}

async function fillAndRename(entry: CacheEntry): Promise<void> {
  await removeLeftovers(entry.path);
  const dir = `${entry.path}.${owner()}.${randomBytes(4).toString('hex')}.tmp`;
  await mkdir(dir);
  try {
    await entry.fill(dir);
    entry.signal?.throwIfAborted();
    await rename(dir, entry.path);
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    if (!existsSync(entry.path)) throw error;
  }
}

/** Folders of processes that were killed while they filled them. */
async function removeLeftovers(path: string): Promise<void> {
  for (const name of await readdir(dirname(path))) {
    const [, pid, startTime] = /\.(\d+)-(\d+)\.[0-9a-f]{8}\.tmp$/.exec(name) ?? [];
    if (!name.startsWith(`${basename(path)}.`) || pid === undefined || startTime === undefined) continue;
    if (!isRunning({ pid: Number(pid), startTime }))
      await rm(join(dirname(path), name), { recursive: true, force: true });
  }
}

const lockFile = (path: string): string => `${path}.lock`;

function owner(): string {
  return `${process.pid}-${startTimeOf(process.pid) ?? '0'}`;
}

/**
 * Takes the lock unless a live process has it. Two processes that find the lock of a dead one at the same moment can both
 * come out as holders: then both fill, and the rename of the second fails harmlessly.
 */
async function lock(path: string): Promise<boolean> {
  try {
    const file = await open(lockFile(path), 'wx');
    await file.writeFile(owner());
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (await lockIsHeld(path)) return false;
  await rm(lockFile(path), { force: true });
  return lock(path);
}

async function lockIsHeld(path: string): Promise<boolean> {
  const text = await readFile(lockFile(path), 'utf8').catch(() => undefined);
  if (text === undefined) return false;
  const [pid, startTime] = text.split('-');
  // An empty file was created a moment ago and is about to be written.
  return text === '' || (startTime !== undefined && isRunning({ pid: Number(pid), startTime }));
}
