import { expect } from 'chai';
import { describe, it } from 'mocha';
import { onViolation } from './policy/good-request.ts';
import { breadthOf, type Config, policyOf, readConfig, runningControllers } from '../src/config.ts';
import { LEAST, pathsOf, withValues } from './support/config-text.ts';

const HOUR = 3_600_000;

describe('config: what is right', () => {
  it('fills in every default', () => {
    const config = readConfig('config.yaml', LEAST);
    expect(config.controllers).to.deep.equal(['minter', 'approver', 'signer', 'cleaner']);
    expect(config.approver).to.deep.equal({
      concurrency: 32,
      onViolation: 'wait',
      accessReview: 'class',
      staleAfter: 900_000,
      renewWithoutNode: 3_600_000,
      credentials: 'adopt',
      longestRequest: 365 * 24 * HOUR,
    });
    expect(config.cleaner.retention).to.deep.equal({
      issued: HOUR,
      denied: HOUR,
      failed: HOUR,
      pending: 24 * HOUR,
      approvedUnissued: 24 * HOUR,
      superseded: HOUR,
    });
    expect(config.pools).to.deep.equal({});
  });

  it('is frozen to its last value', () => {
    const config = readConfig('config.yaml', withValues({ 'pools.workers': { nodeNames: 'worker-.*' } }));
    const parts: readonly object[] = [
      config,
      config.approver,
      config.controllers,
      config.cleaner.retention,
      config.pools,
      config.pools['workers'] ?? {},
      config.serving.addressRanges ?? {},
      config.serving.addressRanges?.texts ?? [],
    ];
    for (const part of parts) expect(Object.isFrozen(part)).to.equal(true);
    expect(() => (config.controllers as string[]).push('x')).to.throw(TypeError);
  });

  it('lets flags and environment go before the file', () => {
    const text = withValues({ 'ops.logLevel': 'warn', controllers: ['minter'], 'kubernetes.kubeconfig': '/a' });
    const config = readConfig('config.yaml', text, {
      kubeconfig: '/b',
      controllers: ['cleaner'],
      dryRun: true,
      logLevel: 'debug',
      vaultAddress: 'https://other.example.org',
      vaultCaFile: '/other.pem',
    });
    expect(config.kubernetes.kubeconfig).to.equal('/b');
    expect(config.controllers).to.deep.equal(['cleaner']);
    expect(config.cleaner.dryRun).to.equal(true);
    expect(config.ops.logLevel).to.equal('debug');
    expect(config.vault?.address).to.equal('https://other.example.org');
    expect(config.vault?.caFile).to.equal('/other.pem');
  });

  it('leaves the file alone where nothing is set over it', () => {
    const overrides = { kubeconfig: undefined, controllers: undefined, dryRun: undefined };
    expect(JSON.stringify(readConfig('config.yaml', LEAST, overrides))).to.equal(
      JSON.stringify(readConfig('config.yaml', LEAST)),
    );
  });

  it('checks what is set over the file like the file', () => {
    const overrides = { controllers: ['signr', ''], logLevel: 'loud', vaultAddress: 'http://vault' };
    expect(pathsOf(LEAST, overrides)).to.have.members([
      'controllers.0',
      'controllers.1',
      'ops.logLevel',
      'vault.address',
    ]);
  });

  it('does not take the address of Vault in the environment for a config of Vault', () => {
    const text = withValues({ vault: undefined, controllers: ['approver'] });
    expect(readConfig('config.yaml', text, { vaultAddress: 'https://vault' }).vault).to.equal(undefined);
  });
});

describe('config: what holds between keys', () => {
  const FILES = { 'signer.ca': { certificateFile: '/ca.pem', keyFile: '/ca.key' } };
  const ROWS: readonly (readonly [string, Readonly<Record<string, unknown>>, readonly string[]])[] = [
    ['serving needs address ranges', { serving: {} }, ['serving.addressRanges']],
    ['serving needs at least one', { 'serving.addressRanges': [] }, ['serving.addressRanges']],
    ['serving needs none when it is off', { serving: { enabled: false } }, []],
    ['the signer needs a CA', { 'signer.ca': {} }, ['signer.ca']],
    [
      'the CA stands in Vault or in files, not both',
      { 'signer.ca': { vaultPath: 'a', ...FILES['signer.ca'] } },
      ['signer.ca'],
    ],
    ['a certificate without key is none', { 'signer.ca': { certificateFile: '/ca.pem' } }, ['signer.ca']],
    ['a key without certificate is none', { 'signer.ca': { keyFile: '/ca.key' } }, ['signer.ca', 'signer.ca']],
    ['the CA that follows is in one place', { 'signer.ca.next': { ...FILES['signer.ca'] } }, []],
    ['and not in none', { 'signer.ca.next': { from: '2027-01-31T00:00:00Z' } }, ['signer.ca.next']],
    [
      'nor in Vault without `vault`',
      { vault: undefined, controllers: ['signer'], 'signer.ca': { ...FILES['signer.ca'], next: { vaultPath: 'a' } } },
      ['vault'],
    ],
    ['its time is a time', { 'signer.ca.next': { vaultPath: 'a', from: 'soon' } }, ['signer.ca.next.from']],
    ['no CA is needed without the signer', { 'signer.ca': {}, controllers: ['approver'] }, []],
    ['the minter needs Vault', { ...FILES, vault: undefined }, ['vault']],
    ['a CA in Vault needs Vault', { vault: undefined, controllers: ['signer'] }, ['vault']],
    [
      'a CA in files needs no Vault without the minter',
      { ...FILES, vault: undefined, controllers: ['signer', 'approver', 'cleaner'] },
      [],
    ],
  ];
  for (const [sentence, changes, paths] of ROWS) {
    it(sentence, () => {
      expect(pathsOf(withValues(changes))).to.deep.equal(paths);
    });
  }

  it('is told beside what is wrong with single keys', () => {
    expect(pathsOf(withValues({ serving: {}, 'ops.logLevel': 'loud' }))).to.deep.equal([
      'ops.logLevel',
      'serving.addressRanges',
    ]);
  });

  it('goes by the controllers that the flag names', () => {
    expect(pathsOf(withValues({ vault: undefined, 'signer.ca': {} }), { controllers: ['approver'] })).to.deep.equal([]);
  });
});

describe('config: policyOf', () => {
  const config: Config = readConfig(
    'config.yaml',
    withValues({
      'pools.workers': { nodeNames: 'worker-[0-9]+|gpu' },
      'approver.unboundTokensUntil': '2027-01-31T12:00:00Z',
      'approver.longestRequest': '90m',
      'serving.dnsSuffixes': ['ec2.internal'],
    }),
  );
  const policy = policyOf(config);

  it('matches the whole name of a node against the pattern of a pool', () => {
    const admits = policy.pools.get('workers')?.admitsNodeName ?? ((): boolean => false);
    for (const name of ['worker-1', 'worker-10', 'gpu']) expect(admits(name), name).to.equal(true);
    for (const name of ['worker-', 'worker-1x', 'xworker-1', 'worker-1\n', 'gpu2', 'Worker-1', '']) {
      expect(admits(name), name).to.equal(false);
    }
  });

  it('carries times and ranges over', () => {
    expect(policy).to.include({
      unboundTokensUntil: Date.UTC(2027, 0, 31, 12),
      longestRequestSeconds: 5400,
    });
    expect(policy.onViolation).to.deep.equal(onViolation('wait'));
    expect(policy.serving?.dnsSuffixes).to.deep.equal(['ec2.internal']);
    expect(policy.serving?.ranges.contains(Uint8Array.of(10, 1, 2, 3))).to.equal(true);
  });

  it('denies for everything, or for the classes that are named', () => {
    const of = (value: unknown): unknown =>
      policyOf(readConfig('config.yaml', withValues({ 'approver.onViolation': value }))).onViolation;
    expect(of('deny')).to.deep.equal(onViolation('deny'));
    expect(of({ form: 'deny', terms: 'deny' })).to.deep.equal({ ...onViolation('wait'), form: 'deny', terms: 'deny' });
    expect(of({})).to.deep.equal(onViolation('wait'));
  });

  it('serves no serving certificates when they are off, whatever ranges there are', () => {
    const off = readConfig('config.yaml', withValues({ 'serving.enabled': false }));
    expect(policyOf(off).serving).to.equal(undefined);
  });
});

describe('config: modes', () => {
  const running = (mode: string, more: Readonly<Record<string, unknown>> = {}): string[] => [
    ...runningControllers(readConfig('config.yaml', withValues({ mode, ...more }))),
  ];
  for (const [mode, controllers] of [
    ['enforce', ['minter', 'approver', 'signer', 'cleaner']],
    ['observe', ['minter', 'approver', 'cleaner']],
    ['approve-only', ['minter', 'approver', 'cleaner']],
    ['sign-only', ['minter', 'signer', 'cleaner']],
  ] as const) {
    it(`runs ${controllers.join(', ')} in ${mode}`, () => {
      expect(running(mode)).to.deep.equal(controllers);
    });
  }

  it('runs no more than the controllers that are named', () => {
    expect(running('enforce', { controllers: ['approver'] })).to.deep.equal(['approver']);
    expect(running('sign-only', { controllers: ['approver', 'cleaner'] })).to.deep.equal(['cleaner']);
  });

  it('needs no CA where nothing is signed', () => {
    expect(running('observe', { 'signer.ca': undefined })).to.not.include('signer');
    expect(running('approve-only', { 'signer.ca': undefined })).to.not.include('signer');
    expect(pathsOf(withValues({ mode: 'sign-only', 'signer.ca': undefined }))).to.deep.equal(['signer.ca']);
  });
});

describe('config: what admits nearly everything', () => {
  const WIDE = ['0.0.0.0/1'];
  for (const [what, changes, path] of [
    ['a pool of any name', { 'pools.all': { nodeNames: '.*' } }, 'pools.all.nodeNames'],
    ['ranges of half of all addresses', { 'serving.addressRanges': WIDE }, 'serving.addressRanges'],
    ['such ranges of a pool', { 'pools.a': { nodeNames: 'a', addressRanges: WIDE } }, 'pools.a.addressRanges'],
  ] as const) {
    it(`refuses ${what} unless it is acknowledged`, () => {
      expect(pathsOf(withValues(changes))).to.deep.equal([path]);
      const parent = path.slice(0, path.lastIndexOf('.'));
      const key = path.endsWith('nodeNames') ? 'admitsAnyName' : 'admitsAnyAddress';
      const text = withValues({ ...changes, [`${parent}.${key}`]: true });
      expect(pathsOf(text)).to.deep.equal([]);
      expect(breadthOf(readConfig('config.yaml', text)).map((found) => found.path)).to.deep.equal([path]);
    });
  }
});
