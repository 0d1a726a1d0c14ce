import { readFile } from 'node:fs/promises';
import { messageOf, RefusedError } from '../errors.ts';
import type { PairSource } from './signer.ts';

/** A CA key pair in two PEM files, as kube-controller-manager takes it; read anew at each load. */
export function pairFromFiles(certFile: string, keyFile: string): PairSource {
  return {
    describe: () => `CA files ${certFile} and ${keyFile}`,
    load: async (signal) => {
      try {
        const [certPem, keyPem] = await Promise.all(
          [certFile, keyFile].map((path) => readFile(path, { encoding: 'utf8', signal })),
        );
        return { certPem: certPem ?? '', keyPem: keyPem ?? '' };
      } catch (error) {
        throw new RefusedError('AuthorityUnusable', `cannot be read: ${messageOf(error)}`, { cause: error });
      }
    },
  };
}
