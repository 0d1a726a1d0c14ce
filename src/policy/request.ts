import { hash } from 'node:crypto';
import type { CsrReading, KubeletCsr } from '../pki/kubelet-csr.ts';
import { readCommonName, readKubeletCsr } from '../pki/pkcs10.ts';
import { CLIENT_SIGNER, type Csr, SERVING_SIGNER } from '../ports.ts';
import { tokenIdOfUser } from '../tokens/bootstrap-token.ts';
import { isNodeName } from '../tokens/binding.ts';
import type { RequestPath } from './verdict.ts';

export const NODE_USER_PREFIX = 'system:node:';

/**
 * A CSR as every rule looks at it. What is a function is worked out when it is first asked for, and once: a request that
 * waits its turn costs the reading of its name, not a signature to verify.
 */
export interface RequestView {
  readonly csr: Csr;
  readonly path: RequestPath;
  /** What kind of certificate the signer makes. */
  readonly usage: 'client' | 'serving';
  /** Undefined where none can be made out. Claimed by the requester: nothing is verified yet. */
  readonly commonName: string | undefined;
  /** From the common name; undefined when that is no `system:node:<valid name>`. */
  readonly nodeName: string | undefined;
  /** ID of the bootstrap token that made the request. */
  readonly tokenId: string | undefined;
  readonly reading: () => CsrReading;
  /** SHA-256 of the SubjectPublicKeyInfo, hex; '' where no key could be read. */
  readonly keyFingerprint: () => string;
  /** SHA-256 of the bytes of the request, hex. */
  readonly digest: () => string;
}

/** Looks at the request of a CSR. Total: whatever is wrong with the bytes is in `reading`. */
export function viewRequest(csr: Csr): RequestView {
  const { request } = csr;
  const commonName = readCommonName(request);
  const reading = once(() => readKubeletCsr(request));
  return {
    csr,
    path: recognise(csr),
    usage: csr.signerName === SERVING_SIGNER ? 'serving' : 'client',
    commonName,
    nodeName: nodeNameOfUser(commonName ?? ''),
    tokenId: tokenIdOfUser(csr.requester.username),
    reading,
    keyFingerprint: once(() => fingerprintOf(reading().csr)),
    digest: once(() => hash('sha256', request, 'hex')),
  };
}

function fingerprintOf(csr: KubeletCsr | undefined): string {
  return csr === undefined ? '' : hash('sha256', csr.publicKeyDer, 'hex');
}

function once<T>(compute: () => T): () => T {
  let known: T | undefined;
  return () => (known ??= compute());
}

/** `worker-1` from `system:node:worker-1`; undefined when it is not of that form. */
export function nodeNameOfUser(username: string): string | undefined {
  if (!username.startsWith(NODE_USER_PREFIX)) return undefined;
  const name = username.slice(NODE_USER_PREFIX.length);
  return isNodeName(name) ? name : undefined;
}

/** Which way a request came, by signer and user name alone; the rules of that way check the rest. */
function recognise(csr: Csr): RequestPath {
  const { username } = csr.requester;
  if (csr.signerName === CLIENT_SIGNER) {
    if (username.startsWith('system:bootstrap:')) return 'bootstrap';
    if (username.startsWith(NODE_USER_PREFIX)) return 'renewal';
  }
  if (csr.signerName === SERVING_SIGNER && username.startsWith(NODE_USER_PREFIX)) return 'serving';
  return 'other';
}
