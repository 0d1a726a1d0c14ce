import { RemoteError } from '../errors.ts';

/** The segments of `kubelet-bootstrap/nodes/worker-17`. Throws `Invalid` for a path that cannot be sent as it reads. */
export function segmentsOf(path: string): string[] {
  const segments = path.split('/');
  for (const segment of segments) {
    if (segment === '' || segment === '.' || segment === '..') {
      throw new RemoteError('vault', 'Invalid', `${JSON.stringify(path)} is no Vault path: empty, "." or ".." in it`);
    }
  }
  return segments;
}

/**
 * The path as it goes into the URL: every segment percent-encoded, since node-vault encodes nothing (`c#d` would read
 * `c`).
 */
export function encodePath(segments: readonly string[]): string {
  const path = segments.join('/');
  segmentsOf(path);
  return segments.map((segment) => encodeURIComponent(segment)).join('/');
}
