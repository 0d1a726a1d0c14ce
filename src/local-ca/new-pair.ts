import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { RefusedError } from '../errors.ts';
import { commonNameOnly, type RootPlan, rootToBeSigned, signedRoot } from '../pki/authority-builder.ts';
import { formatPem } from '../pki/pem.ts';
import type { Pair, PairTexts } from './pair.ts';
import { serialNumbers, signBytes } from './signer.ts';

/** From when to when a new CA is valid, ms since the epoch. */
export interface PairTimes {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** A new root with a new key on P-256. */
export async function newPair(commonName: string, times: PairTimes): Promise<PairTexts> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
  const algorithm = 'ecdsa-with-SHA256';
  const plan: RootPlan = { subjectDer: commonNameOnly(commonName), publicKeyDer, algorithm, ...times };
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  return { certPem: await selfSigned(plan, { key: privateKey, algorithm }), keyPem: String(keyPem) };
}

/**
 * The same name and key with a new certificate: what was signed before stays good. Throws RefusedError
 * `AuthorityUnusable` for an intermediate, which another CA has to sign.
 */
export async function renewedPair(pair: Pair, times: PairTimes): Promise<PairTexts> {
  if (pair.chainPem !== '') {
    throw new RefusedError('AuthorityUnusable', 'the CA is an intermediate: have its issuer sign it, and bring that');
  }
  const { authority, key, algorithm } = pair;
  const publicKeyDer = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const { subjectDer, subjectKeyId } = authority;
  const plan: RootPlan = { subjectDer, subjectKeyId, publicKeyDer, algorithm, ...times };
  return { certPem: await selfSigned(plan, pair), keyPem: String(key.export({ type: 'pkcs8', format: 'pem' })) };
}

async function selfSigned(plan: RootPlan, pair: Pick<Pair, 'key' | 'algorithm'>): Promise<string> {
  const toBeSigned = rootToBeSigned(plan, serialNumbers()());
  return formatPem('CERTIFICATE', signedRoot(plan, toBeSigned, await signBytes(pair, toBeSigned)));
}
