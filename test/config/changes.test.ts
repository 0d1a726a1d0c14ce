import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readConfig } from '../../src/config.ts';
import { changedKeys, isLive } from '../../src/config/changes.ts';
import { withValues } from '../support/config-text.ts';

const BASE = { pools: { workers: { nodeNames: 'worker-.*' } } };
const read = (changes: Readonly<Record<string, unknown>> = {}): ReturnType<typeof readConfig> =>
  readConfig('config.yaml', withValues({ ...BASE, ...changes }));

describe('config/changes', () => {
  for (const [what, changes, keys, live] of [
    ['nothing', {}, [], true],
    ['a pattern', { 'pools.workers.nodeNames': 'w-.*' }, ['pools.workers.nodeNames'], true],
    ['ranges', { 'serving.addressRanges': ['10.1.0.0/16'] }, ['serving.addressRanges'], true],
    [
      'what is denied',
      { 'approver.onViolation': { form: 'deny' } },
      ['approver.onViolation', 'approver.onViolation.form'],
      true,
    ],
    ['a key that is new', { 'controlPlane.nodeNames': 'cp-.*' }, ['controlPlane.nodeNames'], true],
    ['a lifetime of a pool', { 'pools.workers.lifetime.client': '24h' }, ['pools.workers.lifetime.client'], true],
    ['the lifetime of serving certificates', { 'signer.lifetime.serving': '24h' }, ['signer.lifetime.serving'], true],
    ['the uses of its tokens', { 'pools.workers.uses': 5 }, ['pools.workers.uses'], false],
    ['the CA that follows', { 'signer.ca.next': { vaultPath: 'x/y' } }, ['signer.ca.next.vaultPath'], true],
    ['concurrency', { 'approver.concurrency': 2 }, ['approver.concurrency'], false],
    ['the address of Vault', { 'vault.address': 'https://other.example.org' }, ['vault.address'], false],
    ['the mode', { mode: 'observe' }, ['mode'], false],
  ] as const) {
    it(`finds ${what}, which ${live ? 'needs no' : 'needs a'} restart`, () => {
      expect(changedKeys(read(), read(changes))).to.deep.equal(keys);
      for (const key of keys) expect(isLive(key), key).to.equal(live);
    });
  }
});
