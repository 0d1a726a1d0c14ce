/** What a call to Vault is for; the label of its metric. */
export type VaultOperation =
  | 'kv-read'
  | 'kv-write'
  | 'kv-list'
  | 'kv-delete'
  | 'pki-read'
  | 'pki-sign'
  | 'login'
  | 'renew'
  | 'lookup'
  | 'mount'
  | 'setup'
  | 'health';
