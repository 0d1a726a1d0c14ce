/** Every key of the config file with its line of help; the README's table is made of these and held against them. */
import * as z from 'zod';
import { ca } from './ca.ts';
import { expirySection } from './expiry.ts';
import {
  concurrency,
  dnsLabel,
  dnsSubdomain,
  dnsSuffix,
  duration,
  file,
  https,
  isListenAddress,
  pathSegments,
  pattern,
  ranges,
  time,
} from './values.ts';
import { parseRanges } from '../policy/addresses.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const YEAR = 365 * 24 * HOUR;

export const CONTROLLERS = ['minter', 'approver', 'signer', 'cleaner'] as const;
export type ControllerName = (typeof CONTROLLERS)[number];

export const MODES = ['enforce', 'observe', 'approve-only', 'sign-only'] as const;
export type Mode = (typeof MODES)[number];

const pool = z.strictObject({
  nodeNames: pattern.describe('RE2 pattern that the whole name of a node of this pool matches'),
  tokenLifetime: duration(10 * MINUTE, YEAR)
    .default(24 * HOUR)
    .describe("Lifetime of the pool's token; it is replaced at half of it"),
  uses: z.int().min(1).max(2_000).optional().describe('How many nodes one token is good for; any number without it'),
  maxNodes: z.int().min(1).optional().describe('Nodes of this pool with a certificate, at most'),
  rejoin: z
    .enum(['whenCertificateExpired', 'whenStale', 'never'])
    .default('whenCertificateExpired')
    .describe("When the pool's token may replace a node that is there and not alive"),
  admitsAnyName: z.boolean().default(false).describe('Acknowledges a pattern that every name matches'),
  admitsAnyAddress: z.boolean().default(false).describe('Acknowledges ranges that cover half of all addresses'),
  controlPlane: z.boolean().default(false).describe('Its nodes may have names of `controlPlane.nodeNames`'),
  lifetime: z
    .strictObject({
      client: duration(MINUTE, 10 * YEAR)
        .optional()
        .describe('Of client certificates, instead of `signer.lifetime.client`'),
      serving: duration(MINUTE, 10 * YEAR)
        .optional()
        .describe('Of serving certificates, instead of `signer.lifetime.serving`'),
    })
    .prefault({}),
  longestRequest: duration(10 * MINUTE, 100 * YEAR)
    .optional()
    .describe('Instead of `approver.longestRequest`'),
  addressRanges: ranges.optional().describe('Instead of `serving.addressRanges`'),
  dnsSuffixes: z.array(dnsSuffix).optional().describe('Instead of `serving.dnsSuffixes`'),
});

const auth = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('tokenFile'),
    tokenFile: file.describe('File with a Vault token, read again when it changes'),
  }),
  z.strictObject({
    method: z.literal('approle'),
    mount: pathSegments.default('approle').describe('Mount of the AppRole auth method, below auth/'),
    roleIdFile: file.describe('File with the role_id'),
    secretIdFile: file.describe('File with the secret_id'),
  }),
  z.strictObject({
    method: z.literal('kubernetes'),
    mount: pathSegments.default('kubernetes').describe('Mount of the Kubernetes auth method, below auth/'),
    role: z.string().min(1).describe('Role of the Kubernetes auth method'),
    jwtFile: file
      .default('/var/run/secrets/kubernetes.io/serviceaccount/token')
      .describe('Projected service account token, read again at each login'),
  }),
  z.strictObject({
    method: z.literal('jwt'),
    mount: pathSegments.default('jwt').describe('Mount of the JWT auth method, below auth/'),
    role: z.string().min(1).describe('Role of the JWT auth method'),
    jwtFile: file
      .default('/var/run/secrets/kubernetes.io/serviceaccount/token')
      .describe('Identity token, such as a projected service account token, read again at each login'),
  }),
]);

const vault = z.strictObject({
  address: https.describe('URL of Vault or OpenBao'),
  caFile: file.optional().describe("PEM bundle that Vault's certificate is checked with; the system's CAs without it"),
  namespace: z.string().min(1).optional().describe('Namespace, where Vault has them'),
  mount: pathSegments.default('secret').describe('Mount of the KV version 2 engine'),
  prefix: pathSegments.default('kubelet-bootstrap').describe('Path below the mount for nodes/ and pools/'),
  timeout: duration(100, 5 * MINUTE)
    .default(10_000)
    .describe('For one call'),
  auth: auth.describe('How the service logs in: tokenFile, approle, kubernetes or jwt'),
});

const retention = z.strictObject({
  issued: duration(0, YEAR).default(HOUR).describe('With a certificate; an expired one goes at once'),
  denied: duration(0, YEAR).default(HOUR).describe('Denied'),
  failed: duration(0, YEAR).default(HOUR).describe('Failed'),
  pending: duration(0, YEAR)
    .default(24 * HOUR)
    .describe('Without a decision'),
  approvedUnissued: duration(0, YEAR)
    .default(24 * HOUR)
    .describe('Approved, without a certificate'),
  superseded: duration(0, YEAR)
    .default(HOUR)
    .describe('Without a certificate, and the same requester made a newer one'),
});

const waitOrDeny = z.enum(['wait', 'deny']);

/** The whole config file. */
export const configSchema = z.strictObject({
  kubernetes: z
    .strictObject({
      kubeconfig: file.optional().describe("kubeconfig file; the pod's service account without it"),
      connections: z.int().min(4).max(256).default(80).describe('Connections to the API server at most'),
      timeout: duration(100, 5 * MINUTE)
        .default(15_000)
        .describe('For one call'),
    })
    .prefault({}),
  cluster: z.strictObject({
    server: https.describe('URL of the API server as nodes reach it; goes into their bootstrap kubeconfig'),
    caFile: file.optional().describe("PEM of the CA that nodes check it with; the kubeconfig's own without it"),
    domain: dnsSuffix.default('cluster.local').describe("DNS domain of the cluster: names of Services are no node's"),
  }),
  vault: vault.optional().describe('Needed by the minter, and by the signer when the CA is in Vault'),
  controllers: z
    .array(z.enum(CONTROLLERS))
    .min(1)
    .default([...CONTROLLERS])
    .describe('Which controllers run'),
  mode: z
    .enum(MODES)
    .default('enforce')
    .describe('enforce; observe: decide and write nothing; approve-only: another signs; sign-only: others approve'),
  approver: z
    .strictObject({
      concurrency: concurrency.default(32).describe('CSRs that are decided on at the same time'),
      onViolation: z
        .union([
          waitOrDeny,
          z.strictObject({ form: waitOrDeny, identity: waitOrDeny, names: waitOrDeny, terms: waitOrDeny }).partial(),
        ])
        .default('wait')
        .describe('wait or deny, for everything or by class of the reason; a denied kubelet makes 28 times more CSRs'),
      accessReview: z.enum(['class', 'full']).default('class').describe('Ask RBAC by class, or for every requester'),
      longestRequest: duration(10 * MINUTE, 100 * YEAR)
        .default(YEAR)
        .describe('Longest expirationSeconds that may be asked for'),
      staleAfter: duration(MINUTE, 24 * HOUR)
        .default(15 * MINUTE)
        .describe('A node whose Lease was renewed within this is alive, and not replaced'),
      renewWithoutNode: duration(0, 10 * YEAR)
        .default(HOUR)
        .describe('How long after its issue a certificate can be renewed without a Node object'),
      credentials: z
        .enum(['adopt', 'strict'])
        .default('adopt')
        .describe('Whether a node may renew a certificate that is not on its record'),
      unboundTokensUntil: time.optional().describe('Until then tokens without a binding are admitted'),
    })
    .prefault({}),
  serving: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Whether serving certificates are approved and signed'),
      dnsSuffixes: z.array(dnsSuffix).default([]).describe('Names besides <node> itself: <node>.<suffix>'),
      addressRanges: ranges.optional().describe('Where the addresses of nodes lie, as CIDRs; there is no default'),
      admitsAnyAddress: z.boolean().default(false).describe('Acknowledges ranges that cover half of all addresses'),
      serviceRanges: ranges
        .default(parseRanges([]).ranges)
        .describe('CIDRs of Services, besides those that the cluster has as ServiceCIDR objects'),
      inventory: z
        .strictObject({
          file: file.optional().describe('YAML file with a list of addresses and DNS names for each node'),
          configMap: dnsSubdomain
            .optional()
            .describe('The same in the key `inventory` of a ConfigMap in `state.namespace`'),
        })
        .refine(({ file: path, configMap }) => (path === undefined) !== (configMap === undefined), {
          error: 'must have either file or configMap',
        })
        .optional()
        .describe('What addresses nodes have, by name'),
    })
    .prefault({}),
  signer: z
    .strictObject({
      concurrency: concurrency.default(32).describe('CSRs that are signed at the same time'),
      lifetime: z
        .strictObject({
          client: duration(MINUTE, 10 * YEAR)
            .default(7 * 24 * HOUR)
            .describe('Of client certificates, at most'),
          serving: duration(MINUTE, 10 * YEAR)
            .default(7 * 24 * HOUR)
            .describe('Of serving certificates, at most'),
          steps: z.int().min(1).max(4).default(2).describe('Lifetimes over the nodes, each 7/9 of the one before'),
        })
        .prefault({}),
      ca: ca.prefault({}),
    })
    .prefault({}),
  controlPlane: z
    .strictObject({
      nodeNames: pattern.describe(
        'RE2 pattern of names that only a token for one node or a control-plane pool can obtain',
      ),
    })
    .optional()
    .describe('The class of control-plane nodes'),
  state: z
    .strictObject({
      namespace: dnsLabel
        .default('kubelet-bootstrap')
        .describe('Namespace of the ConfigMaps with node records and claims'),
    })
    .prefault({}),
  // Their names are held by readConfig: with a wrong key zod would not look at its value.
  pools: z.record(z.string(), pool).default({}).describe('Pools of nodes by name; each is kept filled with a token'),
  minter: z
    .strictObject({
      concurrency: concurrency.default(4).describe('Pools that are worked on at the same time'),
      tokenLifetime: duration(MINUTE, YEAR).default(HOUR).describe('Lifetime of a token for one node'),
      reentry: z
        .strictObject({
          enabled: z
            .boolean()
            .default(true)
            .describe('Publish a token for a known node whose certificate ends unrenewed'),
          tokenLifetime: duration(10 * MINUTE, YEAR)
            .default(24 * HOUR)
            .describe('Lifetime of such a token; while the node stays away it is replaced'),
          within: duration(0, YEAR)
            .default(7 * 24 * HOUR)
            .describe('How long after the end of its certificate a node is waited for'),
          perMinute: z.int().min(6).max(6_000).default(120).describe('Such tokens a minute at most'),
        })
        .prefault({}),
    })
    .prefault({}),
  cleaner: z
    .strictObject({
      concurrency: concurrency.default(3).describe('Deletions at the same time; more where the API server is far away'),
      perSecond: z
        .int()
        .min(1)
        .max(10_000)
        .default(600)
        .describe('Deletions that begin in a second at most; 40 while this process decides or signs without a pause'),
      interval: duration(1_000, HOUR).default(MINUTE).describe('Between two passes'),
      dryRun: z.boolean().default(false).describe('Only log what would be removed'),
      allSigners: z.boolean().default(false).describe('Clean the CSRs of every signer, not just the kubelets'),
      retention: retention.prefault({}),
    })
    .prefault({}),
  expiry: expirySection,
  ops: z
    .strictObject({
      listen: z
        .string()
        .refine(isListenAddress, 'must be <IP address>:<port>, such as 0.0.0.0:9440 or [::]:9440')
        .default('127.0.0.1:9440')
        .describe('Address of /livez, /readyz and /metrics'),
      logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least level that is logged'),
      shutdown: duration(1_000, 10 * MINUTE)
        .default(20_000)
        .describe('Time for work in hand after SIGTERM'),
    })
    .prefault({}),
});

export type ConfigShape = z.output<typeof configSchema>;
