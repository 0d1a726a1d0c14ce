import { formatPem } from '../pki/pem.ts';
import { inForce } from '../pki/trust.ts';

/**
 * The PEM of the CAs to trust: of each its own certificate, not those above it. While one of them is not known
 * (`complete` is false), what was published before stays in: nobody loses trust because Vault was away.
 */
export function bundleOf(input: {
  /** PEM of each CA that is known, its own certificate first. */
  readonly cas: readonly string[];
  readonly complete: boolean;
  readonly published: string;
  readonly now: number;
}): string {
  const { cas, complete, published, now } = input;
  const own = cas.flatMap((pem) => inForce(pem, now).slice(0, 1));
  const kept = complete ? [] : inForce(published, now);
  return [...new Set([...own, ...kept].map(({ raw }) => formatPem('CERTIFICATE', raw)))].join('');
}
