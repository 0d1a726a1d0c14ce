import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readConfig } from '../../src/config.ts';
import { ConfigError } from '../../src/errors.ts';
import { LEAST, pathsOf, problemsOf, withValues } from '../support/config-text.ts';

describe('config: problems', () => {
  it('are told all at once, each with the path of its key', () => {
    const text = withValues({
      'cluster.server': undefined,
      'vault.auth': { method: 'password' },
      'serving.addressRanges': ['10.0.0.0/8', '10.0.0.1', 7, 'fd00::/129'],
      'serving.dnsSuffixes': ['ec2.internal', '.x'],
      'approver.concurency': 4,
      'approver.concurrency': 0,
      'signer.ca.certificateFile': '/ca.pem',
      'minter.tokenLifetime': '1d',
      'ops.listen': '0.0.0.0:99999',
      'pools.Bad_Name': { nodeNames: '(', uses: 0 },
      'pools.workers': { nodeNames: '(' },
      extra: { deep: true },
    });
    expect(pathsOf(text)).to.have.members([
      'cluster.server',
      'vault.auth.method',
      'serving.addressRanges.1',
      'serving.addressRanges.2',
      'serving.addressRanges.3',
      'serving.dnsSuffixes.1',
      'approver.concurency',
      'approver.concurrency',
      'minter.tokenLifetime',
      'ops.listen',
      'pools.Bad_Name',
      'pools.Bad_Name.nodeNames',
      'pools.Bad_Name.uses',
      'pools.workers.nodeNames',
      'extra',
      'signer.ca',
      'signer.ca',
    ]);
  });

  const PKI = { mount: 'pki', issuer: 'kubelets' };
  const BACKENDS: readonly (readonly [string, Record<string, unknown>, readonly string[]])[] = [
    ['the PKI engine alone', { pki: PKI }, []],
    ['the PKI engine and a pair in Vault', { pki: PKI, vaultPath: 'kubernetes/ca' }, ['signer.ca']],
    ['the PKI engine and files', { pki: PKI, certificateFile: '/c', keyFile: '/k' }, ['signer.ca']],
    ['none', {}, ['signer.ca']],
    ['an issuer that others can move', { pki: { ...PKI, issuer: 'default' } }, ['signer.ca.pki.issuer']],
    ['an issuer that is a path', { pki: { ...PKI, issuer: 'a/b' } }, ['signer.ca.pki.issuer']],
    ['no issuer', { pki: { mount: 'pki' } }, ['signer.ca.pki.issuer']],
    ['a name with a capital', { pki: { ...PKI, servingNames: ['Worker-*'] } }, ['signer.ca.pki.servingNames.0']],
    ['a next PKI engine', { pki: PKI, next: { pki: { ...PKI, issuer: 'kubelets-2' } } }, []],
  ];
  for (const [sentence, ca, paths] of BACKENDS) {
    it(`of what signs: ${sentence}`, () => {
      expect(pathsOf(withValues({ 'signer.ca': ca }))).to.deep.equal(paths);
    });
  }

  it('of the PKI engine without a vault', () => {
    const text = withValues({ 'signer.ca': { pki: PKI }, vault: undefined, controllers: ['signer'] });
    expect(pathsOf(text)).to.deep.equal(['vault']);
  });

  it('stand in the message, one a line, with their number and the name of the file', () => {
    const text = withValues({ 'ops.logLevel': 'loud', 'ops.lisen': 'x' });
    expect(() => readConfig('config.yaml', text)).to.throw(
      ConfigError,
      /^config\.yaml: 2 problems\n {2}ops\.logLevel: .*\n {2}ops\.lisen: is not a key of the config$/,
    );
  });

  const MESSAGES: readonly (readonly [path: string, value: unknown, message: RegExp])[] = [
    ['pools.Bad_Name', { nodeNames: 'x' }, /^"Bad_Name" is no name of a pool: must be a lower-case DNS label$/],
    ['pools.workers.nodeNames', '(', /"\(" is no RE2 pattern/],
    ['pools.workers.nodeNames', '(?=x)', /is no RE2 pattern/],
    ['cluster', undefined, /^is missing$/],
    ['cluster.server', undefined, /must be a URL that begins with https:\/\//],
    ['cluster.server', 'http://api', /must be a URL that begins with https:\/\//],
    ['minter.tokenLifetime', 10, /^must be a duration such as 90s, 15m or 1h30m$/],
    ['minter.tokenLifetime', '10', /^"10" must be a duration such as/],
    ['vault.timeout', '50ms', /^"50ms" is out of bounds: 100ms to 5m$/],
    ['signer.lifetime.client', '59s', /^"59s" is out of bounds: 1m to 87600h$/],
    ['approver.unboundTokensUntil', '2027-02-30T00:00:00Z', /is no time such as/],
    ['vault.mount', '../sys', /must be segments/],
    ['vault.auth.method', undefined, /'tokenFile' \| 'approle' \| 'kubernetes' \| 'jwt'/],
    ['vault.auth.roleIdFile', '/x', /^is not a key of the config$/],
    ['controllers', [], /at least|Too small/],
    ['cleaner.dryRun', 'yes', /expected boolean/],
    ['ops', [], /expected object, received array/],
    ['pools', null, /expected record, received null/],
  ];
  for (const [path, value, message] of MESSAGES) {
    it(`of ${path}: ${JSON.stringify(value) ?? 'missing'} say what is wanted`, () => {
      const problems = problemsOf(withValues({ [path]: value }));
      expect(problems.map((problem) => problem.path)).to.include(path);
      expect(problems.find((problem) => problem.path === path)?.message).to.match(message);
    });
  }

  const LISTEN: readonly (readonly [string, boolean])[] = [
    ['127.0.0.1:9440', true],
    ['0.0.0.0:0', true],
    ['[::]:9440', true],
    ['[fd00::1]:65535', true],
    ['0.0.0.0:65536', false],
    ['256.0.0.1:80', false],
    ['1.2.3.4.5:80', false],
    ['::1:80', false],
    ['[::1]', false],
    ['[127.0.0.1]:80', false],
    ['localhost:80', false],
    [':80', false],
  ];
  for (const [listen, good] of LISTEN) {
    it(`${good ? 'take' : 'refuse'} ops.listen ${listen}`, () => {
      expect(pathsOf(withValues({ 'ops.listen': listen }))).to.deep.equal(good ? [] : ['ops.listen']);
    });
  }

  const TEXTS: readonly (readonly [sentence: string, text: string, problem: RegExp])[] = [
    ['text that is no YAML', 'a: [', /at line 1, column 5$/],
    ['a key twice', `${LEAST}signer: {}\n`, /unique/],
    ['two documents', `${LEAST}---\na: 1\n`, /multiple documents/],
    ['a list', '- a', /expected object, received array/],
    ['a word', 'a', /expected object, received string/],
    ['aliases that grow without end', billionLaughs(), /alias/],
  ];
  for (const [sentence, text, message] of TEXTS) {
    it(`of ${sentence} stand at the root`, () => {
      const root = problemsOf(text).filter(({ path }) => path === '');
      expect(root.map((problem) => problem.message).join()).to.match(message);
    });
  }

  it('of an empty file are what is missing', () => {
    for (const text of ['', '# nothing\n', '{}']) {
      expect(pathsOf(text)).to.deep.equal(['cluster', 'serving.addressRanges', 'signer.ca', 'vault']);
    }
  });
});

function billionLaughs(): string {
  const levels = [
    'a: &a [x, x]',
    ...'bcdefg'.split('').map((name, index) => {
      const before = 'abcdef'.charAt(index);
      return `${name}: &${name} [${Array.from({ length: 20 }, () => `*${before}`).join(', ')}]`;
    }),
  ];
  return levels.join('\n');
}

const HOUR = 3_600_000;

describe('config: durations', () => {
  /** Of `cleaner.retention.pending`: 0 to a year. */
  const DURATIONS: readonly (readonly [value: unknown, ms: number | undefined])[] = [
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['1h30m10s500ms', 5_410_500],
    ['1.5h', 5_400_000],
    ['1h1h', 2 * HOUR],
    ['0s', 0],
    ['8760h', 365 * 24 * HOUR],
    ['8760h1ms', undefined],
    [10, undefined],
    ['10', undefined],
    ['0', undefined],
    ['-1s', undefined],
    ['1d', undefined],
    ['1H', undefined],
    ['1h ', undefined],
    ['1h\n', undefined],
    ['1h30', undefined],
    ['', undefined],
    [null, undefined],
    [['1h'], undefined],
    ['2502000000h', undefined],
    [`${'9'.repeat(400)}h`, undefined],
  ];
  for (const [value, ms] of DURATIONS) {
    it(`${ms === undefined ? 'refuses' : 'takes'} ${JSON.stringify(value).slice(0, 20)}`, () => {
      const text = withValues({ 'cleaner.retention.pending': value });
      if (ms === undefined) expect(pathsOf(text)).to.deep.equal(['cleaner.retention.pending']);
      else expect(readConfig('config.yaml', text).cleaner.retention.pending).to.equal(ms);
    });
  }
});
