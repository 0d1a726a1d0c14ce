/** What has an end: the words that readers, judge and output share. */

/** The closed set behind the label `kind`, with what is looked at; the README's table is held against it. */
export const EXPIRY_KINDS = {
  'signing-ca': 'The CA that certificates are signed with, the intermediates above it, and the one before or after it',
  'client-ca': 'Each CA whose clients the API server trusts, from `extension-apiserver-authentication`',
  'api-server': "The API server's serving certificate, from a TLS handshake",
  'validating-webhook': 'Each `caBundle` of a ValidatingWebhookConfiguration',
  'mutating-webhook': 'Each `caBundle` of a MutatingWebhookConfiguration',
  'conversion-webhook': 'The `caBundle` of a CustomResourceDefinition that converts by webhook',
  'api-service': 'The `caBundle` of an APIService that is not served by the API server itself',
  'tls-secret': 'Certificates in Secrets of type `kubernetes.io/tls`, in `expiry.secretNamespaces`',
  kubeconfig: "Client certificates, tokens and CAs in `expiry.kubeconfigs` and in the service's own kubeconfig",
  file: 'PEM files: `expiry.files`, and the CAs that the config or the pod has',
  'vault-server': "Vault's serving certificate, from a TLS handshake",
  'vault-token': "The service's login at Vault",
  'vault-secret-id': 'The secret_id of an AppRole login, where the policy lets it look',
} as const;
export type ExpiryKind = keyof typeof EXPIRY_KINDS;

/** When something ends, as far as it can be known. Times are in ms since the epoch. */
export type Reading =
  | {
      readonly kind: 'ends';
      readonly endsAt: number;
      /** From its beginning to its end; what is near depends on it. */
      readonly lifeMs: number;
      /** In a bundle that outlives it: the first end that is still to come. */
      readonly firstEndsAt?: number | undefined;
      readonly note: string;
    }
  /** Nothing to wait for: no end, or nothing of its own that could end; `note` says which. */
  | { readonly kind: 'none'; readonly note: string }
  /** It is of no use as it is, whatever its end. */
  | { readonly kind: 'unusable'; readonly note: string }
  /** It could not be looked at. */
  | { readonly kind: 'unreadable'; readonly note: string };

/** An object of the cluster, as Events name it. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
}

/** One thing that is watched. Kind and name together are unique. */
export interface Thing {
  readonly kind: ExpiryKind;
  readonly name: string;
  /** Where an Event about it belongs; undefined where nothing in the cluster stands for it. */
  readonly object: ObjectReference | undefined;
  readonly reading: Reading;
}

/** The name of what stands for all things of a kind that could not be looked at. */
export const ALL = '*';

const LONGEST_WORDS = 120;

/** Text that somebody else chose, fit for a label, a log line and a terminal. */
export function plain(text: string): string {
  return text
    .slice(0, LONGEST_WORDS)
    .replaceAll('\n', ', ')
    .replaceAll(/[^ -~]/g, '?');
}

/** `2027-01-31T12:00:00Z`. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
