/** What a PKI engine needs for the service to sign with it. */
import type { CertificateKind } from '../../pki/certificate-plan.ts';
import type { NewCa, SettingValue } from './items.ts';
import type { PolicyRule } from './policies.ts';

export interface PkiWishes {
  readonly mount: string;
  /** Name or ID of the issuer. */
  readonly issuer: string;
  readonly roles: ReadonlyMap<CertificateKind, string>;
  /** Globs of the DNS names in serving certificates. */
  readonly servingNames: readonly string[];
  /** The longest lifetimes that will be asked for, in ms. */
  readonly longestMs: Readonly<Record<'client' | 'serving', number>>;
  /** What to do where there is no such issuer; nothing unless somebody asked for it. */
  readonly ca: NewCa | undefined;
}

const BACKDATE_SECONDS = 300;
/** Globs in `allowed_domains` are also what the common name is held against. */
const NODE_USERS = 'system:node:*';

/**
 * A role that signs one kind of certificate, and nothing else of the kind that a kubelet may have: every key that could
 * put more into it is named, so that a comparison finds it.
 */
export function roleSettings(kind: CertificateKind, wishes: PkiWishes): Readonly<Record<string, SettingValue>> {
  const usage = kind.startsWith('client') ? 'client' : 'serving';
  const serves = usage === 'serving';
  const seconds = Math.ceil(wishes.longestMs[usage] / 1000);
  return {
    key_type: 'any',
    organization: ['system:nodes'],
    ou: [],
    country: [],
    locality: [],
    province: [],
    street_address: [],
    postal_code: [],
    server_flag: serves,
    client_flag: !serves,
    code_signing_flag: false,
    email_protection_flag: false,
    key_usage: kind.endsWith('-encipherment') ? ['DigitalSignature', 'KeyEncipherment'] : ['DigitalSignature'],
    ext_key_usage: [],
    ext_key_usage_oids: [],
    policy_identifiers: [],
    basic_constraints_valid_for_non_ca: true,
    allow_any_name: false,
    allowed_domains: serves ? [NODE_USERS, ...wishes.servingNames] : [NODE_USERS],
    allow_glob_domains: true,
    allow_bare_domains: false,
    allow_subdomains: false,
    allow_localhost: false,
    allow_wildcard_certificates: false,
    enforce_hostnames: false,
    cn_validations: ['hostname'],
    use_csr_common_name: true,
    use_csr_sans: serves,
    allow_ip_sans: serves,
    allowed_uri_sans: [],
    allowed_other_sans: [],
    not_before_duration: BACKDATE_SECONDS,
    not_before_bound: 'forbid',
    not_after_bound: 'ttl-limited',
    ttl: seconds,
    max_ttl: seconds,
    no_store: true,
    generate_lease: false,
  };
}

/** What the service may do: sign, with these roles, by this issuer, what the request's own names allow. */
export function pkiPolicy({ mount, issuer, roles }: Pick<PkiWishes, 'mount' | 'issuer' | 'roles'>): PolicyRule[] {
  return [...new Set(roles.values())].map((role) => ({
    path: `${mount}/issuer/${issuer}/sign/${role}`,
    capabilities: ['update'],
    parameters: PARAMETERS,
  }));
}

const PARAMETERS = `allowed_parameters = {
  "csr" = []
  "ttl" = []
  "exclude_cn_from_sans" = ["true", true]
}
required_parameters = ["exclude_cn_from_sans"]`;
