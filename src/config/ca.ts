/** The keys that say what certificates are signed with. */
import * as z from 'zod';
import { concurrency, duration, file, pathSegment, pathSegments, time } from './values.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const pki = z.strictObject({
  mount: pathSegments.describe('Mount of the PKI engine'),
  issuer: pathSegment
    .refine((name) => name !== 'default', 'must name one issuer: `default` is whichever others make it')
    .describe('Name or ID of the issuer that signs; its `default` can be moved by others, and is refused'),
  roles: z
    .strictObject({
      client: pathSegment.default('kubelet-client').describe('Role for client certificates'),
      clientEncipherment: pathSegment
        .default('kubelet-client-encipherment')
        .describe('Role for those with key encipherment'),
      serving: pathSegment.default('kubelet-serving').describe('Role for serving certificates'),
      servingEncipherment: pathSegment
        .default('kubelet-serving-encipherment')
        .describe('Role for those with key encipherment'),
    })
    .prefault({}),
  servingNames: z
    .array(z.string().regex(/^[a-z0-9*.-]+$/, 'must be a lower-case DNS name, with * for any part of it'))
    .min(1)
    .default(['*'])
    .describe('DNS names that the roles for serving certificates let through, * for any part of a name'),
  concurrency: concurrency.default(16).describe('Certificates that Vault is asked for at the same time'),
});

const caSource = {
  vaultPath: pathSegments.optional().describe('KV path below the mount of an entry with `cert` and `key`, PEM'),
  certificateFile: file.optional().describe('PEM file of the CA; chain certificates may follow'),
  keyFile: file.optional().describe('PEM file of its key'),
  pki: pki.optional().describe("Vault's own PKI engine signs; the key never leaves it"),
};

/** The keys below `signer.ca`. */
export const ca = z.strictObject({
  ...caSource,
  refresh: duration(1_000, HOUR).default(MINUTE).describe('How often a changed CA is looked for'),
  onEarlyEnd: z
    .enum(['shorten', 'refuse'])
    .default('shorten')
    .describe('When the CA ends before a certificate would: end it with the CA, or leave it unsigned'),
  next: z
    .strictObject({
      ...caSource,
      from: time.optional().describe('When it begins to sign, RFC 3339; without, it is only to be trusted'),
    })
    .optional()
    .describe('The CA that follows; it is published at once, and signs from its time on'),
});
