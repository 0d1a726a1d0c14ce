import { expect } from 'chai';
import { describe, it } from 'mocha';
import { checkVault, neededVaultRights, type VaultView } from '../../src/doctor/vault-rights.ts';
import { read } from '../support/readme.ts';

const CA = 'secret/data/kubernetes/ca';
const PREFIX = 'kubelet-bootstrap';
const NODE = 'secret/data/kubelet-bootstrap/nodes/kubelet-bootstrap-doctor';
const ALL = ['minter', 'approver', 'signer', 'cleaner'] as const;

const needed = (controllers: readonly (typeof ALL)[number][] = ALL): ReturnType<typeof neededVaultRights> =>
  neededVaultRights({
    mount: 'secret',
    prefix: 'kubelet-bootstrap',
    caPaths: ['kubernetes/ca'],
    pki: [],
    controllers: new Set(controllers),
  });

/** A login with exactly what is needed, but for these paths. */
function view(changes: Readonly<Record<string, readonly string[]>> = {}, change: Partial<VaultView> = {}): VaultView {
  const wanted = needed();
  const held = wanted.map(({ path, capabilities }): [string, readonly string[]] => [
    path,
    changes[path] ?? capabilities,
  ]);
  return {
    problem: undefined,
    login: 'service',
    wanted,
    capabilities: { known: true, value: new Map(held) },
    ...change,
  };
}

describe('doctor/vault-rights', () => {
  const everywhere = (...capabilities: string[]): Record<string, string[]> =>
    Object.fromEntries(needed().map(({ path }) => [path, capabilities]));
  const ROWS: readonly (readonly [string, VaultView, readonly (readonly [string, string])[]])[] = [
    ['nothing is found with the rights of the policy', view(), []],
    ['more than is needed is fine for tokens', view({ [NODE]: ['create', 'read', 'update', 'delete', 'patch'] }), []],
    ['no read of the CA key', view({ [CA]: ['deny'] }), [['VaultRightMissing', `may not read ${CA}`]]],
    [
      'two that are missing at one path',
      view({ [NODE]: ['read'] }),
      [['VaultRightMissing', `may not create, update ${NODE}`]],
    ],
    [
      'a path that was not answered',
      view({ [NODE]: [] }),
      [['VaultRightMissing', `may not create, update, read ${NODE}`]],
    ],
    [
      'a whole line of the policy that is missing is told once',
      view(
        Object.fromEntries(
          ['nodes', 'pools'].map((of) => [`secret/destroy/${PREFIX}/${of}/${PREFIX}-doctor`, ['deny']]),
        ),
      ),
      [['VaultRightMissing', `may not create, update secret/destroy/${PREFIX}/*`]],
    ],
    [
      'all lines are missing: one finding for each',
      view(everywhere('deny')),
      [
        ['VaultRightMissing', `may not create, update, read secret/data/${PREFIX}/*`],
        ['VaultRightMissing', `may not create, update, read, delete, list secret/metadata/${PREFIX}/*`],
        ['VaultRightMissing', `may not create, update secret/destroy/${PREFIX}/*`],
        ['VaultRightMissing', `may not read ${CA}`],
        ['VaultRightMissing', 'may not update auth/token/renew-self'],
        ['VaultRightMissing', 'may not read auth/token/lookup-self'],
      ],
    ],
    ['root is told once', view(everywhere('root')), [['VaultRightsTooMany', 'is root']]],
    ['writing the CA key', view({ [CA]: ['read', 'update'] }), [['VaultRightsTooMany', `may update ${CA}`]]],
    [
      'sudo',
      view({ 'auth/token/lookup-self': ['read', 'sudo'] }),
      [['VaultRightsTooMany', 'may sudo auth/token/lookup-self']],
    ],
    [
      "VAULT_TOKEN, which need not be the service's",
      view({ [CA]: ['deny'] }, { login: 'given' }),
      [['VaultTokenLacksRight', `may not read ${CA}`]],
    ],
    ['VAULT_TOKEN that is root', view(everywhere('root'), { login: 'given' }), []],
    [
      'Vault sealed, and nothing else',
      view({}, { problem: 'Vault is sealed' }),
      [['VaultUnusable', 'Vault is sealed']],
    ],
    [
      'no right to ask',
      view({}, { capabilities: { known: false, why: 'permission denied' } }),
      [['NotChecked', 'could not be checked: permission denied']],
    ],
  ];
  for (const [what, given, wanted] of ROWS) {
    it(what, () => {
      expect(checkVault(given).map(({ code, found }) => [code, found])).to.deep.equal(wanted);
    });
  }

  describe('where the PKI engine signs', () => {
    const pki = { mount: 'pki', issuer: 'kubelets', roles: ['kubelet-client', 'kubelet-serving'] };
    const SIGN = 'pki/issuer/kubelets/sign/kubelet-client';
    const wanted = neededVaultRights({
      mount: 'secret',
      prefix: PREFIX,
      caPaths: [],
      pki: [pki],
      controllers: new Set(['signer'] as const),
    });
    const found = (changes: Readonly<Record<string, readonly string[]>>): (readonly [string, string])[] => {
      const held = wanted.map(({ path, capabilities }) => {
        const granted = capabilities.length === 0 ? ['deny'] : capabilities;
        return [path, changes[path] ?? granted] as const;
      });
      const capabilities = { known: true, value: new Map(held) } as const;
      return checkVault({ problem: undefined, login: 'service', wanted, capabilities }).map((each) => [
        each.code,
        each.found,
      ]);
    };
    const PKI_ROWS: readonly (readonly [string, Record<string, string[]>, readonly (readonly [string, string])[]])[] = [
      ['nothing is found with the rights of the policy', {}, []],
      ['no right to sign with a role', { [SIGN]: ['deny'] }, [['VaultRightMissing', `may not update ${SIGN}`]]],
      [
        'signing what the CSR says, whatever it says',
        { 'pki/issuer/kubelets/sign-verbatim': ['update'] },
        [['VaultRightsTooMany', 'may update pki/issuer/kubelets/sign-verbatim']],
      ],
      [
        'changing a role',
        { 'pki/roles/kubelet-serving': ['create', 'update'] },
        [['VaultRightsTooMany', 'may create, update pki/roles/kubelet-serving']],
      ],
    ];
    for (const [what, changes, expected] of PKI_ROWS) {
      it(what, () => expect(found(changes)).to.deep.equal(expected));
    }
  });

  it('wants what manifests/vault/service.hcl gives, no more and no less', () => {
    const policy = read('manifests/vault/service.hcl').matchAll(/^path "([^"]+)" \{\s+capabilities = \[([^\]]+)\]/gm);
    const given = [...policy].flatMap(([, path, list = '']) =>
      [...list.matchAll(/"(\w+)"/g)].map(([, capability]) => `${path} ${capability}`),
    );
    const wanted = needed().flatMap(({ pattern, capabilities }) => capabilities.map((each) => `${pattern} ${each}`));
    expect([...new Set(wanted)]).to.have.members(given);
  });

  it('wants no more than the controllers of the config need', () => {
    const patterns = (...controllers: (typeof ALL)[number][]): string[] => needed(controllers).map(({ path }) => path);
    expect(patterns('approver')).to.deep.equal(['auth/token/renew-self', 'auth/token/lookup-self']);
    expect(patterns('signer')).to.include(CA).and.not.include(NODE);
    expect(patterns('cleaner')).to.include(NODE).and.not.include(CA);
    const files = neededVaultRights({
      mount: 'a/b',
      prefix: 'c',
      caPaths: [],
      pki: [],
      controllers: new Set(ALL),
    });
    expect(files.map(({ path }) => path))
      .to.include('a/b/metadata/c/pools/')
      .and.not.include('a/b/data/kubernetes/ca');
  });
});
