import { readdirSync, readFileSync } from 'node:fs';

/**
 * `spec` of a CSR that a kubelet 1.37.2 made (`request` as text): with the key that it draws itself or, where the file is
 * named after a key, with one that it found in its `--cert-dir` as `kubelet-client.key.tmp`. Nothing in it is secret.
 */
export interface KubeletCsrSpec {
  readonly signerName: string;
  readonly username: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly usages: readonly string[];
  readonly request: string;
}

const FOLDER = new URL('../fixtures/kubelet-csrs/', import.meta.url);

/** All that are kept, by name. */
export function kubeletCsrs(): { readonly name: string; readonly csr: KubeletCsrSpec }[] {
  return readdirSync(FOLDER).map((file) => ({
    name: file.replace('.json', ''),
    csr: JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as KubeletCsrSpec,
  }));
}
