import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  adminPolicy,
  formatPolicy,
  nodePolicy,
  parsePolicy,
  policyDifferences,
  type PolicyRule,
  poolPolicy,
  servicePolicy,
} from '../../src/vault/setup/policies.ts';
import { SERVICE_POLICY, type ServiceLogin, setupItems } from '../../src/vault/setup/plan.ts';
import { pkiPolicy } from '../../src/vault/setup/pki.ts';

const PKI_ROLES = new Map([
  ['client', 'kubelet-client'],
  ['client-encipherment', 'kubelet-client-encipherment'],
  ['serving', 'kubelet-serving'],
  ['serving-encipherment', 'kubelet-serving-encipherment'],
] as const);
const PLACE = { mount: 'secret', prefix: 'kubelet-bootstrap' };
const shipped = (name: string): string =>
  readFileSync(new URL(`../../manifests/vault/${name}.hcl`, import.meta.url), 'utf8');

describe('vault/setup/policies', () => {
  const policies: Readonly<Record<string, PolicyRule[]>> = {
    service: servicePolicy(PLACE, ['kubernetes/ca']),
    'service-pki': pkiPolicy({ mount: 'pki', issuer: 'kubelets', roles: PKI_ROLES }),
    admin: adminPolicy(PLACE),
    node: nodePolicy(PLACE, 'APPROLE_ACCESSOR'),
    pool: poolPolicy(PLACE, 'POOL'),
  };
  for (const [name, rules] of Object.entries(policies)) {
    it(`makes what manifests/vault/${name}.hcl says, and reads it back`, () => {
      expect(parsePolicy(shipped(name))).to.deep.equal(rules);
      expect(parsePolicy(formatPolicy(rules))).to.deep.equal(rules);
    });
  }

  it('leaves the CA out where the service signs with something else', () => {
    expect(servicePolicy(PLACE, []).map(({ path }) => path)).not.to.include('secret/data/kubernetes/ca');
  });

  it('lets the service read the CA that follows as well', () => {
    const paths = servicePolicy(PLACE, ['kubernetes/ca', 'kubernetes/next']).map(({ path }) => path);
    expect(paths).to.include.members(['secret/data/kubernetes/ca', 'secret/data/kubernetes/next']);
  });

  it('lets the service look at its own secret_id where it logs in with one, and only there', () => {
    const policyFor = (login: ServiceLogin): PolicyRule[] =>
      setupItems({
        ...PLACE,
        caPaths: [],
        login,
        pools: [],
        nodes: [],
        machineMount: 'approle',
        secretIdSeconds: 0,
        jwt: undefined,
        pki: [],
      }).flatMap((item) => (item.kind === 'policy' && item.name === SERVICE_POLICY ? item.rules('') : []));
    const lookup = { path: 'auth/own/role/kubelet-bootstrap/secret-id/lookup', capabilities: ['update'] };
    expect(policyFor({ method: 'approle', mount: 'own' })).to.deep.include(lookup);
    expect(policyFor({ method: 'tokenFile' })).to.deep.equal(servicePolicy(PLACE, []));
  });

  for (const text of [
    'path "a" {\n  capabilities = ["read"]\n  denied_parameters = { "x" = [] }\n}',
    'path "a" { policy = "read" }',
    'name = "dev"',
  ]) {
    it(`does not read ${JSON.stringify(text)}, which says more than it knows of`, () => {
      expect(parsePolicy(text)).to.equal(undefined);
    });
  }

  const one = [{ path: 'a', capabilities: ['read', 'update'] }];
  const differences: readonly (readonly [string, readonly PolicyRule[], readonly string[]])[] = [
    ['the same in another order', [{ path: 'a', capabilities: ['update', 'read'] }], []],
    ['one capability less', [{ path: 'a', capabilities: ['read'] }], ['a allows read, wanted read, update']],
    [
      'one too many',
      [{ path: 'a', capabilities: ['list', 'read', 'update'] }],
      ['a allows list, read, update, wanted read, update'],
    ],
    ['another path besides', [...one, { path: 'b', capabilities: ['read'] }], ['b allows read, wanted nothing']],
    [
      'a limit to parameters',
      [{ path: 'a', capabilities: ['read', 'update'], parameters: 'required_parameters  = ["x"]' }],
      ['a allows read, update required_parameters = ["x"], wanted read, update'],
    ],
    ['nothing', [], ['a allows nothing, wanted read, update']],
  ];
  for (const [what, actual, expected] of differences) {
    it(`tells what is otherwise: ${what}`, () => {
      expect(policyDifferences(one, actual)).to.deep.equal(expected);
    });
  }
});
