import { expect } from 'chai';
import { describe, it } from 'mocha';
import { review } from '../../src/policy/review.ts';
import { CLIENT_SIGNER } from '../../src/ports.ts';
import { groupOfBinding, readBinding } from '../../src/tokens/binding.ts';
import { buildCsrPem, type CsrParts, type TestKeyName } from '../support/csr-builder.ts';
import { kubeletCsrs, type KubeletCsrSpec } from '../support/kubelet-csrs.ts';
import { type Change, ruleInput, servingPolicy } from './good-request.ts';

const KUBELETS = kubeletCsrs();

const { serving } = servingPolicy('192.0.2.0/24', '10.20.0.0/16', '203.0.113.0/24', '2001:db8::/32', 'fd00:10::/32');
const SERVING = {
  serving: serving && { ...serving, dnsSuffixes: ['fra1.compute.internal', 'fra1.example.net'] },
};

/** From the binding of its token. */
function nodeOf({ groups }: KubeletCsrSpec): string {
  const reading = readBinding(groups);
  return reading.kind === 'bound' && reading.binding.kind === 'node' ? reading.binding.node : '';
}

/** The same usages, without and with key encipherment: kubelets before 1.27 ask for it with every key. */
const eitherWay = (usages: readonly string[]): readonly (readonly string[])[] => {
  const without = usages.filter((usage) => usage !== 'key encipherment');
  return [without, [...without, 'key encipherment']];
};

function approves(change: Change, path: 'bootstrap' | 'renewal' | 'serving'): void {
  const verdict = review(ruleInput(path, change));
  expect(verdict, JSON.stringify(verdict)).to.include({ kind: 'approve', path });
}

const renewing = (node: string): { username: string } => ({ username: `system:node:${node}` });
const bootstrapping = (node: string): Pick<Change, 'requester' | 'token'> => {
  const groups = ['system:bootstrappers', groupOfBinding({ kind: 'node', node }), 'system:authenticated'];
  return { requester: { groups }, token: { groups } };
};

describe('policy: what real kubelets ask for', () => {
  it('is there for every kind of key', () => {
    const kinds = ['bootstrap-fqdn', 'ed25519', 'p-384', 'p-521', 'rsa-2048', 'rsa-3072', 'rsa-4096', 'rsa-8192'];
    const names = KUBELETS.map(({ name }) => name);
    for (const kind of kinds) expect(names.some((name) => name.endsWith(kind))).to.equal(true);
  });

  for (const { name, csr } of KUBELETS) {
    const { username, groups, extra = {}, signerName } = csr;
    const client = signerName === CLIENT_SIGNER;
    const request = Buffer.from(csr.request);
    for (const usages of eitherWay(csr.usages)) {
      const title = `${name}, ${usages.length} usages`;
      it(`is approved as it was asked for: ${title}`, () => {
        const id = username.slice('system:bootstrap:'.length);
        const change = { request, requester: { username, groups, extra }, csr: { usages }, token: { id, groups } };
        if (client) approves(change, 'bootstrap');
        else approves({ ...change, policy: SERVING }, 'serving');
      });
      if (client) {
        it(`is approved as a renewal: ${title}`, () => {
          approves({ request, csr: { usages }, requester: renewing(nodeOf(csr)) }, 'renewal');
        });
      }
    }
  }
});

describe('policy: honest nodes of every kind', () => {
  const label = 'a'.repeat(63);
  const NODES: readonly (readonly [string, string])[] = [
    ['a name of one letter', 'a'],
    ['a name of one label', 'worker-1'],
    ['a name of AWS', 'ip-10-0-17-203.eu-central-1.compute.internal'],
    ['an IPv4 address as name', '10.20.0.17'],
    ['a name that starts with a digit', '0a1b.example.org'],
    ['a name in punycode', 'xn--wrker-jua.example.org'],
    ['a label of 63', `${label}.example.org`],
    ['the longest name, of 251', `${label}.${label}.${label}.${'b'.repeat(59)}`],
  ];
  const KEYS: readonly TestKeyName[] = ['P-256', 'P-384', 'P-521', 'Ed25519', 'RSA-2048'];
  for (const [what, node] of NODES) {
    it(`approves the first certificate and the renewal of ${what}`, () => {
      for (const key of KEYS) {
        const request = Buffer.from(buildCsrPem({ key, commonName: `system:node:${node}` }));
        approves({ request, ...bootstrapping(node) }, 'bootstrap');
        approves({ request, requester: renewing(node) }, 'renewal');
      }
    });
  }

  const node = 'worker-17';
  const ips = (count: number): string[] => Array.from({ length: count }, (_, index) => `10.20.1.${index}`);
  const ADDRESSES: readonly (readonly [string, CsrParts])[] = [
    ['its name alone', { dns: [node] }],
    ['an IPv4 address alone', { ips: ['10.20.0.17'] }],
    ['an IPv6 address alone', { ips: ['2001:db8::17'] }],
    ['both, IPv6 first', { ips: ['2001:db8::17', '10.20.0.17'] }],
    ['an address twice', { ips: ['10.20.0.17', '10.20.0.17'] }],
    ['names and addresses', { dns: [node, `${node}.fra1.example.net`], ips: ['10.20.0.17', 'fd00:10:17::1'] }],
    ['63 addresses beside its name', { dns: [node], ips: ips(63) }],
  ];
  for (const [what, parts] of ADDRESSES) {
    it(`approves a serving certificate for ${what}`, () => {
      for (const key of KEYS) {
        const change = { parts: { dns: [], ips: [], ...parts, key, commonName: `system:node:${node}` } };
        approves({ ...change, requester: renewing(node), policy: SERVING }, 'serving');
      }
    });
  }
});
