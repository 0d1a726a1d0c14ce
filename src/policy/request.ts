import { hash } from 'node:crypto';
import type { CsrReading } from '../pki/kubelet-csr.ts';
import { readKubeletCsr } from '../pki/pkcs10.ts';
import { CLIENT_SIGNER, type Csr, SERVING_SIGNER } from '../ports.ts';
import { tokenIdOfUser } from '../tokens/bootstrap-token.ts';
import { isNodeName } from '../tokens/binding.ts';
import type { RequestPath } from './verdict.ts';

export const NODE_USER_PREFIX = 'system:node:';

/** A CSR with its bytes read once; what every rule looks at. */
export interface RequestView {
  readonly csr: Csr;
  readonly path: RequestPath;
  /** What kind of certificate the signer makes. */
  readonly usage: 'client' | 'serving';
  readonly reading: CsrReading;
  /** From the common name; undefined when that is no `system:node:<valid name>`. */
  readonly nodeName: string | undefined;
  /** ID of the bootstrap token that made the request. */
  readonly tokenId: string | undefined;
  /** SHA-256 of the SubjectPublicKeyInfo, hex; '' where no key could be read. Computed when it is asked for. */
  readonly keyFingerprint: () => string;
  /** SHA-256 of the bytes of the request, hex. Computed when it is asked for. */
  readonly digest: () => string;
}

/** Reads the request of a CSR. Total: whatever is wrong with the bytes is in `reading`. */
export function viewRequest(csr: Csr): RequestView {
  const reading = readKubeletCsr(csr.request);
  const nodeName = nodeNameOfUser(reading.seen.commonName ?? '');
  return {
    csr,
    path: recognise(csr),
    usage: csr.signerName === SERVING_SIGNER ? 'serving' : 'client',
    reading,
    nodeName,
    tokenId: tokenIdOfUser(csr.requester.username),
    keyFingerprint: once(() => (reading.csr === undefined ? '' : hash('sha256', reading.csr.publicKeyDer, 'hex'))),
    digest: once(() => hash('sha256', csr.request, 'hex')),
  };
}

function once(compute: () => string): () => string {
  let known: string | undefined;
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
