import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { signalProcess, startTimeOf } from './process.ts';

/** Something outside the servers' folder that a kubelet changes, and that is put back when it has ended. */
export type Trace =
  /** A kernel setting: the kubelet overwrites some (upstream `container_manager_linux.go`, setupKernelTunables). */
  | { readonly kind: 'setting'; readonly path: string; readonly value: string }
  /** A network interface that was added. */
  | { readonly kind: 'interface'; readonly name: string }
  /** Shims of the containerd that listens at this socket. */
  | { readonly kind: 'shims'; readonly socket: string }
  /** Mounts below this folder. */
  | { readonly kind: 'mounts'; readonly dir: string }
  /** A socket file, and a folder that goes if it is empty: the kubelet has a few paths that no option moves. */
  | { readonly kind: 'socket' | 'folder'; readonly path: string };

const SETTINGS = ['vm/overcommit_memory', 'vm/panic_on_oom', 'kernel/panic', 'kernel/panic_on_oops'];
const KEY_SETTINGS = ['kernel/keys/root_maxkeys', 'kernel/keys/root_maxbytes'];
const FIXED_PATHS = [
  ['folder', '/var/log/containers'],
  ['folder', '/var/lib/kubelet'],
  ['folder', '/var/lib/kubelet/device-plugins'],
  ['socket', '/var/lib/kubelet/device-plugins/kubelet.sock'],
] as const;

/** What a kubelet is going to change on this host, as it is now. Undo it from the last to the first. */
export function tracesOfKubelet(dir: string, socket: string): Trace[] {
  const settings = [...SETTINGS, ...KEY_SETTINGS].map((name) => `/proc/sys/${name}`).filter((path) => existsSync(path));
  return [
    ...FIXED_PATHS.filter(([, path]) => !existsSync(path)).map(([kind, path]) => ({ kind, path })),
    ...settings.map((path): Trace => ({ kind: 'setting', path, value: readFileSync(path, 'utf8').trim() })),
    { kind: 'mounts', dir },
    { kind: 'shims', socket },
  ];
}

/** Puts one thing back. Does not wait, so that it works while a process exits, and never throws: the next comes anyway. */
export function undo(trace: Trace): void {
  try {
    switch (trace.kind) {
      case 'setting':
        if (readFileSync(trace.path, 'utf8').trim() !== trace.value) writeFileSync(trace.path, trace.value);
        break;
      case 'interface':
        spawnSync('ip', ['link', 'del', trace.name], { stdio: 'ignore' });
        break;
      case 'shims':
        killShims(trace.socket);
        break;
      case 'mounts':
        for (const target of mountsBelow(trace.dir).reverse()) unmount(target);
        break;
      case 'socket':
        rmSync(trace.path, { force: true });
        break;
      case 'folder':
        rmdirSync(trace.path);
        break;
    }
  } catch {
    // Gone already, not empty, or not ours to change any more.
  }
}

/** One that is still in use, by a process that is just ending, goes as soon as it is not. */
function unmount(target: string): void {
  const { status } = spawnSync('umount', [target], { stdio: 'ignore' });
  if (status !== 0) spawnSync('umount', ['--lazy', target], { stdio: 'ignore' });
}

/** Shims name the socket of their containerd in their arguments. */
function killShims(socket: string): void {
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    const startTime = startTimeOf(pid);
    if (startTime === undefined) continue;
    const args = argumentsOf(pid);
    if (args[0]?.includes('containerd-shim') === true && args.includes(socket))
      signalProcess({ pid, startTime }, 'SIGKILL');
  }
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // It has ended meanwhile.
  }
}

/** Mount points below a folder, in the order of mounting (proc(5), mountinfo: blanks are written in octal). */
function mountsBelow(dir: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replaceAll(/\\([0-7]{3})/g, (_, code: string) =>
        String.fromCodePoint(Number.parseInt(code, 8)),
      ),
    )
    .filter((target) => target.startsWith(`${dir}/`));
}
