/** Which certificates a bundle of trusted CAs vouches for. Nothing here throws. */
import { X509Certificate } from 'node:crypto';
import { CERTIFICATE_BLOCK } from './pem.ts';
import { isIssuedBy } from './signing-ca.ts';

/** Every certificate that can be read; text around them is usual in such files. */
export function readBundle(text: string): X509Certificate[] {
  return (text.match(CERTIFICATE_BLOCK) ?? []).flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
}

/** The same name and key: what a certificate is checked with, also after the CA's own was renewed. */
export function isSameCa(one: X509Certificate, other: X509Certificate): boolean {
  return one.subject === other.subject && one.publicKey.equals(other.publicKey);
}

/** Those of a bundle that have not ended at `now`. */
export function inForce(bundle: string, now: number): X509Certificate[] {
  return readBundle(bundle).filter(({ validToDate }) => validToDate.getTime() > now);
}

/** Those of `trusted` that vouch for a CA, whose certificate `chain` begins with. */
export function anchorsOf(chain: readonly X509Certificate[], trusted: readonly X509Certificate[]): X509Certificate[] {
  return trusted.filter((anchor) => chain.some((each) => isSameCa(each, anchor) || isIssuedBy(each, anchor)));
}
