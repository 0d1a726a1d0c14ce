/** A PKI engine in a real OpenBao, made as `kubelet-bootstrap vault setup` makes it. */
import type { OpenBao } from './openbao.ts';
import type { CertificateKind } from '../../src/pki/certificate-plan.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { VaultSession } from '../../src/vault/auth.ts';
import { VaultClient } from '../../src/vault/client.ts';
import { givenToken } from '../../src/vault/login-methods.ts';
import { type PkiWishes, roleSettings } from '../../src/vault/setup/pki.ts';
import { pkiItems } from '../../src/vault/setup/plan.ts';
import { VaultSetup } from '../../src/vault/setup/vault-setup.ts';

export const ISSUER = 'kubelets';
export const ROLES: ReadonlyMap<CertificateKind, string> = new Map([
  ['client', 'kubelet-client'],
  ['client-encipherment', 'kubelet-client-encipherment'],
  ['serving', 'kubelet-serving'],
  ['serving-encipherment', 'kubelet-serving-encipherment'],
]);

export class PkiEngine {
  readonly mount: string;
  readonly session: VaultSession;
  readonly #openBao: OpenBao;
  readonly #client: VaultClient;
  readonly #wishes: PkiWishes;

  constructor(openBao: OpenBao, mount: string, longestMs: number) {
    this.#openBao = openBao;
    this.mount = mount;
    this.#client = new VaultClient({
      address: openBao.address,
      readCa: () => Promise.resolve(openBao.ca),
      clock: systemClock,
    });
    this.session = new VaultSession({
      client: this.#client,
      method: givenToken(openBao.rootToken),
      clock: systemClock,
    });
    const lifetimes = { client: longestMs, serving: longestMs };
    this.#wishes = { mount, issuer: ISSUER, roles: ROLES, servingNames: ['*'], longestMs: lifetimes, ca: undefined };
  }

  /** Makes whatever is not as it should be; the CA is that of the PEM bundle. */
  async setUp(bundle: string): Promise<void> {
    const setup = new VaultSetup(this.session);
    const never = new AbortController().signal;
    for (const item of pkiItems({ ...this.#wishes, ca: { kind: 'import', file: 'the test', bundle } })) {
      if ((await setup.look(item, never)).kind !== 'asWanted') await setup.put(item, never);
    }
  }

  /** Writes a role anew, with these settings otherwise than they should be. */
  async spoil(kind: CertificateKind, changes: Readonly<Record<string, unknown>>): Promise<void> {
    await this.root('POST', `roles/${ROLES.get(kind)}`, { ...roleSettings(kind, this.#wishes), ...changes });
  }

  /** As root, below the mount. */
  root(method: Parameters<OpenBao['root']>[0], path: string, body?: unknown): Promise<unknown> {
    return this.#openBao.root(method, `${this.mount}/${path}`, body);
  }

  /** What the issuer's name leads to. */
  async issuerId(): Promise<string> {
    const { data } = (await this.root('GET', `issuer/${ISSUER}`)) as { data: { issuer_id: string } };
    return data.issuer_id;
  }

  /** Closes its connections; the engine stays. */
  close(): void {
    this.session.stop();
    this.#client.close();
  }

  async remove(): Promise<void> {
    this.close();
    await this.#openBao.root('DELETE', `sys/mounts/${this.mount}`);
  }
}
