/** The single things in Vault that a set-up consists of. */
import type { PolicyRule } from './policies.ts';

export type SettingValue = string | number | boolean | readonly string[];

/** `make`: a root whose key never leaves Vault; `import`: PEM of a CA, those above it, and its key. */
export type NewCa =
  | { readonly kind: 'make' }
  | { readonly kind: 'import'; readonly file: string; readonly bundle: string };

export type SetupItem =
  /** A KV engine of version 2. */
  | { readonly kind: 'kv'; readonly mount: string }
  /** A PKI engine whose certificates may live that long. */
  | { readonly kind: 'pki'; readonly mount: string; readonly longestSeconds: number }
  /** The CA of a PKI engine; without `ca` it is looked for, and never made. */
  | { readonly kind: 'issuer'; readonly mount: string; readonly issuer: string; readonly ca: NewCa | undefined }
  | { readonly kind: 'auth'; readonly mount: string; readonly type: string }
  | {
      readonly kind: 'policy';
      readonly name: string;
      /** The auth mount whose accessor stands in it. */
      readonly aliasOf: string | undefined;
      readonly rules: (accessor: string) => readonly PolicyRule[];
    }
  /** Anything that is read by GET and written by POST; what is not named here is left as it is. */
  | {
      readonly kind: 'settings';
      readonly path: readonly string[];
      readonly settings: Readonly<Record<string, SettingValue>>;
    };

/** `blocked`: it is something else, which is not replaced: it may hold what others need; `left`: not made unasked. */
export type ItemState =
  | { readonly kind: 'asWanted' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'differs' | 'blocked' | 'left'; readonly details: readonly string[] };

export const AS_WANTED: ItemState = { kind: 'asWanted' };
export const MISSING: ItemState = { kind: 'missing' };

/** Ten years, as kubeadm's CA has. */
export const CA_SECONDS = 315_360_000;

/** One line for people. */
export function describeItem(item: SetupItem): string {
  switch (item.kind) {
    case 'kv':
      return `KV engine ${item.mount}/`;
    case 'pki':
      return `PKI engine ${item.mount}/`;
    case 'issuer':
      return `issuer ${item.mount}/issuer/${item.issuer}`;
    case 'auth':
      return `auth method auth/${item.mount}/`;
    case 'policy':
      return `policy ${item.name}`;
    case 'settings':
      return item.path.join('/');
  }
}
