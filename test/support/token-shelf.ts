/** Both places where tokens stand, the API server and Vault, read and written by hand: not through the code under test. */
import type { ControlPlane } from '../../scripts/servers/control-plane.ts';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import type { OpenBao } from '../../scripts/servers/openbao.ts';
import { drawToken } from '../../src/tokens/bootstrap-token.ts';

const SECRETS = '/api/v1/namespaces/kube-system/secrets';
const SELECTOR = '?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken';
export const OURS = { 'app.kubernetes.io/managed-by': 'kubelet-bootstrap' };

/** A token's Secret; `data` is plain text. */
export interface SeenSecret {
  readonly type: string;
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly data: Readonly<Record<string, string>>;
}

/** A read of `data` in Vault, and the custom_metadata that stands at its path. */
export interface SeenEntry {
  readonly status: number;
  readonly data: Readonly<Record<string, string>> | undefined;
  readonly metadata: { readonly version: number; readonly destroyed: boolean } | undefined;
  readonly custom: Readonly<Record<string, string>>;
}

export interface HandMade {
  readonly groups: string;
  /** From now. */
  readonly expiresInMs: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface TokenShelf {
  /** Undefined when it is not there. */
  secret(id: string): Promise<SeenSecret | undefined>;
  /** Every bootstrap token with this extra group. */
  secretsOf(group: string): Promise<SeenSecret[]>;
  removeSecret(id: string): Promise<void>;
  /** Creates the Secret of a new token; `<id>.<secret>`. */
  putSecret(made: HandMade): Promise<string>;
  /** Reads `nodes/<node>` or `pools/<pool>` below the prefix, as root. */
  entry(path: string): Promise<SeenEntry>;
  putEntry(path: string, token: string): Promise<void>;
  /** Removes an entry with all its versions. */
  removeEntry(path: string): Promise<void>;
  /** Who the API server takes the bearer of this token for; undefined when it refuses the token. */
  whoIs(token: string): Promise<{ username: string; groups: string[] } | undefined>;
  close(): Promise<void>;
}

/** `prefix` is the test's own, in the mount `secret` unless another is named; '' when paths have it themselves. */
export function tokenShelf(plane: ControlPlane, bao: OpenBao, prefix: string, mount = 'secret'): TokenShelf {
  const vault = new HttpsClient({ server: bao.address, ca: bao.ca, headers: { 'x-vault-token': bao.rootToken } });
  const at = (part: 'data' | 'metadata', path: string): string =>
    ['/v1', mount, part, ...(prefix === '' ? [] : [prefix]), path].join('/');
  return {
    secret: async (id) => {
      const { status, body } = await plane.admin.send('GET', `${SECRETS}/bootstrap-token-${id}`);
      return status === 404 ? undefined : decoded(body as SeenSecret);
    },
    secretsOf: async (group) => {
      const { items } = (await plane.admin.must('GET', SECRETS + SELECTOR)) as { items: SeenSecret[] };
      return items.map(decoded).filter(({ data }) => data['auth-extra-groups']?.split(',').includes(group));
    },
    removeSecret: async (id) => {
      await plane.admin.must('DELETE', `${SECRETS}/bootstrap-token-${id}`);
    },
    putSecret: async ({ groups, expiresInMs, labels = {}, annotations = {} }) => {
      const { id, secret } = drawToken((count) => crypto.getRandomValues(new Uint8Array(count)));
      await plane.admin.must('POST', SECRETS, {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'bootstrap.kubernetes.io/token',
        metadata: { name: `bootstrap-token-${id}`, labels, annotations },
        stringData: {
          'token-id': id,
          'token-secret': secret,
          'usage-bootstrap-authentication': 'true',
          'auth-extra-groups': groups,
          expiration: timeIn(expiresInMs),
        },
      });
      return `${id}.${secret}`;
    },
    entry: async (path) => {
      const { status, body } = await vault.send('GET', at('data', path));
      const metadata = await vault.send('GET', at('metadata', path));
      const read = (body as { data?: { data: SeenEntry['data'] | null; metadata: SeenEntry['metadata'] } }).data;
      const { data: described } = metadata.body as { data?: { custom_metadata: Record<string, string> | null } };
      return {
        status,
        data: read?.data ?? undefined,
        metadata: read?.metadata,
        custom: described?.custom_metadata ?? {},
      };
    },
    putEntry: async (path, token) => {
      const [id = ''] = token.split('.');
      await vault.must('POST', at('metadata', path), { custom_metadata: { 'token-id': id } });
      await vault.must('POST', at('data', path), { data: { token } });
    },
    removeEntry: async (path) => {
      await vault.must('DELETE', at('metadata', path));
    },
    whoIs: async (token) => {
      const headers = { authorization: `Bearer ${token}` };
      const client = new HttpsClient({ server: plane.server, ca: plane.ca.certificate, headers });
      const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
      const answer = await client.send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', review);
      await client.close();
      if (answer.status === 401) return undefined;
      return (answer.body as { status: { userInfo: { username: string; groups: string[] } } }).status.userInfo;
    },
    close: () => vault.close(),
  };
}

/** RFC 3339 with whole seconds, `ms` from now. */
export function timeIn(ms: number): string {
  return new Date(Date.now() + ms).toISOString().replace(/\.\d+Z/, 'Z');
}

function decoded(secret: SeenSecret): SeenSecret {
  const data = Object.entries(secret.data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]);
  return { ...secret, data: Object.fromEntries(data) };
}
